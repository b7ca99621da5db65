"""Generated faces among those of Training, where a leaf has fewer faces than the most frequent one."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from hierarchy import fileio
from hierarchy.backends import COMMANDS, KERAS, Backend
from hierarchy.config.schema import Recipe
from hierarchy.data import cache, loading
from hierarchy.data.dataset import FaceDataset, Origin, Split
from hierarchy.data.formats.ferplus import CHOICES
from hierarchy.errors import COMMAND, InputError
from hierarchy.manifest import FER2013_LABELS
from hierarchy.taxonomy import FLAT, Tree
from hierarchy.training.generators import generator

log = logging.getLogger(__name__)

POOL_SEED: Final = 0  # of the faces that `train --generated` adds: the same ones for every seed of a run


def recorded(name: str | None, backend: Backend) -> dict[str, dict[str, str]]:
    """What a manifest records of the generator that adds faces: name -> checksum of its net; empty for None.

    Raises:
        InputError: it is missing, damaged or not finished, or the backend has no generators.
    """
    if name is None:
        return {}
    if backend.name != KERAS:
        raise InputError(f"--generated needs Keras, not {backend.name}: use {COMMANDS[KERAS]}")
    found = generator(name)
    found.net()
    if not found.record().finished:
        again = f"{COMMAND} generate train --run {name} --resume"
        raise InputError(f"generator {name!r} is not finished; continue it with: {again}")
    return {"generated": {name: found.record().sha256}}


def described(faces: FaceDataset, recipe: Recipe) -> dict[str, Any]:
    """What a run's manifest records of its data, with the generated faces that the recipe adds."""
    about = loading.describe(faces, recipe.tree)
    if added := sum(needed(faces, recipe.tree, _largest(recipe)).values()):
        before = about["origins"].get(Origin.generated.name, 0)
        about["origins"][Origin.generated.name] = before + added
    return about


def check(identity: Mapping[str, Any], faces: FaceDataset, recipe: Recipe) -> None:
    """Check that the generator of a run is the recorded one, with a class for every leaf that needs faces.

    Log whether it learned from another data set.

    Raises:
        InputError: it is not, or has none.
    """
    for name, checksum in identity.get("generated", {}).items():
        record = generator(name).record()
        if record.sha256 != checksum:
            raise InputError(f"generator {name!r} has changed since the run was begun; use another --run")
        _codes(record.classes, recipe.tree, needed(faces, recipe.tree, _largest(recipe)), name)
        other = record.data.get("fingerprint") != identity["data"]["fingerprint"]
        if other and identity["labels"] == FER2013_LABELS:
            log.info(
                f"generator {name!r} was trained on a different dataset; its training set may overlap "
                "this run's test set"
            )


def _largest(recipe: Recipe) -> float:
    return max(fit.generated_share for fit in recipe.fits)


def needed(faces: FaceDataset, tree: Tree, share: float) -> dict[str, int]:
    """How many generated faces fill a share of each leaf's gap to the most frequent leaf of Training."""
    target = faces.of(Split.Training).target(tree, FLAT)
    count = np.bincount(target[target >= 0], minlength=len(tree.leaves))
    gaps = (count.max() - count).tolist()
    return {leaf: round(share * gap) for leaf, gap in zip(tree.leaves, gaps, strict=True)}


def _codes(classes: Sequence[str], tree: Tree, counts: Mapping[str, int], name: str) -> np.ndarray:
    """A class of the generator for each face of `needed`, int64[N], leaf by leaf."""
    parts = [np.zeros(0, np.int64)]
    for leaf, count in counts.items():
        codes = [code for code, each in enumerate(classes) if tree.leaf_named(each) == leaf]
        if count and not codes:
            raise InputError(f"generator {name!r} has no class for {leaf!r}: it has {', '.join(classes)}")
        parts.append(np.resize(np.array(codes, np.int64), count))
    return np.concatenate(parts)


def pool(
    identity: Mapping[str, Any], training: FaceDataset, recipe: Recipe, backend: Backend
) -> FaceDataset | None:
    """The generated faces of the largest share of a recipe, drawn once and kept in the cache; None: none.

    Raises:
        InputError: as `check`.
    """
    if "generated" not in identity:
        return None
    ((name, checksum),) = identity["generated"].items()
    classes = generator(name).record().classes
    code = _codes(classes, recipe.tree, needed(training, recipe.tree, _largest(recipe)), name)

    def draw() -> FaceDataset:
        log.info(f"drawing {len(code):,} faces by generator {name!r}")
        return as_dataset(backend.sample(generator(name).net(), len(classes), code, POOL_SEED), code, classes)

    return cache.kept(fileio.sha256(checksum.encode() + code.tobytes())[:24], draw)


def as_dataset(pixels: np.ndarray, code: np.ndarray, classes: tuple[str, ...]) -> FaceDataset:
    """Generated faces uint8[N,48,48] of classes int[N] as a data set of Training rows."""
    n = len(code)
    return FaceDataset(
        pixels,
        code.astype(np.int8),
        np.full(n, Split.Training, np.int8),
        np.arange(n, dtype=np.int32),
        source=Origin.generated.name,
        names=classes,
        origin=np.full(n, Origin.generated, np.int8),
    )


def mixed(training: FaceDataset, drawn: FaceDataset | None, tree: Tree, share: float) -> FaceDataset:
    """Training faces, followed by those of a pool that a share asks for."""
    if not share or drawn is None:
        return training
    label = drawn.target(tree, FLAT)
    counts = needed(training, tree, share).values()
    rows = [np.flatnonzero(label == code)[:count] for code, count in enumerate(counts)]
    extra = drawn.take(np.concatenate(rows))
    if training.votes is not None:  # nobody voted on them
        extra = replace(extra, votes=np.zeros((len(extra), len(CHOICES)), training.votes.dtype))
    return FaceDataset.joined([training, extra], training.source)
