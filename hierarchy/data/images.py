"""Decode any image into an upright grey array, or refuse it with one line.

One decoder for files and bytes: Pillow reads the size from the header before it decodes, keeps transparency,
knows EXIF, CMYK and float TIFF, and gives a reason when a file is damaged. (OpenCV drops transparency, gives
no reason, and prints its own warnings.) Both are imported at their first use.
"""

import functools
import importlib.util
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from hierarchy.errors import InputError, not_installed

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE: Final = 48  # pixels a side of a face, as in FER-2013
MAX_PIXELS: Final = 50_000_000  # 50 MB as grey, 200 MB as decoded colour
MAX_SIDE: Final = 65_535  # JPEG's maximum; Pillow holds a pointer for every row, which thin images multiply

KINDS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")  # Pillow's names
SUFFIXES: Final[tuple[str, ...]] = tuple(
    ".png .apng .jpg .jpeg .jfif .gif .webp .bmp .tif .tiff .pgm .ppm .pbm .pnm .jp2 .j2k .avif".split()
)

HEIF_SUFFIXES: Final = (".heic", ".heif")  # of phones; read if HEIF_LIBRARY is installed
HEIF_LIBRARY: Final = "pillow_heif"

_EXPECTED = (
    f"expected {', '.join(KINDS)} of at most {MAX_PIXELS // 10**6} megapixels and {MAX_SIDE:,} pixels a side"
)
SCANS: Final = 100  # of a JPEG of MAX_PIXELS; smaller ones may have more, of as many pixels together
_SCAN: Final = b"\xff\xda"  # the marker of a scan's start
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of TIFF
_FLOAT_WHITES = (1.0, 255.0, 65535.0)  # usual values of white in float images
logging.getLogger("PIL").addHandler(logging.NullHandler())  # its messages name no file
_FIRST = threading.Lock()  # who waits for room is not overtaken by smaller images
_CHANGED = threading.Condition()
_DECODED: list[int] = []  # pixels of the images that are decoded now


def read(source: str | Path | bytes, name: str | None = None, *, colour: bool = False) -> np.ndarray:
    """An image as upright grey, uint8[H, W], see `check_size`; in `colour`, uint8[H, W, 3], RGB.

    Colour becomes ITU-R 601 luma; 8-bit grey is returned bit for bit. Transparent parts become white. 16 bits
    keep their upper eight. Of an animation the first frame is read.

    Args:
        source: a path, or the bytes of a file.
        name: of the image in errors; default: its path.
        colour: for display; the nets take grey.

    Raises:
        InputError: missing, a folder, empty, unreadable, damaged, not an image, or too large.
    """
    return _read(source, name, "RGB" if colour else "L")[0]


def grey_and_colour(source: bytes, name: str | None = None) -> list[np.ndarray]:
    """An image as `read` gives it in grey and in colour, decoded once."""
    return _read(source, name, "L", "RGB")


def _read(source: str | Path | bytes, name: str | None, *modes: str) -> list[np.ndarray]:
    try:
        if isinstance(source, bytes):
            return _decode(BytesIO(source), *modes)
        if os.path.exists(source) and not os.path.isfile(source):  # a device or a pipe might never end
            raise InputError("not a file")
        with open(source, "rb") as file:
            return _decode(file, *modes)
    except (OSError, ValueError) as error:  # ValueError: InputError, and names that no file can have
        reason = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else error
        where = name or ("image" if isinstance(source, bytes) else source)
        raise InputError(f"{where}: {reason}; {_EXPECTED}") from error


def grey(picture: "Image", name: str = "image") -> np.ndarray:
    """A Pillow image as `read` gives its file: uint8[H, W]; the image is not changed.

    Raises:
        InputError: empty, damaged, or too large.
    """
    try:
        with _decoding():
            return _pixels(picture, "L")[0]
    except InputError as error:
        raise InputError(f"{name}: {error}; {_EXPECTED}") from error


def crop(grey: np.ndarray) -> np.ndarray:
    """The whole image as the face: uint8[H, W] -> uint8[48, 48], both axes resized; 48x48 is unchanged.

    An axis is averaged when it shrinks (no aliasing) and interpolated linearly when it grows (no overshoot).
    """
    if grey.shape == (SIDE, SIDE):
        return np.array(grey)
    import cv2

    height, width = (min(length, SIDE) for length in grey.shape)
    smaller = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(smaller, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def luma(picture: np.ndarray) -> np.ndarray:
    """Grey of an image in memory, as `read` computes it: uint8[H,W,3], RGB -> uint8[H,W]."""
    from PIL import Image

    return np.array(Image.fromarray(picture).convert("L"))


def check_size(width: int, height: int) -> None:
    """Raises InputError for an image without pixels, or of more than MAX_PIXELS or MAX_SIDE."""
    if not width * height:
        raise InputError("empty (0 pixels)")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(f"too large ({width}x{height} pixels)")


def suffixes() -> tuple[str, ...]:
    """The suffixes of images that can be read here."""
    return SUFFIXES + HEIF_SUFFIXES if importlib.util.find_spec(HEIF_LIBRARY) else SUFFIXES


def _decode(file: BinaryIO, *modes: str) -> list[np.ndarray]:
    from PIL import Image

    if not (head := file.read(32)):
        raise InputError("empty (0 bytes)")
    file.seek(0)
    with _decoding(), Image.open(file, formats=_heif() if _is_heif(head) else KINDS) as picture:
        return _pixels(picture, *modes)


def _is_heif(head: bytes) -> bool:
    """Whether a file of this beginning is HEIC or HEIF; the brands mif1 and msf1 may also be AVIF."""
    kind, brands = head[4:8], head[8:]
    return kind == b"ftyp" and (
        brands.startswith((b"hei", b"hev")) or (brands.startswith((b"mif1", b"msf1")) and b"heic" in brands)
    )


@functools.cache
def _heif() -> tuple[str, ...]:
    """Teach Pillow its name of HEIC and HEIF."""
    if importlib.util.find_spec(HEIF_LIBRARY) is None:
        raise not_installed(HEIF_LIBRARY)
    import pillow_heif

    pillow_heif.register_heif_opener()
    return ("HEIF",)


@contextmanager
def _decoding() -> Iterator[None]:
    """Turn the errors of Pillow inside into the reason of an InputError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with _silence():  # odd metadata is accepted; the size is checked
            yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError("too large") from error
    except UnidentifiedImageError as error:
        raise InputError("not a valid image, or its header is damaged") from error
    except Exception as error:  # decoders raise nearly any exception on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"truncated or damaged ({reason})") from error


class _Silence:
    """Warnings are ignored while any thread decodes: the filters are those of the process."""

    def __init__(self) -> None:
        self.lock, self.threads = threading.Lock(), 0
        self.before: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self.lock:
            if not self.threads:
                self.before = warnings.catch_warnings()
                self.before.__enter__()
                warnings.simplefilter("ignore")
            self.threads += 1
        try:
            yield
        finally:
            with self.lock:
                self.threads -= 1
                if not self.threads:
                    self.before.__exit__(None, None, None)


_silence = _Silence()


@contextmanager
def _room(pixels: int) -> Iterator[None]:
    """Wait until all threads decode at most MAX_PIXELS together: many images need no more memory than one."""
    with _FIRST, _CHANGED:
        _CHANGED.wait_for(lambda: sum(_DECODED) + pixels <= MAX_PIXELS)
        _DECODED.append(pixels)
    try:
        yield
    finally:
        with _CHANGED:
            _DECODED.remove(pixels)
            _CHANGED.notify_all()


def _pixels(picture: "Image", *modes: str) -> list[np.ndarray]:
    """The image upright in Pillow's modes L or RGB."""
    from PIL import ImageOps

    check_size(picture.width, picture.height)
    _check_parts(picture)
    with _room(picture.width * picture.height):
        picture.load()
        with suppress(Exception):  # damaged EXIF: viewers show the image as it is stored
            picture = ImageOps.exif_transpose(picture)
        return [_converted(picture, mode) for mode in modes]


def _check_parts(picture: Any) -> None:
    """Refuse what costs more than its pixels: tiles beyond a TIFF's size, scans of a JPEG over and over."""
    if picture.format == "TIFF":
        _silence_libtiff()
        check_size(*(int(picture.tag_v2.get(tag, 1)) for tag in (_TILE_WIDTH, _TILE_LENGTH)))
    if picture.format in ("JPEG", "MPO") and picture.fp:  # None: its pixels were decoded before
        file, left = picture.fp, SCANS * MAX_PIXELS / (picture.width * picture.height)
        place = file.tell()
        file.seek(0)
        while left >= 0 and (part := file.read(1 << 20)):
            left -= part.count(_SCAN)
        file.seek(place)
        if left < 0:
            raise InputError("too many scans for its size")


def _converted(picture: "Image", mode: str) -> np.ndarray:
    from PIL import Image

    if picture.mode.startswith("I") or picture.mode == "F":
        return np.array(Image.fromarray(_eight_bits(np.asarray(picture))).convert(mode))
    if not picture.has_transparency_data:
        return np.array((picture.convert("RGB") if picture.mode == "LAB" else picture).convert(mode))
    rgba = picture.convert("RGBA")
    page = Image.new(mode, rgba.size, "white")
    page.paste(rgba.convert(mode), mask=rgba.getchannel("A"))
    return np.array(page)


def _eight_bits(wide: np.ndarray) -> np.ndarray:
    """Wide integers or floats as uint8: scaled by their usual white, else from darkest to brightest."""
    if wide.dtype.kind != "f" and wide.min() >= 0 and wide.max() <= 65535:
        return (wide >> 8).astype(np.uint8)  # exact for 8-bit values widened by 256 or by 257
    values = np.nan_to_num(wide.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    whites = [white for white in _FLOAT_WHITES if wide.dtype.kind == "f" and low >= 0 and high <= white]
    black, white = (0.0, whites[0]) if whites else (low, max(high, low + 1.0))
    return np.rint((values - black) * (255.0 / (white - black))).astype(np.uint8)


@functools.cache
def _silence_libtiff() -> None:
    """Switch off what libtiff, inside Pillow's wheel, prints of damaged files; Pillow raises anyway."""
    import ctypes

    import PIL

    folder = Path(PIL.__file__).parent
    for file in (*folder.parent.glob("pillow.libs/libtiff*"), *folder.glob(".dylibs/libtiff*")):
        library = ctypes.CDLL(str(file))
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
