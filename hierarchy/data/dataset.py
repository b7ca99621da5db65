"""FaceDataset: 48x48 grey faces with labels, splits, origins and optional FER+ votes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain
from typing import Any, Final

import numpy as np

from hierarchy.data.formats import FER2013_NAMES, UNLABELLED
from hierarchy.data.images import SIDE
from hierarchy.errors import InputError, first_line
from hierarchy.runs import SKETCH
from hierarchy.taxonomy import Tree

COLUMNS: Final = ("pixels", "label", "split", "row", "votes", "paths", "origin")  # an entry for each face


class Split(IntEnum):
    """The role of a row: Training fits, PublicTest chooses, PrivateTest is reported."""

    Training = 0
    PublicTest = 1
    PrivateTest = 2


class Origin(IntEnum):
    """Where a face comes from; test splits never hold generated ones."""

    real = 0
    sketch = 1
    generated = 2


@dataclass(frozen=True)
class FaceDataset:
    """N faces.

    Attributes:
        pixels: uint8[N, 48, 48], grey.
        label: int8[N], index into `names`, or -1 where unlabelled.
        split: int8[N], values of Split.
        row: int32[N], row number in the source, from 0; identifies a face in reports.
        votes: float32[N, 10] or None, FER+ tagger counts in the order of `ferplus.CHOICES`.
        source: one line for reports: "sketch" when drawn, a file's name, or a folder's name and "/".
        paths: str[N] or None, file of each face where the source is a folder.
        names: what the label codes mean, as the data set spells it; FER-2013's by default.
        origin: int8[N], values of Origin; by default real, or sketch where `source` is of drawn faces.

    Raises:
        InputError: columns of different lengths, another type or shape of pixels, labels outside of `names`,
            or generated test faces.
    """

    pixels: np.ndarray
    label: np.ndarray
    split: np.ndarray
    row: np.ndarray
    votes: np.ndarray | None = None
    source: str = ""
    paths: np.ndarray | None = None
    names: tuple[str, ...] = FER2013_NAMES
    origin: np.ndarray = None  # type: ignore[assignment]  # filled in below

    def __post_init__(self) -> None:
        n = len(as_pixels(self.pixels))
        if self.origin is None:
            origin = Origin.sketch if self.drawn else Origin.real
            object.__setattr__(self, "origin", np.full(n, origin, np.int8))
        columns = [getattr(self, name) for name in COLUMNS]
        if any(column is not None and len(column) != n for column in columns):
            raise InputError(f"{self.source or 'faces'}: {n} faces, but a column of another length")
        if n and not (UNLABELLED <= np.min(self.label) <= np.max(self.label) < len(self.names)):
            raise InputError(f"{self.source or 'faces'}: a label outside of -1 to {len(self.names) - 1}")
        if (self.generated & (self.split != Split.Training)).any():
            raise InputError(f"{self.source or 'faces'}: generated faces belong to Training only")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def drawn(self) -> bool:
        """Whether they are sketches: drawn here, or read from a file that `registry.export` named sketch."""
        return self.source == SKETCH or self.source.startswith(f"{SKETCH}.")

    @property
    def generated(self) -> np.ndarray:
        """Which faces are generated, bool[N]."""
        generated: np.ndarray = self.origin == Origin.generated
        return generated

    @classmethod
    def joined(cls, parts: Sequence["FaceDataset"], source: str) -> "FaceDataset":
        """One or more data sets as one, rows in order; votes and paths only if all parts have them."""
        names = tuple(dict.fromkeys(chain(*(part.names for part in parts))))
        codes = [np.array([*map(names.index, part.names), UNLABELLED], np.int8) for part in parts]
        parts = [
            replace(part, label=code[part.label], names=names)
            for part, code in zip(parts, codes, strict=True)
        ]
        columns = {name: [getattr(part, name) for part in parts] for name in COLUMNS}
        shared = {
            name: np.concatenate(arrays)
            for name, arrays in columns.items()
            if all(each is not None for each in arrays)
        }
        return cls(**shared, source=source, names=names)

    def take(self, rows: np.ndarray) -> "FaceDataset":
        """The faces at `rows`: an index array, or a bool mask of length N."""
        index = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        columns = {name: getattr(self, name) for name in COLUMNS}
        taken = {name: column[index] for name, column in columns.items() if column is not None}
        return replace(self, **taken)

    def of(self, split: Split) -> "FaceDataset":
        """The faces of one split."""
        return self.take(self.split == split)

    def target(self, tree: Tree, node: str) -> np.ndarray:
        """Class index of each face at a node, int64[N]; -1 where the node is not trained on the face."""
        table = [tree.class_index(node, tree.leaf_named(name)) for name in self.names]
        return np.array([*table, UNLABELLED])[self.label]

    def for_node(self, tree: Tree, node: str) -> "FaceDataset":
        """The faces that a node is trained on: labelled, and of a leaf below the node."""
        return self.take(self.target(tree, node) >= 0)

    def left_out(self, tree: Tree) -> dict[str, int]:
        """Number of faces of each name that the tree lacks, zeros included."""
        lacking = [name for name in self.names if tree.leaf_named(name) is None]
        return {name: int((self.label == self.names.index(name)).sum()) for name in lacking}

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows of each split and name."""
        return {
            split.name: {
                name: int(((self.split == split) & (self.label == code)).sum())
                for code, name in enumerate(self.names)
            }
            for split in Split
            if (self.split == split).any()
        }

    def origins(self) -> dict[str, int]:
        """Rows of each origin that occurs."""
        return {each.name: count for each in Origin if (count := int((self.origin == each).sum()))}


def from_rows(X: Any) -> Any:
    """Flat rows of pixels [N, 48 * 48] as faces [N,48,48] of the same type; anything else as it is.

    Raises:
        InputError: rows of another length.
    """
    rows: np.ndarray
    try:
        rows = np.empty(0) if isinstance(X, FaceDataset) else np.asarray(X)
    except ValueError:  # pictures of different sizes
        return X
    if rows.ndim != 2:
        return X
    if rows.shape[1] != SIDE * SIDE:
        expected = f"expected {SIDE * SIDE}, the pixels of {SIDE}x{SIDE} faces"
        raise InputError(f"faces: X has {rows.shape[1]} feature(s), {expected}")
    return rows.reshape(-1, SIDE, SIDE)


def as_pixels(X: Any) -> np.ndarray:
    """A FaceDataset, or an array of faces, as uint8[N,48,48].

    Raises:
        InputError: another type or shape.
    """
    pixels = X.pixels if isinstance(X, FaceDataset) else _array(X)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIDE, SIDE):
        hint = "; flat_rows=True takes rows of pixels" if pixels.shape[1:] == (SIDE * SIDE,) else ""
        got = f"{pixels.dtype}{list(pixels.shape)}"
        raise InputError(f"faces: expected uint8[N,{SIDE},{SIDE}], got {got}{hint}")
    return pixels


def _array(X: Any) -> np.ndarray:
    try:
        return np.asarray(X)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"faces: not an array ({first_line(error)})") from None
