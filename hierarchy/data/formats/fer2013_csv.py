"""Kaggle's CSV files, read and written: one face a line, its pixels as numbers separated by spaces.

`fer2013.csv` (emotion,pixels,Usage) and `icml_face_data.csv` (emotion, Usage, pixels: names with leading
spaces) hold all of FER-2013, and are read with FER+'s `fer2013new.csv` if that is beside them; `sketch.csv`
holds drawn faces; `train.csv` (no Usage: validation rows are split off) and `test.csv` (only pixels:
PrivateTest without labels) are two parts of one data set. Also gzipped. Labels are FER-2013's codes or names.
"""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import SIDE, SKETCH, FaceDataset, Split
from hierarchy.data.formats import FER2013_NAMES, ferplus
from hierarchy.data.formats.rows import Row, csv_rows, dataset, label_name
from hierarchy.errors import InputError, error_context

FER2013: Final = "fer2013.csv"
DRAWN: Final = f"{SKETCH}.csv"
ICML: Final = "icml_face_data.csv"
TRAIN: Final = "train.csv"
TEST: Final = "test.csv"
LABEL_COLUMNS: Final = ("emotion", "label", "expression")
HEADERS: Final = ({"label", "pixels", "usage"}, {"label", "pixels"}, {"pixels"})
PIXELS: Final = SIDE * SIDE
DIGITS: Final = 10  # of a code at most
INDEX: Final = {"", "unnamed: 0", "index", "id"}  # columns that other programs write
NUMBERS: Final = tuple(map(str, range(256)))  # looking a pixel up is faster than formatting or parsing it
VALUES: Final = {f"{value:0{width}}": value for value in range(256) for width in (1, 2, 3)}


def sources(path: Path) -> tuple[Path, ...]:
    """A folder's `fer2013.csv`, else its `sketch.csv`; or a file itself, whatever its name; and its votes."""
    if path.is_dir():
        return with_votes(path, FER2013) or _first(path, DRAWN)
    if path.name.removesuffix(".gz") in (FER2013, ICML):
        return with_votes(path.parent, path.name)
    return () if path.suffix == ".parquet" else (path,)


def with_votes(folder: Path, name: str) -> tuple[Path, ...]:
    """A folder's CSV file of this name, and the file of FER+ votes if there is one."""
    files = _first(folder, name)
    return files and files + _first(folder, ferplus.FILE)


def challenge(folder: Path) -> tuple[Path, ...]:
    """A folder's `train.csv` and `test.csv`, or the one of them that exists."""
    return _first(folder, TRAIN) + _first(folder, TEST)


def read(files: Sequence[Path]) -> FaceDataset:
    """Faces of one or more CSV files, with FER+ votes if that is the last; rows count on from file to file.

    Raises:
        InputError: names the file, the line as an editor counts it, and what is expected.
    """
    votes = [file for file in files[1:] if file.name.startswith(ferplus.FILE)]
    tables = [file for file in files if file not in votes]
    faces = dataset(chain.from_iterable(map(_rows, tables)), " and ".join(table.name for table in tables))
    return ferplus.attach(faces, votes[0]) if votes else faces


def write(faces: FaceDataset, folder: Path, name: str = "", header: str = "emotion,pixels,Usage") -> None:
    """Write faces as one CSV file, with codes where the names are FER-2013's, else with names.

    Its name is by default sketch.csv for drawn faces, else fer2013.csv. The header, line 1, has columns
    emotion, pixels and Usage, or some of them, in any order; all faces are labelled where it has emotion.
    """
    fer2013 = faces.names == FER2013_NAMES
    columns = [name.strip().lower() for name in header.split(",")]
    path = folder / (name or (DRAWN if faces.drawn else FER2013))
    with open(path, "w", newline="", encoding="utf-8") as stream:
        stream.write(f"{header}\n")
        table = csv.writer(stream, lineterminator="\n")
        for pixels, label, split in zip(faces.pixels, faces.label, faces.split, strict=True):
            cells = {"emotion": label if fer2013 else faces.names[label], "usage": Split(split).name}
            cells["pixels"] = " ".join(map(NUMBERS.__getitem__, pixels.tobytes()))
            table.writerow(cells[name] for name in columns)


def write_challenge(faces: FaceDataset, folder: Path) -> None:
    """`train.csv` of the Training and PublicTest rows, `test.csv` of the PrivateTest rows; neither if empty.

    A round trip keeps the pixels, the order inside each file, which rows are PrivateTest, and the labels of
    the others. PrivateTest rows lose their labels and come last, rows are renumbered, and the PublicTest rows
    are chosen again. Whether the faces are drawn is not stored.
    """
    held_out = faces.split == Split.PrivateTest
    for rows, name, header in ((~held_out, TRAIN, "emotion,pixels"), (held_out, TEST, "pixels")):
        if rows.any():
            write(faces.take(rows), folder, name, header)


def _first(folder: Path, name: str) -> tuple[Path, ...]:
    """A folder's file of this name, or the gzipped one, as a tuple of one or none."""
    return tuple(file for file in (folder / name, folder / f"{name}.gz") if file.is_file())[:1]


def faces(path: Path) -> Iterator[np.ndarray | InputError]:
    """The pixels of each row, or why there are none, one row at a time; whatever the other columns hold.

    Raises:
        InputError: no column `pixels`, no row, or the file is damaged.
    """
    for line, cells in csv_rows(path, _named, strict=False):
        try:
            yield _pixels(cells.get("pixels", ""))
        except InputError as error:
            yield InputError(f"line {line}: {error}")


def _rows(path: Path) -> Iterator[Row]:
    numeric = None  # whether labels are codes, as the first one is
    for line, cells in csv_rows(path, _columns):
        held_out = "label" not in cells or path.name.startswith("test")
        split, label = Split.PrivateTest if held_out else Split.Training, cells.get("label")
        with error_context(f"{path}: line {line}"):
            pixels = _pixels(cells["pixels"])
            if label is not None:
                numeric = label.isdecimal() if numeric is None else numeric
                if label.isdecimal() != numeric or (numeric and len(label) > DIGITS):
                    kind = "code" if numeric else "name"
                    raise InputError(f"label {label!r:.40}; expected a {kind}, as in the first row")
                label = label_name(int(label) if numeric else label)
            if "usage" in cells:
                split = splits.named(cells["usage"])
        yield Row(pixels, label, split, "usage" in cells)


def _columns(header: list[str]) -> list[str]:
    """The columns of a header; that of the labels is called label, those that are not read keep their names.

    Where no column assigns splits, others than an index are refused: one of them may be a misspelt Usage.
    """
    columns = ["label" if name in LABEL_COLUMNS else name for name in header]
    other = set(columns) - set().union(*HEADERS)
    known = set(columns) - (other if "usage" in columns else other & INDEX)
    if known not in HEADERS or len(set(columns)) != len(columns):
        expected = "line 1 must be emotion,pixels,Usage or emotion,pixels or pixels"
        raise InputError(f"columns {','.join(header)!r:.60}; {expected}")
    return columns


def _named(header: list[str]) -> list[str]:
    """The columns of a header of which only `pixels` is read."""
    if header.count("pixels") != 1:
        raise InputError(f"columns {','.join(header)!r:.60}; expected one column pixels")
    return header


def _pixels(text: str) -> np.ndarray:
    """uint8[48, 48] of the numbers in a cell."""
    try:
        pixels = bytes(map(VALUES.__getitem__, text.split()))
    except KeyError as error:
        raise InputError(f"pixel {error.args[0]!r:.30}; expected whole numbers 0-255") from None
    if len(pixels) != PIXELS:
        raise InputError(f"{len(pixels)} pixels; expected {PIXELS} ({SIDE}x{SIDE})")
    return np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE)
