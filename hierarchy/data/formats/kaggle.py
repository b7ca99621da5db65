"""Kaggle's CSV files by their names: which are in a folder, and which belong together.

`fer2013.csv` and `icml_face_data.csv` hold all of FER-2013, and are read with FER+'s `fer2013new.csv` if that
is beside them; `sketch.csv` holds drawn faces; `train.csv` and `test.csv` are two parts of one data set.
"""

from pathlib import Path
from typing import Final

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
    """The first of these files that is in the folder, and the file of FER+ votes if there is one."""
    files = _first(folder, names)
    return files and files + _first(folder, (ferplus.FILE,))


def read_whole(files: tuple[Path, ...]) -> FaceDataset:
    """Faces of one CSV file, with the FER+ votes of a second file."""
    faces = fer2013_csv.read(files[0])
    return ferplus.attach(faces, files[1]) if len(files) > 1 else faces


def challenge(folder: Path) -> tuple[Path, ...]:
    """A folder's `train.csv` and `test.csv`, or the one of them that exists."""
    return _first(folder, TRAIN) + _first(folder, TEST)


def write_challenge(faces: FaceDataset, folder: Path) -> None:
    """`train.csv` of the Training and PublicTest rows, `test.csv` of the PrivateTest rows; neither if empty.

    A round trip keeps the pixels, the order inside each file, which rows are PrivateTest, and the labels of
    the others. PrivateTest rows lose their labels and come last, rows are renumbered, and the PublicTest rows
    are chosen again. Whether the faces are drawn is not stored.
    """
    held_out = faces.split == Split.PrivateTest
    for rows, name, header in ((~held_out, TRAIN[0], "emotion,pixels"), (held_out, TEST[0], "pixels")):
        if rows.any():
            fer2013_csv.write(faces.take(rows), folder / name, header)


def _first(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """The first of these files that is in the folder, as a tuple of one or none."""
    return tuple(folder / name for name in names if (folder / name).is_file())[:1]
