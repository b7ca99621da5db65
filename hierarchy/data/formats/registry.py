"""All formats of public data sets: recognised by the files at a path, read into FaceDataset, and written.

DATA_FORMATS is the whole list, in order of preference where a folder holds several.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy import runs
from hierarchy.data import cache
from hierarchy.data.dataset import UNLABELLED, FaceDataset, Split
from hierarchy.data.formats import fer2013_csv, image_folder, parquet
from hierarchy.errors import InputError, encodable, error_context, printable

Sources = tuple[Path, ...]
Reader = Callable[[Sources], FaceDataset]
FERPLUS: Final = "ferplus"
MAX_BAD: Final = 1000  # rows of a file that are named one by one


@dataclass(frozen=True)
class DataFormat:
    """One format of faces on disk."""

    description: str  # its files
    write: Callable[..., None]  # faces into an empty folder; for FERPLUS, with the path of fer2013new.csv
    sources: Callable[[Path], Sources] = lambda path: ()  # its files at a path, a file or a folder
    read: Reader | None = None  # faces of these files; None where the format is only written


DATA_FORMATS: Final[dict[str, DataFormat]] = {
    "csv": DataFormat(
        "fer2013.csv, sketch.csv or .csv.gz", fer2013_csv.write, fer2013_csv.sources, fer2013_csv.read
    ),
    "icml": DataFormat(
        fer2013_csv.ICML,
        partial(fer2013_csv.write, name=fer2013_csv.ICML, header="emotion, Usage, pixels"),
        partial(fer2013_csv.with_votes, name=fer2013_csv.ICML),
        fer2013_csv.read,
    ),
    "challenge": DataFormat(
        "train.csv and test.csv", fer2013_csv.write_challenge, fer2013_csv.challenge, fer2013_csv.read
    ),
    "parquet": DataFormat("*.parquet", parquet.write, parquet.sources, parquet.read),
    "folders": DataFormat(
        "train|validation|test/<expression>/*.png",
        image_folder.write,
        image_folder.sources,
        image_folder.read,
    ),
    FERPLUS: DataFormat("FER2013Train/label.csv", image_folder.write_ferplus),
}


def read(path: str | Path) -> FaceDataset:
    """The faces at a file or folder, from the cache if they were parsed before.

    A folder that holds several formats is read by the first of DATA_FORMATS, a plain file before a gzipped
    one. A file not named .parquet is read as CSV.

    Raises:
        InputError: nothing readable there, a name that is not UTF-8, or a fault, named with file and line.
    """
    reader, sources = _reader(Path(path))
    for place in map(os.path.abspath, (path, *sources)):  # runs and reports record them
        if not encodable(place):
            raise InputError(f"{place}: expected a name in UTF-8")
    faces = cache.through(sources, lambda: reader(sources))
    return replace(faces, source=printable(faces.source))


def faces(path: Path) -> Iterator[np.ndarray | InputError]:
    """The pixels of each row of a CSV or Parquet file, or why it has none; uint8[48, 48], one row at a time.

    Labels and splits are not read.

    Raises:
        InputError: no such file, no column of pixels, a fault of the file, or more than MAX_BAD bad rows.
    """
    _reader(path)
    bad = 0
    for face in (parquet.faces if path.suffix == ".parquet" else fer2013_csv.faces)(path):
        bad += isinstance(face, InputError)
        if bad > MAX_BAD:
            raise InputError(f"{path}: more than {MAX_BAD:,} bad rows; the following ones are not read")
        yield face


def find(data: str | Path | None) -> Path | None:
    """Where the data set is: `data`, else `$FER2013_DIR`, else the folder `data/` if it holds one, else None.

    Raises:
        InputError: `data` or the variable names a place with nothing readable.
    """
    if data:
        _reader(Path(data))
        return Path(data)
    if variable := os.environ.get("FER2013_DIR"):
        with error_context("$FER2013_DIR"):
            return find(variable)
    default = runs.home() / "data"
    return default if holds_faces(default) else None


def holds_faces(folder: Path) -> bool:
    """Whether a folder contains a readable format; the cache below it does not count."""
    return folder.is_dir() and any(entry.sources(folder) for entry in DATA_FORMATS.values())


def export(faces: FaceDataset, target: Path, layout: str, names: Path | None = None) -> Path:
    """Write faces in a format; the whole folder appears, or nothing does.

    Drawn faces become `sketch.csv` or `sketch.parquet`, from which they are known as drawn when they are
    read; the other formats have fixed names and do not store it. Generated faces are written as Parquet only,
    which has a column for it.

    Args:
        faces: labelled; but PrivateTest rows need no label in "challenge", and none does in "ferplus".
        target: a folder, new or empty, which is returned.
        layout: a name in DATA_FORMATS.
        names: FER+'s `fer2013new.csv`; "ferplus" takes picture names and votes from it.

    Raises:
        InputError: no such format, a target in use, faces without labels, generated ones, a missing `names`,
            or a full disk.
    """
    if layout not in DATA_FORMATS:
        raise InputError(f"unknown format {layout!r}: expected one of {', '.join(DATA_FORMATS)}")
    refused = (faces.label == UNLABELLED) & (layout != FERPLUS)  # which holds votes instead
    if layout == "challenge":
        refused &= faces.split != Split.PrivateTest
    if refused.any():
        row = faces.row[np.argmax(refused)]
        raise InputError(f"{faces.source}: row {row} has no label; format {layout} needs one")
    if layout != "parquet" and faces.generated.any():
        raise InputError(f"{faces.source}: holds generated faces; expected the format parquet, not {layout}")
    more = (names,) if layout == FERPLUS else ()
    try:
        _write_whole(target, lambda folder: DATA_FORMATS[layout].write(faces, folder, *more))
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})") from None
    return target


def _reader(path: Path) -> tuple[Reader, Sources]:
    """How to read a path, and the files to read."""
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        if not (path.is_file() or path.is_dir()):  # a device or a pipe might never end
            raise InputError(f"{path}: not a file")
        for entry in DATA_FORMATS.values():
            if entry.read and (sources := entry.sources(path)):
                if other := next((file for file in sources if not file.is_file()), None):
                    raise InputError(f"{other}: not a file")
                return entry.read, sources
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    known = "; ".join(entry.description for entry in DATA_FORMATS.values() if entry.read)
    raise InputError(f"{path}: contains no faces; expected one of {known}")


def _write_whole(target: Path, write: Callable[[Path], None]) -> None:
    """Fill a hidden folder beside the target, then rename it."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: already exists; expected a new or empty folder")
    parent = Path(os.path.abspath(target)).parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as temporary:
        folder = Path(temporary) / "whole"
        folder.mkdir()
        write(folder)
        if target.exists():
            target.rmdir()  # empty; not every system renames onto a folder
        shutil.move(folder, target)
