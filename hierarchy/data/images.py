"""Any picture a person can see becomes an upright grey array here; any other is refused here, in one line.

One decoder for everything: Pillow judges the size by the header before it decodes, keeps transparency,
knows EXIF, CMYK and float TIFF, says why a file is bad, and makes no difference between a file and its
bytes. (OpenCV drops transparency, gives no reason, and prints its own complaints.) Both are loaded at their
first use.
"""

import glob
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from hierarchy.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE: Final = 48  # pixels a side of a face; FER-2013's own size
MAX_PIXELS: Final = 50_000_000  # a grey picture of 50 MB, a decoded colour one of 200 MB

KINDS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")  # Pillow's names
SUFFIXES: Final[tuple[str, ...]] = tuple(
    ".png .apng .jpg .jpeg .jfif .gif .webp .bmp .tif .tiff .pgm .ppm .pbm .pnm .jp2 .j2k .avif".split()
)

_ALLOWED = f"allowed are {', '.join(KINDS)} of at most {MAX_PIXELS // 10**6} megapixels"
_FLOAT_WHITES = (1.0, 255.0, 65535.0)  # what float pictures mean by white
_ORIENTATION = 0x0112  # EXIF tag; its values 2-8 say how to turn the stored picture upright
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# Silencing warnings is process-wide: two threads must not restore each other's filters.
_LOCK = threading.Lock()


class SkippedImage(InputError):
    """Why a picture has no answer, or a folder no pictures; `path` is its name."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def read(source: str | Path | bytes, name: str | None = None, *, colour: bool = False) -> np.ndarray:
    """A picture as upright grey, uint8[H, W], H * W <= MAX_PIXELS; in `colour`, uint8[H, W, 3], RGB.

    Colour becomes ITU-R 601 luma; 8-bit grey comes back bit for bit. Transparent parts show white, as on a
    page. 16 bits keep their upper eight. Of an animation the first frame counts.

    Args:
        source: a path, or the bytes of a file.
        name: what to call the picture in errors; its path where none is given.
        colour: for showing; what the nets see is grey.

    Raises:
        InputError: missing, a folder, empty, unreadable, damaged, not a picture, or too large.
    """
    where = name or ("picture" if isinstance(source, bytes) else str(source))
    if isinstance(source, bytes):
        return _decode(BytesIO(source), where, colour)
    if os.path.isdir(source):
        raise InputError(f"{where}: a folder, not a picture; {_ALLOWED}")
    if not os.path.isfile(source):  # a device or a pipe might never end
        raise InputError(f"{where}: {'not a file' if os.path.exists(source) else 'no such file'}; {_ALLOWED}")
    try:
        with open(source, "rb") as file:
            return _decode(file, where, colour)
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror}); {_ALLOWED}") from error


def crop(grey: np.ndarray) -> np.ndarray:
    """The whole picture as the face: uint8[H, W] -> uint8[48, 48], both axes squeezed to fit; 48x48 as it is.

    An axis is averaged when it shrinks (no aliasing) and interpolated linearly when it grows (no overshoot).
    """
    import cv2

    height, width = (min(length, SIDE) for length in grey.shape)
    smaller = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(smaller, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def luma(picture: np.ndarray) -> np.ndarray:
    """Grey of a picture in memory, as `read` makes it: uint8[H,W,3], RGB -> uint8[H,W]."""
    from PIL import Image

    return np.array(Image.fromarray(picture).convert("L"))


def find(paths: Sequence[str]) -> Iterator[Path | InputError]:
    """The picture files behind files, folders and globs, one after another, each once.

    A folder stands for all pictures in and below it (by SUFFIXES, sorted, hidden ones left out); a glob for
    whatever its matches stand for, `**` for any depth. A file named outright is taken whatever its suffix:
    `read` judges it. Of a single folder, no more than one level of names is held at once.

    Yields:
        A file, the reason why a path has none, or why a folder's are not known, so that a caller can report
        that and answer the rest.
    """
    several = len(paths) > 1 or any(map(glob.has_magic, paths))
    seen: set[str] = set()  # absolute paths, so that a.png and ./a.png are one
    for path in paths:
        nothing = True
        for file in _expand(path):
            nothing = False
            if several and isinstance(file, Path):
                absolute = os.path.abspath(file)
                if absolute in seen:
                    continue
                seen.add(absolute)
            yield file
        if nothing:
            kinds = " ".join(SUFFIXES)
            yield InputError(f"{path}: {_absence(path)}; allowed are pictures ({kinds}), folders and globs")


def _expand(path: str) -> Iterator[Path | InputError]:
    if os.path.isdir(path):
        yield from _below(path)
    elif os.path.exists(path):
        yield Path(path)
    else:
        for match in sorted(glob.glob(path, recursive=True)):
            yield from _expand(match)


def _below(folder: str) -> Iterator[Path | InputError]:
    """The pictures in and below a folder, by name at every level; links to folders are not followed."""
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


def _absence(path: str) -> str:
    if os.path.isdir(path):
        return "no picture in this folder"
    return "nothing matches" if glob.has_magic(path) else "no such file or folder"


def _decode(file: BinaryIO, where: str, colour: bool) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    if not file.read(1):
        raise InputError(f"{where}: empty (0 bytes); {_ALLOWED}")
    try:
        with _LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no reason to speak; the size is judged below
            with Image.open(file, formats=KINDS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                picture.load()
                return _pixels(picture, "RGB" if colour else "L")
    except Image.DecompressionBombError as error:
        raise InputError(f"{where}: more than {MAX_PIXELS // 10**6} megapixels; {_ALLOWED}") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{where}: not a picture, or one with a damaged header; {_ALLOWED}") from error
    except Exception as error:  # decoders meet damaged bytes with nearly any exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{where}: truncated or damaged ({reason}); {_ALLOWED}") from error


def _pixels(picture: "Image", mode: str) -> np.ndarray:
    """The picture upright in Pillow's mode L or RGB."""
    from PIL import Image

    turn = _UPRIGHT.get(_orientation(picture))
    upright = picture if turn is None else picture.transpose(Image.Transpose[turn])
    if upright.mode.startswith("I") or upright.mode == "F":
        return np.array(Image.fromarray(_eight_bits(np.asarray(upright))).convert(mode))
    if not upright.has_transparency_data:
        return np.array((upright.convert("RGB") if upright.mode == "LAB" else upright).convert(mode))
    colour = upright.convert("RGBA")
    page = Image.new(mode, colour.size, "white")
    page.paste(colour.convert(mode), mask=colour.getchannel("A"))
    return np.array(page)


def _orientation(picture: "Image") -> int:
    try:
        return picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # a viewer shows a picture with damaged EXIF as it is stored, and so do we
        return 1


def _eight_bits(wide: np.ndarray) -> np.ndarray:
    """Wide integers or floats as uint8: by their white where it is known, else from darkest to brightest."""
    if wide.dtype.kind != "f" and wide.min() >= 0 and wide.max() <= 65535:
        return (wide >> 8).astype(np.uint8)  # exact for 8-bit values widened by 256 or by 257
    values = np.nan_to_num(wide.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    whites = [white for white in _FLOAT_WHITES if wide.dtype.kind == "f" and low >= 0 and high <= white]
    black, white = (0.0, whites[0]) if whites else (low, max(high, low + 1.0))
    return np.rint((values - black) * (255.0 / (white - black))).astype(np.uint8)
