"""Rows that a reader yields, and the data set they make: label names get their codes here."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import UNLABELLED, FaceDataset
from hierarchy.data.formats.codes import FER2013_NAMES
from hierarchy.errors import InputError
from hierarchy.taxonomy import spelling


class Row(NamedTuple):
    """One face: uint8[48, 48], its label if it has one, its Split, and whether its file assigns splits."""

    pixels: np.ndarray
    label: str | None
    split: int
    assigned: bool


def dataset(rows: Iterable[Row], source: str) -> FaceDataset:
    """One or more rows in order; with a validation split from Training where no split was assigned.

    Raises:
        InputError: names `source`: more different labels than codes.
    """
    pixels, labels, roles, assigned = zip(*rows, strict=True)
    label, names = encode(labels)
    if len(names) > np.iinfo(np.int8).max:
        raise InputError(f"{source}: {len(names)} labels; expected at most {np.iinfo(np.int8).max}")
    split = np.array(roles, np.int8)
    if not all(assigned):
        split = splits.add_validation_split(label.astype(np.int8), split)
    row = np.arange(len(label), dtype=np.int32)
    return FaceDataset(np.stack(pixels), label.astype(np.int8), split, row, source=source, names=names)


def encode(labels: Sequence[str | None]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes of label names, int64[N], -1 for None; and the names that the codes mean.

    The names are FER2013_NAMES where all labels are spellings of these, else the labels themselves
    in lower case, sorted.
    """
    names: tuple[str, ...] = FER2013_NAMES
    plain = {label: spelling(label) for label in labels if label is not None}
    if not set(plain.values()) <= set(names):
        plain = {label: label.strip().lower() for label in plain}
        names = tuple(sorted(set(plain.values())))
    codes: dict[str | None, int] = {label: names.index(name) for label, name in plain.items()}
    return np.array([codes.get(label, UNLABELLED) for label in labels]), names
