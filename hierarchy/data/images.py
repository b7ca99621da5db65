"""Decode any image into an upright grey array, or refuse it with one line.

One decoder for files and bytes: Pillow reads the size from the header before it decodes, keeps transparency,
knows EXIF, CMYK and float TIFF, and gives a reason when a file is damaged. (OpenCV drops transparency, gives
no reason, and prints its own warnings.) Both are imported at their first use.
"""

import glob
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from hierarchy.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE: Final = 48  # pixels a side of a face, as in FER-2013
MAX_PIXELS: Final = 50_000_000  # 50 MB as grey, 200 MB as decoded colour

KINDS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")  # Pillow's names
SUFFIXES: Final[tuple[str, ...]] = tuple(
    ".png .apng .jpg .jpeg .jfif .gif .webp .bmp .tif .tiff .pgm .ppm .pbm .pnm .jp2 .j2k .avif".split()
)

_EXPECTED = f"expected {', '.join(KINDS)} of at most {MAX_PIXELS // 10**6} megapixels"
_FLOAT_WHITES = (1.0, 255.0, 65535.0)  # usual values of white in float images
# Silencing warnings is process-wide: two threads must not restore each other's filters.
_LOCK = threading.Lock()


class SkippedImage(InputError):
    """An image that cannot be read, or a folder that cannot be listed; `path` is its name."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def read(source: str | Path | bytes, name: str | None = None, *, colour: bool = False) -> np.ndarray:
    """An image as upright grey, uint8[H, W], H * W <= MAX_PIXELS; in `colour`, uint8[H, W, 3], RGB.

    Colour becomes ITU-R 601 luma; 8-bit grey is returned bit for bit. Transparent parts become white. 16 bits
    keep their upper eight. Of an animation the first frame is read.

    Args:
        source: a path, or the bytes of a file.
        name: of the image in errors; default: its path.
        colour: for display; the nets take grey.

    Raises:
        InputError: missing, a folder, empty, unreadable, damaged, not an image, or too large.
    """
    try:
        if isinstance(source, bytes):
            return _decode(BytesIO(source), colour)
        if os.path.exists(source) and not os.path.isfile(source):  # a device or a pipe might never end
            raise InputError("not a file")
        with open(source, "rb") as file:
            return _decode(file, colour)
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
        if not picture.width * picture.height:
            raise InputError("empty (0 pixels)")
        with _decoding():
            return _pixels(picture, "L")
    except InputError as error:
        raise InputError(f"{name}: {error}; {_EXPECTED}") from error


def crop(grey: np.ndarray) -> np.ndarray:
    """The whole image as the face: uint8[H, W] -> uint8[48, 48], both axes resized; 48x48 is unchanged.

    An axis is averaged when it shrinks (no aliasing) and interpolated linearly when it grows (no overshoot).
    """
    import cv2

    height, width = (min(length, SIDE) for length in grey.shape)
    smaller = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(smaller, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def luma(picture: np.ndarray) -> np.ndarray:
    """Grey of an image in memory, as `read` computes it: uint8[H,W,3], RGB -> uint8[H,W]."""
    from PIL import Image

    return np.array(Image.fromarray(picture).convert("L"))


def find(paths: Sequence[str]) -> Iterator[Path | InputError]:
    """The image files of files, folders and globs, in order and without repeats.

    A folder gives all images in and below it (by SUFFIXES, sorted, hidden ones excluded); a glob gives its
    matches, `**` at any depth. A file given by name is taken whatever its suffix, and checked by `read`. Of a
    single folder, only one level of names is held in memory.

    Yields:
        A file; or an InputError where a path gives no file or a folder cannot be listed, so that a caller can
        report it and continue.
    """
    several = len(paths) > 1 or any(map(glob.has_magic, paths))
    seen: set[str] = set()  # absolute paths: a.png and ./a.png are the same file
    for path in paths:
        empty = True
        for file in _expand(path):
            empty = False
            if several and isinstance(file, Path):
                if (absolute := os.path.abspath(file)) in seen:
                    continue
                seen.add(absolute)
            yield file
        if empty:
            reason = "no match" if glob.has_magic(path) else "no such file or folder"
            reason = "no image in this folder" if os.path.isdir(path) else reason
            yield InputError(f"{path}: {reason}; expected images ({' '.join(SUFFIXES)}), folders or globs")


def _expand(path: str) -> Iterator[Path | InputError]:
    if os.path.isdir(path):
        yield from _below(path)
    elif os.path.exists(path):
        yield Path(path)
    else:
        for match in sorted(glob.glob(path, recursive=True)):
            yield from _expand(match)


def _below(folder: str) -> Iterator[Path | InputError]:
    """The images in and below a folder, by name at each level; links to folders are not followed."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield SkippedImage(folder, f"{folder}: cannot be read ({error.strerror})")
        return
    for name in names:
        path = os.path.join(folder, name)
        if name.startswith("."):
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            yield from _below(path)
        elif name.lower().endswith(SUFFIXES) and os.path.isfile(path):
            yield Path(path)


def _decode(file: BinaryIO, colour: bool) -> np.ndarray:
    from PIL import Image

    if not file.read(1):
        raise InputError("empty (0 bytes)")
    with _decoding(), Image.open(file, formats=KINDS) as picture:
        return _pixels(picture, "RGB" if colour else "L")


@contextmanager
def _decoding() -> Iterator[None]:
    """Turn the errors of Pillow inside into the reason of an InputError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with _LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is accepted; the size is checked
            yield
    except Image.DecompressionBombError as error:
        raise InputError(f"more than {MAX_PIXELS // 10**6} megapixels") from error
    except UnidentifiedImageError as error:
        raise InputError("not a valid image, or its header is damaged") from error
    except Exception as error:  # decoders raise nearly any exception on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"truncated or damaged ({reason})") from error


def _pixels(picture: "Image", mode: str) -> np.ndarray:
    """The image upright in Pillow's mode L or RGB."""
    from PIL import Image, ImageOps

    if picture.width * picture.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    picture.load()
    with suppress(Exception):  # damaged EXIF: viewers show the image as it is stored
        picture = ImageOps.exif_transpose(picture)
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
