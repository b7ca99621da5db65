"""FER+: the votes of ten taggers on each face of FER-2013, and the labels computed from them.

E. Barsoum, C. Zhang, C. Canton Ferrer, Z. Zhang, "Training Deep Networks for Facial Expression Recognition
with Crowd-Sourced Label Distribution", ICMI 2016, arXiv:1608.01041; the votes are `fer2013new.csv` of its
repository (MIT licence). Its lines are in the order of `fer2013.csv` and are joined to it by that; the number
in a line's `Image name` is not its row, since lines without a face have no name.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import UNLABELLED, FaceDataset
from hierarchy.data.formats import FER2013_NAMES, FERPLUS_NAMES
from hierarchy.data.formats.rows import csv_rows
from hierarchy.errors import InputError, error_context
from hierarchy.taxonomy import Tree, spelling

FILE: Final = "fer2013new.csv"
CHOICES: Final = (*FERPLUS_NAMES, "unknown", "nf")  # a tagger's choices; nf: not a face
EMOTIONS: Final = len(FERPLUS_NAMES)
NAMES: Final = (*FER2013_NAMES, *(name for name in FERPLUS_NAMES if name not in FER2013_NAMES))
MODES: Final = ("majority", "probability")
LABELS: Final = ("fer2013", "ferplus")  # sources of the labels that a run is trained on and scored by


class Ballot(NamedTuple):
    """FER+'s file, one entry a line."""

    name: tuple[str, ...]  # of the picture, "" where the taggers saw no face
    split: np.ndarray  # int8[N], values of Split
    votes: np.ndarray  # float32[N, 10], in the order of CHOICES


def read(path: Path) -> Ballot:
    """All of `fer2013new.csv`.

    Raises:
        InputError: names the file, the line (the header is line 1) and what is expected.
    """
    names, split, votes = [], [], []
    for line, cells in csv_rows(path, _columns):
        names.append(cells["image name"])
        counts = [cells[choice] for choice in CHOICES]
        with error_context(f"{path}: line {line}"):
            if not all(count.isascii() and count.isdigit() and len(count) < 4 for count in counts):
                raise InputError("votes must be whole numbers from 0 to 999")
            if Path(names[-1]).name != names[-1]:  # names become files when folders are written
                raise InputError(f"picture name {names[-1]!r} is not a plain file name")
            split.append(splits.named(cells["usage"]))
        votes.append(list(map(int, counts)))
    return Ballot(tuple(names), np.array(split, np.int8), np.array(votes, np.float32))


def _columns(header: list[str]) -> list[str]:
    columns, wanted = list(map(spelling, header)), ("usage", "image name", *CHOICES)
    if missing := [name for name in wanted if name not in columns]:
        raise InputError(f"missing column {', '.join(missing)}; expected {', '.join(wanted)}")
    return columns


def attach(faces: FaceDataset, path: Path) -> FaceDataset:
    """FER-2013's faces with the votes of the `fer2013new.csv` at `path`, joined by row.

    Raises:
        InputError: the file is damaged, or describes other faces: another number of lines, or other splits.
    """
    ballot = read(path)
    if len(ballot.votes) != len(faces):
        raise InputError(f"{path}: votes on {len(ballot.votes)} faces, but {faces.source} has {len(faces)}")
    if len(other := np.flatnonzero(ballot.split != faces.split)):
        raise InputError(f"{path}: line {other[0] + 2}: Usage differs from the same line of {faces.source}")
    return replace(faces, votes=ballot.votes)


def relabelled(faces: FaceDataset, labels: str, tree: Tree) -> FaceDataset:
    """The same faces with the labels of FER-2013, or with those of FER+: the taggers' `plurality`.

    Raises:
        InputError: no such labels, or no votes.
    """
    if labels not in LABELS:
        raise InputError(f"unknown labels {labels!r}: expected one of {', '.join(LABELS)}")
    if labels == LABELS[0]:
        return faces
    if faces.votes is None:
        raise InputError(f"{faces.source}: no FER+ votes; put {FILE} beside it")
    names = tuple(name for name in NAMES if name in FER2013_NAMES or tree.leaf_named(name))
    label = plurality(faces.votes, tree).astype(np.int8)
    return replace(faces, label=label, names=names, source=f"{faces.source} by FER+ plurality")


def distribution(votes: np.ndarray, mode: str) -> np.ndarray:
    """The paper's training targets: a distribution over FERPLUS_NAMES for each face, or none.

    In both modes choices with a single vote are dropped first as noise; shares are of the remaining votes.
    majority: only the choice with more than half of them.
    probability: choices in order of votes, equal ones together, until they hold three quarters of the votes
    or are three; `unknown` and `not a face` end the list and are not on it. A face is left out when the
    list holds no more than half of the votes, or more than three choices. The paper samples a label from it
    at each step, or takes it whole.

    Args:
        votes: float[N, 10], in the order of CHOICES.
        mode: one of MODES.

    Returns:
        float32[N, 8]; rows sum to one, or are all zero where the face is left out, as are in both modes the
        faces that most taggers call unknown or not a face.

    Raises:
        InputError: unknown mode.
    """
    if mode not in MODES:
        raise InputError(f"unknown FER+ mode {mode!r}: expected one of {', '.join(MODES)}")
    counts = np.where(votes > 1, votes, 0).astype(np.float32)
    total = counts.sum(axis=1, keepdims=True)
    chosen = counts > total / 2 if mode == "majority" else _likeliest(counts, total)
    counted = counts[:, :EMOTIONS] * chosen[:, :EMOTIONS]
    return counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)  # a row left out stays 0 / 1


def _likeliest(counts: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The choices on the probability mode's list, bool[N, 10]; none in a row that is left out."""
    chosen = np.zeros(counts.shape, dtype=bool)
    active = total[:, 0] > 0
    for _ in range(3):  # each round adds at least one choice
        rest = np.where(chosen, 0, counts)
        tied = (rest == rest.max(axis=1, keepdims=True)) & (rest > 0) & active[:, None]
        active &= ~tied[:, EMOTIONS:].any(axis=1)
        chosen[:, :EMOTIONS] |= tied[:, :EMOTIONS]
        active &= (chosen.sum(axis=1) < 3) & ((counts * chosen).sum(axis=1) < 0.75 * total[:, 0])
    enough = ((counts * chosen).sum(axis=1) > total[:, 0] / 2) & (chosen.sum(axis=1) <= 3)
    return chosen & enough[:, None]


def plurality(votes: np.ndarray, tree: Tree) -> np.ndarray:
    """The choice of most taggers, int64[N], index into NAMES; -1 where that is not a leaf of the tree.

    All ten choices count, single votes too. -1: two choices share the most votes, or these went to a name
    that the tree lacks, unknown or not a face. On FER-2013's PrivateTest the default tree leaves 3,328 of
    3,589 faces, 3,300 of them among the 3,534 that FER-2013 itself does not call disgust.
    """
    known = [name in NAMES and tree.leaf_named(name) is not None for name in CHOICES]
    codes = [NAMES.index(name) if leaf else UNLABELLED for name, leaf in zip(CHOICES, known, strict=True)]
    unique = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(unique, np.array(codes)[votes.argmax(axis=1)], UNLABELLED)
