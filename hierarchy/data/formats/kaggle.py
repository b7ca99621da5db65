"""Kaggle's csv files by their names: which lie in a folder, and which belong together.

`fer2013.csv` and `icml_face_data.csv` hold all of FER-2013 and take FER+'s `fer2013new.csv` with them where
it lies beside them; `sketch.csv` holds drawn faces; `train.csv` and `test.csv` are two parts of one set.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy.data.dataset import SKETCH, FaceDataset, Split
from hierarchy.data.formats import fer2013_csv, ferplus

FER2013: Final = ("fer2013.csv", "fer2013.csv.gz")
ICML: Final = ("icml_face_data.csv", "icml_face_data.csv.gz")
DRAWN: Final = (f"{SKETCH}.csv", f"{SKETCH}.csv.gz")
TRAIN: Final = ("train.csv", "train.csv.gz")
TEST: Final = ("test.csv", "test.csv.gz")


def sources(path: Path) -> tuple[Path, ...]:
    """A folder's `fer2013.csv`, else its `sketch.csv`; or a file itself, whatever its name; and its votes."""
    if path.is_dir():
        return whole(path, FER2013) or _first(path, DRAWN)
    return whole(path.parent, (path.name,)) if path.name in FER2013 + ICML else (path,)


def whole(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """The first of these files that is in the folder, and FER+'s votes where they lie beside it."""
    found = _first(folder, names)
    return found and found + _first(folder, (ferplus.FILE,))


def read_whole(files: tuple[Path, ...]) -> FaceDataset:
    """Faces of one csv file, with FER+'s votes where a second file holds them."""
    faces = fer2013_csv.read(files[0])
    return ferplus.attach(faces, files[1]) if len(files) > 1 else faces


def challenge(folder: Path) -> tuple[Path, ...]:
    """A folder's `train.csv` and `test.csv`, or the one of them that is there."""
    return _first(folder, TRAIN) + _first(folder, TEST)


def read_challenge(files: tuple[Path, ...]) -> FaceDataset:
    """Faces of one or both files of the challenge; the second one's rows count on from the first's."""
    parts = [fer2013_csv.read(file) for file in files]
    whole = FaceDataset.joined(parts, " and ".join(part.source for part in parts))
    return replace(whole, row=np.arange(len(whole), dtype=np.int32))


def write_challenge(faces: FaceDataset, folder: Path) -> None:
    """`train.csv` of the Training and PublicTest rows, `test.csv` of the PrivateTest rows; neither if empty.

    A round trip keeps the pixels, the order inside each file, which rows are PrivateTest, and the labels of
    the others. PrivateTest rows lose their labels and come last, rows are counted anew, and the PublicTest
    rows are chosen anew. Nothing says whether the faces are drawn.
    """
    held_out = faces.split == Split.PrivateTest
    for part, name, header in ((~held_out, TRAIN[0], "emotion,pixels"), (held_out, TEST[0], "pixels")):
        if part.any():
            fer2013_csv.write(faces.take(part), folder / name, header)


def _first(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """The first of these files that is in the folder, as a tuple of one, or none."""
    return tuple(folder / name for name in names if (folder / name).is_file())[:1]
