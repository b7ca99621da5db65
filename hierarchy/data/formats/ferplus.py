"""FER+: ten people's votes on every FER-2013 face, and what they add up to.

E. Barsoum, C. Zhang, C. Canton Ferrer, Z. Zhang, "Training Deep Networks for Facial Expression Recognition
with Crowd-Sourced Label Distribution", ICMI 2016, arXiv:1608.01041; the votes are `fer2013new.csv` of its
repository (MIT licence). Its lines stand in the order of `fer2013.csv` and are joined to it by that; the
number in a line's `Image name` is not its row, for lines without a face have no name.
"""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import FaceDataset
from hierarchy.errors import InputError, error_context
from hierarchy.taxonomy import ALIASES, FER7, FERPLUS8, LEAVES

FILE: Final = "fer2013new.csv"
CHOICES: Final = (*FERPLUS8, "unknown", "nf")  # what a tagger could choose; nf: not a face
EMOTIONS: Final = len(FERPLUS8)
MODES: Final = ("majority", "probability")
LABELS: Final = ("fer2013", "ferplus")  # whose labels a run learns and is scored by


class Ballot(NamedTuple):
    """FER+'s file, one entry a line.

    Attributes:
        name: picture names, "" where the taggers saw no face.
        split: int8[N], values of Split.
        votes: float32[N, 10], in the order of CHOICES.
    """

    name: tuple[str, ...]
    split: np.ndarray
    votes: np.ndarray


def read(path: Path) -> Ballot:
    """All of `fer2013new.csv`.

    Raises:
        InputError: names the file, the line (the header is line 1) and what is allowed.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            lines = list(_lines(path, csv.reader(stream)))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path}: not a text file with columns, as {FILE} is") from None
    if not lines:
        raise InputError(f"{path}: a header, but no votes below it")
    names, split, votes = zip(*lines, strict=True)
    return Ballot(names, np.array(split, dtype=np.int8), np.array(votes, dtype=np.float32))


def _lines(path: Path, table: Iterator[list[str]]) -> Iterator[tuple[str, int, list[int]]]:
    wanted = ("usage", "image name", *CHOICES)
    header = [ALIASES.get(cell.strip().lower(), cell.strip().lower()) for cell in next(table, [])]
    if missing := [name for name in wanted if name not in header]:
        raise InputError(f"{path}: missing column {', '.join(missing)}; line 1 must name {', '.join(wanted)}")
    places = [header.index(name) for name in wanted]
    for number, cells in enumerate(table, start=2):
        if len(cells) != len(header):
            raise InputError(f"{path}: line {number}: {len(cells)} columns, the header names {len(header)}")
        usage, name, *votes = (cells[place].strip() for place in places)
        if not all(vote.isascii() and vote.isdigit() for vote in votes):
            raise InputError(f"{path}: line {number}: a vote that is no whole number from 0")
        if Path(name).name != name:  # names become files when folders are written
            raise InputError(f"{path}: line {number}: picture name {name!r} is not a plain file name")
        with error_context(f"{path}: line {number}"):
            split = splits.named(usage)
        yield name, split, [int(vote) for vote in votes]


def attach(faces: FaceDataset, path: Path) -> FaceDataset:
    """FER-2013's faces with the votes of the `fer2013new.csv` at `path`, joined by row.

    Raises:
        InputError: the file is bad, or is not about these faces: another number of lines, or other splits.
    """
    ballot = read(path)
    if len(ballot.votes) != len(faces):
        raise InputError(f"{path}: votes on {len(ballot.votes)} faces, but {faces.source} has {len(faces)}")
    if len(other := np.flatnonzero(ballot.split != faces.split)):
        raise InputError(f"{path}: line {other[0] + 2}: another Usage than the same line of {faces.source}")
    return replace(faces, votes=ballot.votes)


def relabelled(faces: FaceDataset, labels: str) -> FaceDataset:
    """The same faces by the labels of FER-2013, or by those of FER+: what most taggers chose (`plurality`).

    Raises:
        InputError: no such labels, or no votes.
    """
    if labels not in LABELS:
        raise InputError(f"labels {labels!r}: allowed are {', '.join(LABELS)}")
    if labels == LABELS[0]:
        return faces
    if faces.votes is None:
        raise InputError(f"{faces.source}: no FER+ votes; lay {FILE} beside it")
    chosen = plurality(faces.votes).astype(np.int8)
    return replace(faces, label=chosen, source=f"{faces.source} by FER+ plurality")


def distribution(votes: np.ndarray, mode: str) -> np.ndarray:
    """What the paper's targets are made of: a distribution over FERPLUS8 a face, or none.

    In both modes a choice with a single vote is noise and dropped first; shares are of the votes that remain.
    majority: the choice with more than half of them, alone.
    probability: choices in order of votes, equal ones together, until they hold three quarters of the votes
    or are three; `unknown` and `not a face` end the list and are not on it. A face is left out when the
    list holds no more than half of the votes, or more than three choices. The paper draws a label from it a
    step, or takes it whole.

    Args:
        votes: float[N, 10], in the order of CHOICES.
        mode: one of MODES.

    Returns:
        float32[N, 8]; rows sum to one, or are all zero where the face is left out, as are in both modes the
        faces that most taggers call unknown or no face.

    Raises:
        InputError: there is no such mode.
    """
    if mode not in MODES:
        raise InputError(f"unknown FER+ mode {mode!r}: allowed are {', '.join(MODES)}")
    kept = np.where(votes > 1, votes, 0).astype(np.float32)
    total = kept.sum(axis=1, keepdims=True)
    chosen = kept > total / 2 if mode == "majority" else _likeliest(kept, total)
    counted = kept[:, :EMOTIONS] * chosen[:, :EMOTIONS]
    return counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)  # a row left out stays 0 / 1


def _likeliest(kept: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The choices on the probability mode's list, bool[N, 10]; none in a row that is left out."""
    chosen = np.zeros(kept.shape, dtype=bool)
    going = total[:, 0] > 0
    for _ in range(3):  # each round adds a choice at least
        rest = np.where(chosen, 0, kept)
        tied = (rest == rest.max(axis=1, keepdims=True)) & (rest > 0) & going[:, None]
        going &= ~tied[:, EMOTIONS:].any(axis=1)
        chosen[:, :EMOTIONS] |= tied[:, :EMOTIONS]
        going &= (chosen.sum(axis=1) < 3) & ((kept * chosen).sum(axis=1) < 0.75 * total[:, 0])
    enough = ((kept * chosen).sum(axis=1) > total[:, 0] / 2) & (chosen.sum(axis=1) <= 3)
    return chosen & enough[:, None]


def plurality(votes: np.ndarray) -> np.ndarray:
    """What most taggers chose, int64[N], index into FER7; -1 where that is no leaf of the tree.

    All ten choices stand, single votes too. -1: the most votes are shared by two choices, or went to
    disgust, contempt, unknown or not a face. On FER-2013's PrivateTest this leaves 3,328 of all 3,589
    faces, 3,300 of them among the 3,534 that FER-2013 itself does not call disgust.
    """
    codes = np.array([FER7.index(name) if name in LEAVES else -1 for name in CHOICES])
    alone = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(alone, codes[votes.argmax(axis=1)], -1)
