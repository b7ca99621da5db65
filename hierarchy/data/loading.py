"""Load the faces of a command: from the place the user names, else from the default places."""

import hashlib
import logging
from typing import Any, Final

import numpy as np

from hierarchy import runs
from hierarchy.data import download
from hierarchy.data.dataset import SKETCH, FaceDataset
from hierarchy.data.formats import registry
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, Tree

log = logging.getLogger(__name__)

SKETCHES: Final = 6000  # enough to learn the drawn expressions in minutes


def labelled_faces(data: str | None) -> FaceDataset:
    """Faces at `data`, a file, a folder, or the word sketch; else at $FER2013_DIR or in data/.

    Raises:
        InputError: there is no data set, or it cannot be read.
    """
    if data == SKETCH:
        from hierarchy.data.synthetic.sketch import sketch_faces  # needs OpenCV, unlike a CSV file

        return sketch_faces(SKETCHES)
    place = registry.find(data)
    if place is None:
        looked = runs.home() / "data"
        raise InputError(
            f"no data in {looked}: give --data PATH, set $FER2013_DIR, or fetch it with `data get`"
        )
    return registry.read(place)


def training_faces(data: str | None) -> FaceDataset:
    """Faces to train on: as `labelled_faces`, else downloaded, else drawn, with a warning in the log."""
    if data is not None or registry.find(None) is not None:
        return labelled_faces(data)
    try:
        return registry.read(download.get(runs.home() / "data"))
    except InputError as error:
        log.info(f"FER-2013: {error}")
    log.info("NO REAL FACES FOUND: training on drawn sketches. Their scores say nothing about photographs.")
    return labelled_faces(SKETCH)


def fingerprint(faces: FaceDataset) -> str:
    """Sixteen hex digits that change with any pixel, label or split."""
    digest = hashlib.sha256()
    for column in (faces.pixels, faces.label, faces.split):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def describe(faces: FaceDataset, tree: Tree) -> dict[str, Any]:
    """What a run's manifest records of its data."""
    return {
        "source": faces.source,
        "fingerprint": fingerprint(faces),
        "left_out": faces.left_out(tree),
        "counts": faces.counts(),
        "origins": faces.origins(),
    }


def report_left_out(faces: FaceDataset, tree: Tree) -> None:
    """Log how many faces of each name have no leaf of the tree; nothing where there are none.

    Raises:
        InputError: no face has a leaf of the tree.
    """
    left_out = ", ".join(f"{name} {count}" for name, count in faces.left_out(tree).items() if count)
    if not (faces.target(tree, FLAT) >= 0).any():
        labels = left_out or "none"
        raise InputError(f"{faces.source}: no face has a label of the tree ({tree}); labels: {labels}")
    if left_out:
        log.info(f"left out, not in the tree: {left_out}")
