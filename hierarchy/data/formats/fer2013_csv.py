"""Kaggle's CSV files, read and written: one face a line, its pixels as numbers separated by spaces.

`fer2013.csv` (emotion,pixels,Usage), `icml_face_data.csv` (emotion, Usage, pixels: names with leading
spaces), `train.csv` (no Usage: validation rows are split off), `test.csv` (only pixels: PrivateTest without
labels), also gzipped. Labels are FER-2013's codes or any names.
"""

import gzip
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import SIDE, FaceDataset, Split
from hierarchy.data.formats.codes import FER2013_NAMES
from hierarchy.data.formats.rows import Row, dataset
from hierarchy.errors import InputError, error_context

LABEL_COLUMNS: Final = ("emotion", "label", "expression")
HEADERS: Final = ({"label", "pixels", "usage"}, {"label", "pixels"}, {"pixels"})
MAX_HEADER: Final = 1000  # bytes; a binary file may have no line end at all
PIXELS: Final = SIDE * SIDE
NUMBERS: Final = tuple(map(str, range(256)))  # looking a pixel up is faster than formatting or parsing it
VALUES: Final = {f"{value:0{width}}".encode(): value for value in range(256) for width in (1, 2, 3)}


def read(*paths: Path) -> FaceDataset:
    """Faces of one or more CSV files; rows count on from file to file.

    Raises:
        InputError: names the file, the line as an editor counts it, and what is expected.
    """
    return dataset(chain(*map(_file, paths)), " and ".join(path.name for path in paths))


def write(faces: FaceDataset, path: Path, header: str) -> None:
    """Write faces as one CSV file, with codes where the names are FER-2013's, else with names.

    Args:
        faces: all labelled, where there is a column for labels.
        path: the file.
        header: line 1: columns emotion, pixels and Usage, or some of them, in any order.

    Raises:
        InputError: a label name contains a comma, quote or line end.
    """
    fer2013 = faces.names == FER2013_NAMES
    if bad := [name for name in faces.names if set(name) & set(',"\r\n')]:
        raise InputError(f"{faces.source}: label {bad[0]!r} cannot be written to a CSV file")
    columns = [name.strip().lower() for name in header.split(",")]
    with open(path, "w", newline="\n", encoding="utf-8") as stream:
        stream.write(f"{header}\n")
        for pixels, label, split in zip(faces.pixels, faces.label, faces.split, strict=True):
            cells = {"emotion": str(label) if fer2013 else faces.names[label], "usage": Split(split).name}
            cells["pixels"] = " ".join(map(NUMBERS.__getitem__, pixels.tobytes()))
            stream.write(",".join(cells[name] for name in columns) + "\n")


def _file(path: Path) -> Iterator[Row]:
    try:
        with cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as stream:
            yield from _rows(path, stream)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a complete gzip file ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _rows(path: Path, stream: BinaryIO) -> Iterator[Row]:
    column = _header(path, stream.readline(MAX_HEADER))
    held_out = "label" not in column or path.name.startswith("test")
    split = Split.PrivateTest if held_out else Split.Training
    pixels = numeric = None  # numeric: whether labels are codes, as the first one is
    for number, line in enumerate(stream, start=2):
        if not line.strip():
            continue
        with error_context(f"{path}: line {number}"):
            cells = [cell.strip(b' "\r\n') for cell in line.split(b",")]
            if len(cells) != len(column):
                raise InputError(f"{len(cells)} columns, but the header has {len(column)}")
            pixels, label = _pixels(cells[column["pixels"]]), None
            if "label" in column:
                text = cells[column["label"]]
                numeric = text.isdigit() if numeric is None else numeric
                label = _label(text, numeric)
            if "usage" in column:
                split = splits.named(cells[column["usage"]].decode(errors="replace"))
        yield Row(pixels, label, split, "usage" in column)
    if pixels is None:
        raise InputError(f"{path}: no face below the header")


def _header(path: Path, first: bytes) -> dict[str, int]:
    """Position of each column, by its name in lower case; the label column is called label."""
    names = [name.strip(' "\r\n').lower() for name in first.decode("utf-8-sig", errors="replace").split(",")]
    column = {"label" if name in LABEL_COLUMNS else name: place for place, name in enumerate(names)}
    if set(column) not in HEADERS or len(column) != len(names):
        missing = " and ".join(name for name in ("label", "pixels") if name not in column)
        wrong = f"missing column {missing}" if missing else "unexpected columns"
        raise InputError(f"{path}: {wrong}; line 1 must be emotion,pixels,Usage or emotion,pixels or pixels")
    return column


def _pixels(text: bytes) -> np.ndarray:
    """uint8[48, 48] of the numbers in a cell."""
    try:
        pixels = bytes(map(VALUES.__getitem__, text.split()))
    except KeyError as error:
        raise InputError(f"pixel {_short(error.args[0])}; expected whole numbers 0-255") from None
    if len(pixels) != PIXELS:
        raise InputError(f"{len(pixels)} pixels; expected {PIXELS} ({SIDE}x{SIDE})")
    return np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE)


def _label(text: bytes, numeric: bool) -> str:
    if not numeric and text and not text.isdigit():
        return text.decode(errors="replace")
    if numeric and text.isdigit() and len(text) == 1 and int(text) < len(FER2013_NAMES):
        return FER2013_NAMES[int(text)]
    codes = ", ".join(f"{code} {name}" for code, name in enumerate(FER2013_NAMES))
    expected = codes if numeric else "a name, as in the first row"
    raise InputError(f"unknown label {_short(text)}; expected {expected}")


def _short(text: bytes) -> str:
    """A cell for an error message, on one line."""
    return repr(text[:20].decode(errors="replace"))
