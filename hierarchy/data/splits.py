"""Which split a row belongs to: by the name its source gives, or carved out of the training rows."""

from typing import Final

import numpy as np

from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.errors import InputError

NAMES: Final[dict[str, Split]] = {
    "training": Split.Training,
    "train": Split.Training,
    "publictest": Split.PublicTest,
    "public": Split.PublicTest,
    "validation": Split.PublicTest,
    "valid": Split.PublicTest,
    "val": Split.PublicTest,
    "privatetest": Split.PrivateTest,
    "private": Split.PrivateTest,
    "test": Split.PrivateTest,
}
CARVED: Final = 3589 / (28709 + 3589)  # FER-2013's own share of PublicTest in what is not PrivateTest


def known(name: str) -> bool:
    """Whether a name such as `Training`, `val` or ` test` stands for a split."""
    return name.strip().lower() in NAMES


def named(name: str) -> Split:
    """The split that a name stands for.

    Raises:
        InputError: no split has this name.
    """
    if not known(name):
        raise InputError(f"unknown split {name.strip()[:40]!r}: allowed are {', '.join(NAMES)}")
    return NAMES[name.strip().lower()]


def select_split(faces: FaceDataset, split: Split) -> FaceDataset:
    """The faces of a split that has some.

    Raises:
        InputError: it has none.
    """
    found = faces.of(split)
    if not len(found):
        there = ", ".join(f"{other.name} {(faces.split == other).sum()}" for other in Split)
        raise InputError(f"{faces.source}: no face in split {split.name} (there are {there})")
    return found


def add_validation_split(label: np.ndarray, split: np.ndarray, seed: int = 2013) -> np.ndarray:
    """Give a set without validation rows some: a share of each expression's Training rows becomes PublicTest.

    Args:
        label: int8[N], index into FER7.
        split: int8[N], values of Split.
        seed: the same seed picks the same rows.

    Returns:
        int8[N]; `split` itself where there is a PublicTest row already, or no Training row.
    """
    if (split == Split.PublicTest).any():
        return split
    generator = np.random.default_rng(seed)
    out = split.copy()
    for code in np.unique(label):
        rows = np.flatnonzero((label == code) & (split == Split.Training))
        out[generator.permutation(rows)[: round(len(rows) * CARVED)]] = Split.PublicTest
    return out
