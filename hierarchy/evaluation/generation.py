"""Train generators of faces, and sample data sets from them."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from hierarchy import fileio, runs
from hierarchy.data import loading
from hierarchy.data.dataset import UNLABELLED, FaceDataset, Split
from hierarchy.data.formats import parquet
from hierarchy.errors import COMMAND, InputError
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.training.generated_faces import as_dataset
from hierarchy.training.generators import LOCK, Generator, State, generator

log = logging.getLogger(__name__)

EPOCHS: Final = 40


def train(
    name: str, data: str | None, epochs: int | None, minutes: float | None, seed: int | None, resume: bool
) -> Generator:
    """Train a generator on Training faces; on resume, what is None is as the training was begun.

    Args:
        name: of the generator.
        data: as in `loading.training_faces`.
        epochs: None: EPOCHS.
        minutes: after which no epoch begins, over all resumptions; None: no limit.
        seed: None: 0.
        resume: continue the generator of that name.

    Raises:
        InputError: it exists and `resume` is not set; it was begun with another seed or data set; there are
            no labelled Training faces.
        KeyboardInterrupt: after the command to resume was logged.
    """
    place = generator(name)
    before = _before(place, resume)
    data = data or before.data
    faces = loading.training_faces(data)
    learned = learnable(faces)
    with fileio.exclusive_lock(place.log / LOCK, f"generator {name!r} is being trained by another process"):
        before = _before(place, resume)
        asked = {"epochs": epochs, "minutes": minutes, "seed": seed}
        state = msgspec.structs.replace(
            before,
            data=runs.SKETCH if faces.source == runs.SKETCH else data and os.path.abspath(data),
            fingerprint=loading.fingerprint(faces),
            **{key: value for key, value in asked.items() if value is not None},
        )
        for key in ("seed", "fingerprint") if before.rows else ():
            if getattr(before, key) != getattr(state, key):
                values = f"{key} {getattr(before, key)}, not {getattr(state, key)}"
                raise InputError(f"generator {name!r} was begun with {values}: choose another --run")
        place.save(state)
        try:
            if not state.done:
                _fit(place, state, learned)
        except KeyboardInterrupt:
            log.info(f"interrupted; resume with: {COMMAND} generate train --run {name} --resume")
            raise
        if not place.record().finished:
            place.amend({"finished": True})
    return place


def _before(place: Generator, resume: bool) -> State:
    """The training to continue, or one of nothing yet.

    Raises:
        InputError: the generator exists and `resume` is not set; its state is damaged.
    """
    begun = place.state()
    if not resume and (place.stored or (begun and begun.rows)):
        raise InputError(
            f"generator {place.name!r} exists: continue it with --resume, or choose another --run"
        )
    return begun if begun and resume else State(None, "", 0, EPOCHS)


def learnable(faces: FaceDataset) -> FaceDataset:
    """The labelled Training faces that are not generated themselves, with the names that occur.

    Raises:
        InputError: there are none.
    """
    own = faces.take((faces.split == Split.Training) & (faces.label != UNLABELLED) & ~faces.generated)
    if not len(own):
        raise InputError(f"{faces.source}: no labelled Training faces to learn from")
    codes, label = np.unique(own.label, return_inverse=True)
    return replace(own, label=label.astype(np.int8), names=tuple(own.names[code] for code in codes))


def _fit(place: Generator, state: State, faces: FaceDataset) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # oneDNN calls it an error that it computes no shapes
    KERAS_BACKEND.start()
    from hierarchy.models import generator_trainer

    data = {
        "source": faces.source,
        "fingerprint": state.fingerprint,
        "counts": faces.counts(),
        "origins": faces.origins(),
    }
    log.info(f"training generator {place.name} on {len(faces):,} faces of {faces.source}")
    about = {"classes": list(faces.names), "seed": state.seed, "data": data}
    generator_trainer.fit(place, state, faces, about)


def sample(name: str, count: int, classes: Sequence[str], seed: int, out: Path) -> FaceDataset:
    """Write a Parquet file of `count` generated Training faces of each class, all classes if none are named.

    Raises:
        InputError: the generator is missing or damaged, or lacks a class; the file exists.
    """
    place = generator(name)
    known = place.record().classes
    if unknown := [each for each in classes if each not in known]:
        raise InputError(
            f"generator {name!r} has no class {unknown[0]!r}: expected one of {', '.join(known)}"
        )
    if out.exists():
        raise InputError(f"{out}: already exists; expected a new file")
    code = np.repeat([known.index(each) for each in classes or known], count)
    faces = as_dataset(KERAS_BACKEND.sample(place.net(), len(known), code, seed), code, known)
    with fileio.atomic(out) as temporary:
        parquet.write_file(faces, temporary)
    return faces
