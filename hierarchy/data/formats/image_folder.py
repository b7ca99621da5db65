"""Pictures in folders: `train/happy/123.png`, the split and the expression told by the folders' names.

Also FER+'s folders, which are written but not read: they hold votes in place of FER-2013's labels.
"""

import os
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.formats import ferplus
from hierarchy.errors import InputError, error_context
from hierarchy.taxonomy import FER7, expression

FOLDERS: Final = {Split.Training: "train", Split.PublicTest: "validation", Split.PrivateTest: "test"}
FERPLUS_FOLDERS: Final = {
    Split.Training: "FER2013Train",
    Split.PublicTest: "FER2013Valid",
    Split.PrivateTest: "FER2013Test",
}


def sources(folder: Path) -> tuple[Path, ...]:
    """Every picture at `folder/<split>/<expression>/`, sorted; none where no folder is named like a split.

    Raises:
        InputError: a split's folder holds no picture, or one whose folder tells no expression.
    """
    found: list[Path] = []
    for split in _folders(folder) if folder.is_dir() else []:
        if not splits.known(split.name):
            continue
        pictures = [file for inner in _folders(split) for file in _pictures(inner)]
        if not pictures:
            raise InputError(f"{split}: an empty split; allowed are pictures as <expression>/*.png below it")
        if stray := _stray(split):
            raise InputError(
                f"{stray}: has no expression; allowed are pictures as {split}/<expression>/*.png"
            )
        found += pictures
    return tuple(found)


def read(files: tuple[Path, ...]) -> FaceDataset:
    """Faces of picture files, each whole picture as the face, shrunk or grown to 48x48.

    Faces stand in the order of their files; but where every file's name is a number and no two are the same,
    those numbers are the rows and give the order, so that what `write` wrote comes back row for row.

    Raises:
        InputError: names the picture that cannot be read, or the folder that is no expression.
    """
    from hierarchy.data import images  # and OpenCV with it, which csv files can do without

    row = _numbers(files)
    if row is None:
        row = np.arange(len(files), dtype=np.int32)
    order = np.argsort(row)
    files = tuple(files[place] for place in order)
    label = np.array([_label(file.parent) for file in files], dtype=np.int8)
    split = np.array([splits.named(file.parents[1].name) for file in files], dtype=np.int8)
    return FaceDataset(
        pixels=np.stack([images.crop(images.read(file)) for file in files]),
        label=label,
        split=splits.add_validation_split(label, split),
        row=row[order],
        source=f"{files[0].parents[2].resolve().name}/",
        paths=tuple("/".join(file.parts[-3:]) for file in files),
    )


def write(faces: FaceDataset, folder: Path) -> None:
    """One PNG a face at `folder/<split>/<expression>/<row>.png`; every face labelled."""
    for pixels, label, split, row in zip(faces.pixels, faces.label, faces.split, faces.row, strict=True):
        inner = folder / FOLDERS[Split(split)] / FER7[label]
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"{row:05d}.png").write_bytes(png(pixels))


def write_ferplus(faces: FaceDataset, folder: Path, names: Path | None) -> None:
    """What FER+'s own training reads: in a folder a split a PNG a face, and `label.csv` with names and votes.

    Args:
        faces: FER-2013's, `row` being the row in `fer2013.csv`; those without a name in FER+ are left out.
        folder: where FER2013Train, FER2013Valid and FER2013Test are made.
        names: the `fer2013new.csv` with names and votes.

    Raises:
        InputError: that file is not given, is bad, or is not about these faces.
    """
    if names is None:
        raise InputError(f"layout ferplus needs {ferplus.FILE} for the names of its pictures")
    ballot = ferplus.read(names)
    if faces.row.max(initial=0) >= len(ballot.name) or (ballot.split[faces.row] != faces.split).any():
        raise InputError(f"{names}: not about {faces.source}, whose rows or splits are others")
    for split, name in FERPLUS_FOLDERS.items():
        (folder / name).mkdir(parents=True)
        with open(folder / name / "label.csv", "w", newline="\n", encoding="utf-8") as table:
            for place in np.flatnonzero(faces.split == split):
                row = faces.row[place]
                if picture := ballot.name[row]:
                    (folder / name / picture).write_bytes(png(faces.pixels[place]))
                    table.write(",".join([picture, *(f"{vote:.0f}" for vote in ballot.votes[row])]) + "\n")


def png(pixels: np.ndarray) -> bytes:
    """A grey picture, uint8[H, W], as a PNG file's bytes: lossless."""
    import cv2

    return cv2.imencode(".png", pixels)[1].tobytes()


def _folders(folder: Path) -> list[Path]:
    # a listing knows which entries are folders without asking for each of thousands of pictures
    with os.scandir(folder) as entries:
        names = [each.name for each in entries if each.is_dir() and not each.name.startswith(".")]
    return sorted(folder / name for name in names)


def _pictures(folder: Path) -> list[Path]:
    from hierarchy.data import images

    found = [file for file in folder.iterdir() if file.name.lower().endswith(images.SUFFIXES)]
    return sorted((file for file in found if not file.name.startswith(".")), key=str)


def _stray(split: Path) -> Path | None:
    """A picture of a split that lies in no expression's folder, or below one."""
    deeper = [folder for inner in _folders(split) for folder in _folders(inner)]
    while deeper:
        folder = deeper.pop()
        deeper += _folders(folder)
        if pictures := _pictures(folder):
            return pictures[0]
    return next(iter(_pictures(split)), None)


def _numbers(files: tuple[Path, ...]) -> np.ndarray | None:
    """The files' names as numbers, int32[N]; None unless all are numbers, and no two the same."""
    stems = [file.stem for file in files]
    if not all(stem.isascii() and stem.isdigit() and len(stem) < 10 for stem in stems):
        return None
    numbers = np.array(stems, dtype=np.int32)
    return numbers if len(np.unique(numbers)) == len(numbers) else None


def _label(folder: Path) -> int:
    with error_context(str(folder)):
        return FER7.index(expression(folder.name))
