"""Where a command's faces come from when the user names a place, and when not."""

import hashlib
import logging
from typing import Any, Final

import numpy as np

from hierarchy import runs
from hierarchy.data import download
from hierarchy.data.dataset import SKETCH, FaceDataset
from hierarchy.data.formats import registry
from hierarchy.errors import InputError
from hierarchy.taxonomy import LEFT_OUT

log = logging.getLogger(__name__)

SKETCHES: Final = 6000  # enough to learn the drawn expressions in minutes


def labelled_faces(data: str | None) -> FaceDataset:
    """Faces at `data`, a file, a folder, or the word sketch; else at $FER2013_DIR or in data/.

    Raises:
        InputError: nothing is found, or what is found cannot be read.
    """
    if data == SKETCH:
        return _drawn()
    place = registry.find(data)
    if place is None:
        raise InputError("no data: give --data PATH, set $FER2013_DIR, or fetch it with `data get`")
    return registry.read(place)


def training_faces(data: str | None) -> FaceDataset:
    """Faces to train on: as `labelled_faces`, else downloaded, else drawn, and loudly said so."""
    if data is not None or registry.find(None) is not None:
        return labelled_faces(data)
    try:
        return registry.read(download.get(runs.home() / "data"))
    except InputError as error:
        log.info(f"FER-2013: {error}")
    log.info("NO REAL FACES FOUND: training on drawn sketches. Their scores say nothing about photographs.")
    return _drawn()


def fingerprint(faces: FaceDataset) -> str:
    """Sixteen hex digits that change with any pixel, label or split."""
    digest = hashlib.sha256()
    for column in (faces.pixels, faces.label, faces.split):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:16]


def describe(faces: FaceDataset) -> dict[str, Any]:
    """What a run's card says of its data."""
    counts = faces.counts()
    left_out = {name: sum(split[name] for split in counts.values()) for name in LEFT_OUT}
    return {
        "source": faces.source,
        "fingerprint": fingerprint(faces),
        "left_out": left_out,
        "counts": counts,
    }


def _drawn() -> FaceDataset:
    from hierarchy.data.synthetic.sketch import (
        sketch_faces,  # needs OpenCV, which training on real faces does not
    )

    return sketch_faces(SKETCHES)
