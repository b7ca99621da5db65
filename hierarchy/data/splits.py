"""Splits of a data set: by the names of the source, and a validation split taken from Training."""

from typing import Final

import numpy as np

from hierarchy.data.dataset import FaceDataset, Origin, Split
from hierarchy.errors import InputError

NAMES: Final = {
    **dict.fromkeys(("training", "train"), Split.Training),
    **dict.fromkeys(("publictest", "public", "validation", "valid", "val"), Split.PublicTest),
    **dict.fromkeys(("privatetest", "private", "test"), Split.PrivateTest),
}
VALIDATION_SHARE: Final = 3589 / (28709 + 3589)  # FER-2013's own share of PublicTest besides PrivateTest


def named(name: str) -> Split:
    """The split that a name such as `Training`, `val` or ` test` stands for.

    Raises:
        InputError: no split has this name.
    """
    if (plain := name.strip().lower()) not in NAMES:
        raise InputError(f"unknown split {name.strip()[:40]!r}: expected one of {', '.join(NAMES)}")
    return NAMES[plain]


def select_split(faces: FaceDataset, split: Split) -> FaceDataset:
    """The faces of a split.

    Raises:
        InputError: there are none.
    """
    selected = faces.of(split)
    if not len(selected):
        counts = ", ".join(f"{other.name} {(faces.split == other).sum()}" for other in Split)
        raise InputError(f"{faces.source}: no face in split {split.name} (there are {counts})")
    return selected


def add_validation_split(
    label: np.ndarray, split: np.ndarray, seed: int = 2013, origin: np.ndarray | None = None
) -> np.ndarray:
    """Turn the same share of each label's Training rows into PublicTest, if there is no such row yet.

    Args:
        label: int8[N], label codes.
        split: int8[N], values of Split.
        seed: the same seed selects the same rows.
        origin: int8[N], values of Origin: generated rows stay; None: there are none.

    Returns:
        int8[N]; `split` itself where it has PublicTest rows already, or no Training row.
    """
    if (split == Split.PublicTest).any():
        return split
    generator = np.random.default_rng(seed)
    out = split.copy()
    eligible = split == Split.Training
    if origin is not None:
        eligible &= origin != Origin.generated
    for code in np.unique(label):
        rows = np.flatnonzero((label == code) & eligible)
        out[generator.permutation(rows)[: round(len(rows) * VALIDATION_SHARE)]] = Split.PublicTest
    return out
