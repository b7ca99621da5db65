"""Kaggle's csv files by their names: which lie in a folder, and which belong together.

`fer2013.csv` and `icml_face_data.csv` hold all of FER-2013 and take FER+'s `fer2013new.csv` with them where
it lies beside them; `train.csv` and `test.csv` are two parts of one set.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy.data import csv_layout, ferplus
from hierarchy.data.faces import Faces

FER2013: Final = ("fer2013.csv", "fer2013.csv.gz")
ICML: Final = ("icml_face_data.csv", "icml_face_data.csv.gz")
TRAIN: Final = ("train.csv", "train.csv.gz")
TEST: Final = ("test.csv", "test.csv.gz")


def sources(path: Path) -> tuple[Path, ...]:
    """A folder's `fer2013.csv`, or a file itself, whatever its name; and FER+'s votes on it."""
    if path.is_dir():
        return whole(path, FER2013)
    return whole(path.parent, (path.name,)) if path.name in FER2013 + ICML else (path,)


def whole(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """The first of these files that is in the folder, and FER+'s votes where they lie beside it."""
    found = _first(folder, names)
    return found and found + _first(folder, (ferplus.FILE,))


def read_whole(files: tuple[Path, ...]) -> Faces:
    """Faces of one csv file, with FER+'s votes where a second file holds them."""
    faces = csv_layout.read(files[0])
    return ferplus.attach(faces, files[1]) if len(files) > 1 else faces


def challenge(folder: Path) -> tuple[Path, ...]:
    """A folder's `train.csv` and `test.csv`, or the one of them that is there."""
    return _first(folder, TRAIN) + _first(folder, TEST)


def read_challenge(files: tuple[Path, ...]) -> Faces:
    """Faces of one or both files of the challenge; the second one's rows count on from the first's."""
    parts = [csv_layout.read(file) for file in files]
    label = np.concatenate([part.label for part in parts])
    return replace(
        parts[0],
        pixels=np.concatenate([part.pixels for part in parts]),
        label=label,
        split=np.concatenate([part.split for part in parts]),
        row=np.arange(len(label), dtype=np.int32),
        source=" and ".join(part.source for part in parts),
    )


def _first(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """The first of these files that is in the folder, as a tuple of one, or none."""
    return tuple(folder / name for name in names if (folder / name).is_file())[:1]
