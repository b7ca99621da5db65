"""Any picture as grey pixels: paths, bytes, files, Pillow images, arrays, base64 text and http(s) addresses.

The same pixels give the same numbers by every door, and those of a picture depend on that picture only: the
range of float arrays is an argument, and never inferred from their values.
"""

import os
import reprlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from hierarchy.data import base64_text, images
from hierarchy.errors import InputError, check_choice, error_context, first_line

RANGES: Final = ((0, 1), (0, 255))  # of float arrays
COLOURS: Final = ("rgb", "bgr")
CHANNELS: Final = (1, 3, 4)  # of the last axis: grey, colour, colour and opacity
MAX_BYTES: Final = 8 * images.MAX_PIXELS  # of an open file: uncompressed, four channels of 16 bits
EXPECTED: Final = (
    "expected a path, bytes, an open file, a Pillow image, an array, base64 text, "
    "or a list or iterator of these"
)
SHOWN: Final = 80  # characters of a refused value
_SINGLE: Final = "image"  # name of a picture that has none
_REPR: Final = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = SHOWN


class Options(NamedTuple):
    """How to read pictures, see `HierarchicalClassifier`."""

    value_range: tuple[float, float] = RANGES[0]
    colour: str = COLOURS[0]
    fetch: bool = False

    def check(self) -> None:
        """Raises InputError for values that are not known."""
        if not isinstance(self.value_range, tuple | list) or tuple(self.value_range) not in RANGES:
            raise InputError(f"value_range {shown(self.value_range)}: expected one of {RANGES}")
        check_choice("colour", self.colour, COLOURS)


class Picture(NamedTuple):
    """A picture: its path, address or row; the same for errors, always with the row; uint8[H, W]."""

    name: str
    place: str
    grey: np.ndarray


def pictures(source: Any, options: Options) -> Iterator[Picture]:
    """The pictures of a source: one, or those of a list, tuple, iterator or array of them, one at a time.

    Raises:
        InputError: unknown options, no picture, or something that is not one; in a list, with its row.
    """
    options.check()
    return (picture(item, options, row) for row, item in rows(source))


def picture(item: Any, options: Options, row: int | None = None) -> Picture:
    """One picture; `row` is its place in a list.

    Raises:
        InputError: it cannot be read, or is not a picture.
    """
    place = _SINGLE if row is None else f"row {row}"
    try:
        name, grey = _read(item, place, options)
    except InputError as error:
        listed = row is not None and not str(error).startswith(f"{place}: ")
        raise InputError(f"{place}: {error}" if listed else str(error)) from None
    return Picture(name, name if row is None or name == place else f"{place}: {name}", grey)


def rows(source: Any) -> Iterator[tuple[int | None, Any]]:
    """The pictures of a source and their rows, before they are read; a single one has no row.

    Raises:
        InputError: there is none.
    """
    source = _as_array(source)
    several = isinstance(source, list | tuple) or (isinstance(source, Iterator) and not _reader(source))
    if isinstance(source, np.ndarray) and source.ndim > 2:
        several = source.ndim == 4 or source.shape[-1] not in CHANNELS
    if not several:
        yield None, source
        return
    row = -1
    for row, item in enumerate(source):
        yield row, item
    if row < 0:
        raise InputError(f"no pictures in {shown(source)}; {EXPECTED}")


def shown(value: Any) -> str:
    """A value in one line of at most SHOWN characters."""
    text = " ".join(_REPR.repr(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _as_array(value: Any) -> Any:
    """Arrays of other libraries as NumPy's, an array of texts as a list, and everything else unchanged."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.ndim == 1:
        return value.tolist()
    convert = getattr(value, "__array__", None)
    if isinstance(value, np.ndarray | np.generic) or not callable(convert) or _is_pillow(value):
        return value
    try:
        return _as_array(np.asarray(value))
    except Exception as error:  # for example a tensor on another device
        raise InputError(f"{shown(value)}: not an array ({first_line(error)}); {EXPECTED}") from None


def _is_pillow(value: Any) -> bool:
    from PIL import Image

    return isinstance(value, Image.Image)


def _reader(value: Any) -> Any:
    """The method `read` of an open file, else None."""
    method = getattr(value, "read", None)
    return method if callable(method) else None


def _read(item: Any, name: str, options: Options) -> tuple[str, np.ndarray]:
    """The name of a picture, `name` if it has none, and its pixels."""
    item = _as_array(item)
    if isinstance(item, str):
        return _read_text(item, name, options)
    if isinstance(item, os.PathLike):
        try:
            path = os.fsdecode(item)
        except TypeError as error:
            raise InputError(f"{name}: not a path ({first_line(error)})") from None
        return path, images.read(path)
    if isinstance(item, bytes | bytearray | memoryview):
        try:
            data = bytes(item)
        except ValueError as error:  # a released memoryview
            raise InputError(f"{name}: cannot be read ({first_line(error)})") from None
        return name, images.read(data, name)
    if isinstance(item, np.ndarray):
        return name, _read_array(item, name, options)
    if _is_pillow(item):
        return name, images.grey(item, name)
    if _reader(item):
        return _read_file(item, name)
    raise InputError(f"{name}: not a picture: {shown(item)}; {EXPECTED}")


def _read_text(text: str, name: str, options: Options) -> tuple[str, np.ndarray]:
    if text[:8].lower().startswith(("http://", "https://")):
        if not options.fetch:
            raise InputError(f"{shown(text)}: addresses are read with fetch=True only")
        from hierarchy.data.fetch import fetch

        return text, images.read(fetch(text), text)
    with error_context(name):
        data = base64_text.decode(text)
    if data is not None:
        return name, images.read(data, name)
    return text, images.read(text, text if len(text) < 256 and text.isprintable() and text else shown(text))


def _read_file(file: Any, name: str) -> tuple[str, np.ndarray]:
    """An open file from its start, or from where it is if it cannot be rewound."""
    path = getattr(file, "name", None)
    name = path if isinstance(path, str) and path else name
    try:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        data = file.read(MAX_BYTES + 1)
    except Exception as error:  # closed, a directory, or a reader with another signature
        raise InputError(f"{name}: cannot be read ({first_line(error)})") from None
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InputError(f"{name}: expected bytes from read(), a file opened in mode 'rb', got {shown(data)}")
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: more than {MAX_BYTES // 10**6} MB")
    return name, images.read(bytes(data), name)


def _read_array(array: np.ndarray, name: str, options: Options) -> np.ndarray:
    got = f"{name}: an array of {array.dtype}{list(array.shape)}"
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in CHANNELS):
        raise InputError(f"{got}: expected height x width, or height x width x 1, 3 or 4 channels")
    if array.dtype.kind not in "uif" or array.dtype.names:
        raise InputError(f"{got}: expected uint8, other whole numbers from 0 to 255, or floats")
    with error_context(got):
        images.check_size(array.shape[1], array.shape[0])
    pixels = _eight_bits(array, got, options.value_range)
    pixels = pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)
    from PIL import Image

    if options.colour == COLOURS[1]:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]
    return images.grey(Image.fromarray(np.ascontiguousarray(pixels)), name)


def _eight_bits(array: np.ndarray, got: str, value_range: tuple[float, float]) -> np.ndarray:
    """uint8 of the same brightness, exact for floats that were made of uint8."""
    if array.dtype == np.uint8:
        return array
    floats = array.dtype.kind == "f"
    low, high = value_range if floats else RANGES[1]
    least, most = array.min(), array.max()
    if not low <= least <= most <= high:  # false for NaN
        hint = f"; value_range is one of {RANGES}" if floats else ""
        raise InputError(f"{got}: values from {least} to {most}, expected {low} to {high}{hint}")
    pixels = np.empty(array.shape, np.uint8)
    for row, values in zip(
        pixels, array, strict=True
    ):  # one at a time: in float64, all take eight times more
        row[:] = np.rint(values.astype(np.float64) * (255 / high))
    return pixels
