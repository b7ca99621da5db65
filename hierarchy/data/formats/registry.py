"""Every layout the public data comes in: told apart by what lies at a path, read into Faces, and written.

The table LAYOUTS is the whole list, in the order of preference where a folder holds several.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy import runs
from hierarchy.data import cache
from hierarchy.data.dataset import SKETCH, UNLABELLED, FaceDataset, Split
from hierarchy.data.formats import fer2013_csv, image_folder, kaggle, parquet
from hierarchy.errors import InputError

Sources = tuple[Path, ...]
Reader = Callable[[Sources], FaceDataset]
Writer = Callable[[FaceDataset, Path, Path | None], None]


@dataclass(frozen=True)
class DataFormat:
    """One way faces lie on disk.

    Attributes:
        looks_like: what a person finds there.
        sources: the files of this layout at a path, a file or a folder; none where there is no such.
        read: faces of these files; None where the layout is written only.
        write: faces into an empty folder, with FER+'s `fer2013new.csv`; None where the layout is read only.
    """

    looks_like: str
    sources: Callable[[Path], Sources]
    read: Reader | None
    write: Writer | None


DATA_FORMATS: Final[dict[str, DataFormat]] = {
    "csv": DataFormat(
        "fer2013.csv, sketch.csv or .csv.gz",
        lambda path: () if path.suffix == ".parquet" else kaggle.sources(path),
        kaggle.read_whole,
        lambda faces, folder, _: fer2013_csv.write(
            faces, folder / f"{_stem(faces, 'fer2013')}.csv", "emotion,pixels,Usage"
        ),
    ),
    "icml": DataFormat(
        "icml_face_data.csv",
        lambda path: kaggle.whole(path, kaggle.ICML),
        kaggle.read_whole,
        lambda faces, folder, _: fer2013_csv.write(
            faces, folder / "icml_face_data.csv", "emotion, Usage, pixels"
        ),
    ),
    "challenge": DataFormat(
        "train.csv and test.csv",
        kaggle.challenge,
        kaggle.read_challenge,
        lambda faces, folder, _: kaggle.write_challenge(faces, folder),
    ),
    "parquet": DataFormat(
        "*.parquet",
        parquet.sources,
        parquet.read,
        lambda faces, folder, _: parquet.write(faces, folder / f"{_stem(faces, 'faces')}.parquet"),
    ),
    "folders": DataFormat(
        "train|validation|test/<expression>/*.png",
        image_folder.sources,
        image_folder.read,
        lambda faces, folder, _: image_folder.write(faces, folder),
    ),
    "ferplus": DataFormat("FER2013Train/label.csv", lambda path: (), None, image_folder.write_ferplus),
}


def read(path: str | Path) -> FaceDataset:
    """The faces at a file or folder, from the cache where they were parsed before.

    A folder that holds several layouts is read by the first of LAYOUTS: fer2013.csv (with the votes of a
    fer2013new.csv beside it), sketch.csv, icml_face_data.csv (as fer2013.csv), train.csv and test.csv,
    Parquet, picture folders. Of a plain and a gzipped file the plain one is read. A file not named .parquet
    is read as csv.

    Raises:
        InputError: nothing readable there, or a fault in it, named with file and line.
    """
    reader, sources = _sniff(Path(path))
    return cache.through(sources, lambda: reader(sources))


def find(data: str | Path | None) -> Path | None:
    """Where the data set is: `data`, else `$FER2013_DIR`, else the folder `data/` if it holds one, else None.

    Raises:
        InputError: `data` or the variable names a place with nothing readable.
    """
    for place, prefix in ((data, ""), (os.environ.get("FER2013_DIR"), "$FER2013_DIR: ")):
        if place:
            try:
                _sniff(Path(place))
            except InputError as error:
                raise InputError(f"{prefix}{error}") from None
            return Path(place)
    default = runs.home() / "data"
    return default if holds_faces(default) else None


def holds_faces(folder: Path) -> bool:
    """Whether there is a folder here in a layout that can be read; the cache below it does not count."""
    return folder.is_dir() and any(layout.read and layout.sources(folder) for layout in DATA_FORMATS.values())


def export(faces: FaceDataset, target: Path, layout: str, names: Path | None = None) -> Path:
    """Write faces in a layout, so that the whole folder appears or nothing does.

    Drawn faces become `sketch.csv` or `sketch.parquet`, so that they are still known for drawn when they are
    read; in the other layouts, whose names are fixed, that stays unsaid.

    Args:
        faces: labelled; but PrivateTest rows need no label in "challenge", and none does in "ferplus".
        target: a folder, not there yet or empty.
        layout: a name in LAYOUTS: csv, icml, challenge, parquet, folders or ferplus.
        names: FER+'s `fer2013new.csv`; "ferplus" takes picture names and votes from it.

    Returns:
        `target`.

    Raises:
        InputError: no such layout, a target in use, faces without labels, a missing `names`, or a full disk.
    """
    write = _writer(layout)
    _refuse_unlabelled(faces, layout)
    try:
        _write_whole(target, lambda folder: write(faces, folder, names))
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})") from None
    return target


def _sniff(path: Path) -> tuple[Reader, Sources]:
    """How to read a path, and the files to read."""
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        for layout in DATA_FORMATS.values():
            if layout.read and (sources := layout.sources(path)):
                return layout.read, sources
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    allowed = "; ".join(layout.looks_like for layout in DATA_FORMATS.values() if layout.read)
    raise InputError(f"{path}: no faces here; allowed are {allowed}")


def _writer(layout: str) -> Writer:
    writers = {name: entry.write for name, entry in DATA_FORMATS.items() if entry.write}
    if layout not in writers:
        raise InputError(f"unknown layout {layout!r}: allowed are {', '.join(writers)}")
    return writers[layout]


def _refuse_unlabelled(faces: FaceDataset, layout: str) -> None:
    if layout == "ferplus":  # it holds votes instead
        return
    refused = faces.label == UNLABELLED
    if layout == "challenge":
        refused &= faces.split != Split.PrivateTest
    if refused.any():
        row = faces.row[np.argmax(refused)]
        raise InputError(f"{faces.source}: row {row} has no label; layout {layout} needs one")


def _stem(faces: FaceDataset, usual: str) -> str:
    """The name of a file of faces, which tells where they are drawn."""
    return SKETCH if faces.drawn else usual


def _write_whole(target: Path, write: Callable[[Path], None]) -> None:
    """Fill a hidden folder beside the target, then give it the target's name."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: already there; allowed is a new or an empty folder")
    parent = Path(os.path.abspath(target)).parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as temporary:
        folder = Path(temporary) / "whole"
        folder.mkdir()
        write(folder)
        if target.exists():
            target.rmdir()  # empty, and not every system renames onto a folder
        shutil.move(folder, target)
