"""Pictures in folders: `train/happy/123.png`, split and label given by the folders' names.

Also FER+'s folders, which are written but not read: they hold votes in place of FER-2013's labels.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy.data import images, splits
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.formats import ferplus
from hierarchy.data.formats.rows import Row, dataset
from hierarchy.errors import InputError

FOLDERS: Final = {Split.Training: "train", Split.PublicTest: "validation", Split.PrivateTest: "test"}
FERPLUS_FOLDERS: Final = dict(zip(Split, ("FER2013Train", "FER2013Valid", "FER2013Test"), strict=True))


def sources(folder: Path) -> tuple[Path, ...]:
    """All pictures at `folder/<split>/<expression>/`, sorted; none where no folder is named like a split.

    Raises:
        InputError: a split's folder holds no picture, or one outside of an expression's folder.
    """
    files: list[Path] = []
    for split in sorted(folder.iterdir()) if folder.is_dir() else []:
        if split.name.strip().lower() not in splits.NAMES or not split.is_dir():
            continue
        if not (pictures := sorted(_pictures(split))):
            raise InputError(f"{split}: no pictures; expected <expression>/*.png")
        if stray := [file for file in pictures if file.parents[1] != split]:
            raise InputError(f"{stray[0]}: has no expression; expected {split}/<expression>/*.png")
        files += pictures
    return tuple(files)


def _pictures(split: Path) -> Iterator[Path]:
    """Those in a split's folder, hidden ones excluded; links to folders are followed for expressions only."""

    def stop(error: OSError) -> None:
        raise error

    links = [each for each in split.iterdir() if each.is_symlink() and each.is_dir() and each.name[0] != "."]
    for top in (split, *links):
        for folder, inner, names in os.walk(top, onerror=stop):
            inner[:] = [name for name in inner if not name.startswith(".")]
            for name in names:
                if name.lower().endswith(images.SUFFIXES) and not name.startswith("."):
                    yield Path(folder, name)


def read(files: tuple[Path, ...]) -> FaceDataset:
    """Faces of picture files, each whole picture as the face, resized to 48x48.

    Faces are in the order of their files; but where all file names are different numbers, these are the rows
    and give the order, so that what `write` wrote is read back row for row.

    Raises:
        InputError: names the picture that cannot be read.
    """
    stems = [file.stem for file in files]
    numbered = all(stem.isascii() and stem.isdigit() and len(stem) < 10 for stem in stems)
    numbered = numbered and len(set(map(int, stems))) == len(stems)
    row = np.array(stems if numbered else range(len(files)), dtype=np.int32)
    order = np.argsort(row)
    files = tuple(files[place] for place in order)
    rows = (
        Row(images.crop(images.read(file)), file.parent.name, splits.named(file.parents[1].name), False)
        for file in files
    )
    paths = np.array(["/".join(file.parts[-3:]) for file in files])
    source = f"{files[0].parents[2].resolve().name}/"
    return replace(dataset(rows, source), row=row[order], paths=paths)


def write(faces: FaceDataset, folder: Path) -> None:
    """One PNG a face at `folder/<split>/<expression>/<row>.png`; all faces labelled.

    Raises:
        InputError: a label cannot be a folder's name.
    """
    unfit = re.compile(r"\.|.*[\0/]", re.DOTALL)
    if bad := [name for name in faces.names if unfit.match(name) or Path(name).name != name]:
        raise InputError(f"{faces.source}: label {bad[0]!r} cannot be the name of a folder")
    for pixels, label, split, row in zip(faces.pixels, faces.label, faces.split, faces.row, strict=True):
        inner = folder / FOLDERS[Split(split)] / faces.names[label]
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"{row:05d}.png").write_bytes(png(pixels))


def write_ferplus(faces: FaceDataset, folder: Path, names: Path | None) -> None:
    """The input of FER+'s training: for each split a folder of PNGs, and `label.csv` with names and votes.

    The names and votes are those of `fer2013new.csv`, at `names`, by the faces' rows; faces without a name
    there are left out.

    Raises:
        InputError: that file is not given, is damaged, or describes other faces.
    """
    if names is None:
        raise InputError(f"format ferplus needs {ferplus.FILE} for the names of its pictures")
    ballot = ferplus.read(names)
    if faces.row.max(initial=0) >= len(ballot.name) or (ballot.split[faces.row] != faces.split).any():
        raise InputError(f"{names}: rows or splits differ from those of {faces.source}")
    for split, name in FERPLUS_FOLDERS.items():
        (folder / name).mkdir(parents=True)
        with open(folder / name / "label.csv", "w", newline="\n", encoding="utf-8") as table:
            for place in np.flatnonzero(faces.split == split):
                row = faces.row[place]
                if picture := ballot.name[row]:
                    (folder / name / picture).write_bytes(png(faces.pixels[place]))
                    table.write(",".join([picture, *(f"{vote:.0f}" for vote in ballot.votes[row])]) + "\n")


def png(pixels: np.ndarray) -> bytes:
    """A grey picture, uint8[H, W], as the bytes of a PNG file: lossless."""
    import cv2

    return cv2.imencode(".png", pixels)[1].tobytes()
