"""The type every data set becomes: 48x48 grey faces with labels, splits and optional FER+ votes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain
from typing import Final

import numpy as np

from hierarchy.data.formats.codes import FER2013_NAMES
from hierarchy.data.images import SIDE
from hierarchy.errors import InputError
from hierarchy.runs import SKETCH
from hierarchy.taxonomy import Tree

UNLABELLED: Final = -1


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
        row: int32[N], the row's number in its source, counted from 0, so that a face can be named later.
        votes: float32[N, 10] or None, FER+ tagger counts: FERPLUS8's eight, then unknown and not-a-face.
        source: where the faces come from, one line for reports: "sketch" when drawn, a file's name, or a
            folder's name and "/".
        paths: file of each face where the source is a folder, else None.
        names: what the labels mean, as the data set spells it; FER-2013's by default.
        origin: int8[N], values of Origin; by default real, or sketch where `source` is of drawn faces.

    Raises:
        InputError: columns of different lengths, another type or shape of pixels, generated test faces.
    """

    pixels: np.ndarray
    label: np.ndarray
    split: np.ndarray
    row: np.ndarray
    votes: np.ndarray | None = None
    source: str = ""
    paths: tuple[str, ...] | None = None
    names: tuple[str, ...] = FER2013_NAMES
    origin: np.ndarray = None  # type: ignore[assignment]  # filled in below

    def __post_init__(self) -> None:
        n = len(self.pixels)
        if self.pixels.shape != (n, SIDE, SIDE) or self.pixels.dtype != np.uint8:
            raise InputError(
                f"faces are uint8[N,{SIDE},{SIDE}], not {self.pixels.dtype}{list(self.pixels.shape)}"
            )
        if self.origin is None:
            origin = Origin.sketch if self.drawn else Origin.real
            object.__setattr__(self, "origin", np.full(n, origin, np.int8))
        columns = (self.label, self.split, self.row, self.votes, self.paths, self.origin)
        if any(column is not None and len(column) != n for column in columns):
            raise InputError(f"{self.source or 'faces'}: {n} faces, but a column of another length")
        if ((self.origin == Origin.generated) & (self.split != Split.Training)).any():
            raise InputError(f"{self.source or 'faces'}: generated faces belong to Training only")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def drawn(self) -> bool:
        """Whether they are sketches: drawn here, or read from a file that `layouts.export` named sketch."""
        return self.source == SKETCH or self.source.startswith(f"{SKETCH}.")

    @classmethod
    def joined(cls, parts: Sequence["FaceDataset"], source: str) -> "FaceDataset":
        """One or more sets as one, in order; row numbers as they are, votes and paths if every part has them.

        Args:
            parts: at least one.
            source: of the whole.
        """
        names = tuple(dict.fromkeys(chain(*(part.names for part in parts))))
        votes = [part.votes for part in parts if part.votes is not None]
        paths = [part.paths for part in parts if part.paths is not None]
        return cls(
            pixels=np.concatenate([part.pixels for part in parts]),
            label=np.concatenate([part.renamed(names).label for part in parts]),
            split=np.concatenate([part.split for part in parts]),
            row=np.concatenate([part.row for part in parts]),
            votes=np.concatenate(votes) if len(votes) == len(parts) else None,
            source=source,
            paths=tuple(chain(*paths)) if len(paths) == len(parts) else None,
            names=names,
            origin=np.concatenate([part.origin for part in parts]),
        )

    def renamed(self, names: tuple[str, ...]) -> "FaceDataset":
        """The same labels as indices into other names, which hold all of these."""
        table = np.array([*(names.index(name) for name in self.names), UNLABELLED], np.int8)
        return replace(self, label=table[self.label], names=names)

    def take(self, rows: np.ndarray) -> "FaceDataset":
        """The faces at `rows`: an index array, or a bool mask of length N."""
        index = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows)
        return replace(
            self,
            pixels=self.pixels[index],
            label=self.label[index],
            split=self.split[index],
            row=self.row[index],
            votes=None if self.votes is None else self.votes[index],
            paths=None if self.paths is None else tuple(self.paths[i] for i in index),
            origin=self.origin[index],
        )

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
        """Faces of each name that the tree lacks; FER-2013's names are listed even where there are none."""
        counts = {name: int((self.label == code).sum()) for code, name in enumerate(self.names)}
        return {name: count for name, count in counts.items() if tree.leaf_named(name) is None}

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
