"""The type every data set becomes: 48x48 grey faces with labels, splits and optional FER+ votes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain
from typing import Final

import numpy as np

from hierarchy.data.images import SIDE
from hierarchy.errors import InputError
from hierarchy.runs import SKETCH
from hierarchy.taxonomy import FER7, node_target

UNLABELLED: Final = -1


class Split(IntEnum):
    """The role of a row: Training fits, PublicTest chooses, PrivateTest is reported."""

    Training = 0
    PublicTest = 1
    PrivateTest = 2


@dataclass(frozen=True)
class Faces:
    """N faces.

    Attributes:
        pixels: uint8[N, 48, 48], grey.
        label: int8[N], index into taxonomy.FER7, or -1 where unlabelled.
        split: int8[N], values of Split.
        row: int32[N], the row's number in its source, counted from 0, so that a face can be named later.
        votes: float32[N, 10] or None, FER+ tagger counts: FERPLUS8's eight, then unknown and not-a-face.
        source: where the faces come from, one line for reports: "sketch" when drawn, a file's name, or a
            folder's name and "/".
        paths: file of each face where the source is a folder, else None.
    """

    pixels: np.ndarray
    label: np.ndarray
    split: np.ndarray
    row: np.ndarray
    votes: np.ndarray | None = None
    source: str = ""
    paths: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        n = len(self.pixels)
        if self.pixels.shape != (n, SIDE, SIDE) or self.pixels.dtype != np.uint8:
            raise InputError(
                f"faces are uint8[N,{SIDE},{SIDE}], not {self.pixels.dtype}{list(self.pixels.shape)}"
            )
        columns = (self.label, self.split, self.row, self.votes, self.paths)
        if any(column is not None and len(column) != n for column in columns):
            raise InputError(f"{self.source or 'faces'}: {n} faces, but a column of another length")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def drawn(self) -> bool:
        """Whether they are sketches: drawn here, or read from a file that `layouts.export` named sketch."""
        return self.source == SKETCH or self.source.startswith(f"{SKETCH}.")

    @classmethod
    def joined(cls, parts: Sequence["Faces"], source: str) -> "Faces":
        """One or more sets as one, in order; row numbers as they are, votes and paths if every part has them.

        Args:
            parts: at least one.
            source: of the whole.
        """
        votes = [part.votes for part in parts if part.votes is not None]
        paths = [part.paths for part in parts if part.paths is not None]
        return cls(
            pixels=np.concatenate([part.pixels for part in parts]),
            label=np.concatenate([part.label for part in parts]),
            split=np.concatenate([part.split for part in parts]),
            row=np.concatenate([part.row for part in parts]),
            votes=np.concatenate(votes) if len(votes) == len(parts) else None,
            source=source,
            paths=tuple(chain(*paths)) if len(paths) == len(parts) else None,
        )

    def take(self, rows: np.ndarray) -> "Faces":
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
        )

    def of(self, split: Split) -> "Faces":
        """The faces of one split."""
        return self.take(self.split == split)

    def target(self, node: str) -> np.ndarray:
        """Class index of each face at a node, int64[N]; -1 where the node does not train on the face."""
        table = np.array([node_target(node, name) for name in FER7] + [-1])  # the last: unlabelled
        return table[self.label]

    def for_node(self, node: str) -> "Faces":
        """The faces a node trains on: labelled, and of an expression below the node."""
        return self.take(self.target(node) >= 0)

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows of each split and expression."""
        return {
            split.name: {
                name: int(((self.split == split) & (self.label == code)).sum())
                for code, name in enumerate(FER7)
            }
            for split in Split
            if (self.split == split).any()
        }
