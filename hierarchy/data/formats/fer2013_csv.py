"""Kaggle's csv files, read and written: one face a line, its pixels as numbers separated by blanks.

`fer2013.csv` (emotion,pixels,Usage), `icml_face_data.csv` (emotion, Usage, pixels: names with leading
blanks), `train.csv` (no Usage: validation is carved out), `test.csv` (pixels alone: PrivateTest without
labels), also gzipped. A thousand lines are parsed at once; only where that fails are they searched one by
one for the culprit, so that a good file does not pay for the naming of a bad line.
"""

import gzip
import warnings
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import SIDE, UNLABELLED, FaceDataset, Split
from hierarchy.errors import InputError, error_context
from hierarchy.taxonomy import FER7

HEADERS: Final = ({"emotion", "pixels", "usage"}, {"emotion", "pixels"}, {"pixels"})
LONGEST_HEADER: Final = 1000  # bytes; a binary file may have no line end at all
PIXELS: Final = SIDE * SIDE
OTHER_BLANKS: Final = (b"\t", b"\r", b"\v", b"\f")  # part numbers too
CHUNK: Final = 1000  # lines parsed at once: about 20 MB of numbers
NUMBERS: Final = tuple(map(str, range(256)))  # looking a pixel up is twice as fast as writing it out


class Line(NamedTuple):
    """One line of the file: its number as an editor shows it (the header is 1), and its cells."""

    number: int
    cells: list[bytes]


def read(path: Path) -> FaceDataset:
    """Faces of one csv file.

    Raises:
        InputError: names the file, the line as an editor counts it, what is wrong and what is allowed.
    """
    try:
        with _open(path) as stream:
            return _faces(path, stream)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole gzip file ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def write(faces: FaceDataset, path: Path, header: str) -> None:
    """Write faces as one csv file.

    Args:
        faces: every one labelled, where there is a column for it.
        path: the file.
        header: line 1; its columns, blanks aside, are one of HEADERS in any order.
    """
    names = [name.strip().lower() for name in header.split(",")]
    with open(path, "w", newline="\n", encoding="ascii") as stream:
        stream.write(f"{header}\n")
        for pixels, label, split in zip(faces.pixels, faces.label, faces.split, strict=True):
            cells = {"emotion": str(label), "usage": Split(split).name}
            cells["pixels"] = " ".join(map(NUMBERS.__getitem__, pixels.tobytes()))
            stream.write(",".join(cells[name] for name in names) + "\n")


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else open(path, "rb")


def _faces(path: Path, stream: BinaryIO) -> FaceDataset:
    column = _header(path, stream.readline(LONGEST_HEADER))
    lines = _lines(path, stream, len(column))
    pixels, label, split = [], [], []
    while chunk := list(islice(lines, CHUNK)):
        pixels.append(_pixels(path, chunk, column["pixels"]))
        label += [_label(path, line, column) for line in chunk]
        split += [_split(path, line, column) for line in chunk]
    if not pixels:
        raise InputError(f"{path}: a header, but no face below it")
    labels, given = np.array(label, dtype=np.int8), np.array(split, dtype=np.int8)
    return FaceDataset(
        pixels=np.concatenate(pixels),
        label=labels,
        split=given if "usage" in column else splits.add_validation_split(labels, given),
        row=np.arange(len(labels), dtype=np.int32),
        source=path.name,
    )


def _header(path: Path, first: bytes) -> dict[str, int]:
    """Where each column stands, by its name in lower case."""
    names = [name.strip(' "\r\n').lower() for name in first.decode("utf-8-sig", errors="replace").split(",")]
    if set(names) not in HEADERS or len(set(names)) != len(names):
        missing = [name for name in ("emotion", "pixels") if name not in names]
        wrong = f"missing column {' and '.join(missing)}" if missing else "columns that no layout has"
        raise InputError(f"{path}: {wrong}; line 1 must be emotion,pixels,Usage or emotion,pixels or pixels")
    return {name: place for place, name in enumerate(names)}


def _lines(path: Path, stream: Iterable[bytes], columns: int) -> Iterator[Line]:
    """The lines that are not blank, cut into cells."""
    for number, text in enumerate(stream, start=2):
        if not text.strip():
            continue
        cells = [cell.strip(b' "\r\n') for cell in text.split(b",")]
        if len(cells) != columns:
            raise InputError(f"{path}: line {number}: {len(cells)} columns, but the header names {columns}")
        yield Line(number, cells)


def _pixels(path: Path, chunk: list[Line], place: int) -> np.ndarray:
    """uint8[len(chunk), SIDE, SIDE]: parsed at once, or line by line to find the culprit or pardon it."""
    texts = [line.cells[place] for line in chunk]
    # 2,303 blanks can part 2,304 numbers at most, so that no long line makes up for a short one
    if all(text.count(b" ") == PIXELS - 1 and not any(map(text.count, OTHER_BLANKS)) for text in texts):
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy's word for text that is no number
            try:
                values = np.fromstring(b" ".join(texts), dtype=np.int64, sep=" ")
            except (DeprecationWarning, ValueError):
                values = np.empty(0, dtype=np.int64)
        if values.size == PIXELS * len(chunk) and values.min() >= 0 and values.max() <= 255:
            return values.astype(np.uint8).reshape(-1, SIDE, SIDE)
    return np.stack([_face(path, line, place) for line in chunk])


def _face(path: Path, line: Line, place: int) -> np.ndarray:
    """uint8[SIDE, SIDE] of one line, or the reason why not."""
    texts = line.cells[place].split()
    where = f"{path}: line {line.number}"
    for text in texts:
        if not text.isdigit() or len(text) > 9 or int(text) > 255:
            raise InputError(f"{where}: pixel {_shown(text)}; allowed are whole numbers 0-255")
    if len(texts) != PIXELS:
        raise InputError(f"{where}: {len(texts)} pixels; allowed are {PIXELS} ({SIDE}x{SIDE})")
    return np.array([int(text) for text in texts], dtype=np.uint8).reshape(SIDE, SIDE)


def _label(path: Path, line: Line, column: dict[str, int]) -> int:
    if "emotion" not in column:
        return UNLABELLED
    text = line.cells[column["emotion"]]
    if text.isdigit() and len(text) == 1 and int(text) < len(FER7):
        return int(text)
    codes = ", ".join(f"{code} {name}" for code, name in enumerate(FER7))
    raise InputError(f"{path}: line {line.number}: unknown emotion {_shown(text)}; allowed are {codes}")


def _split(path: Path, line: Line, column: dict[str, int]) -> Split:
    if "usage" not in column:
        held_out = "emotion" not in column or path.name.startswith("test")
        return Split.PrivateTest if held_out else Split.Training
    with error_context(f"{path}: line {line.number}"):
        return splits.named(line.cells[column["usage"]].decode(errors="replace"))


def _shown(text: bytes) -> str:
    """A cell as an error shows it: short, on one line."""
    return repr(text[:20].decode(errors="replace"))
