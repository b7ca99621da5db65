"""What is wrong with a data set: wrong counts, blank and non-faces, copies across splits, conflicting labels.

A score on a test split that shares pictures with Training is flattered, so `twins` and `near_twins` say which
rows to leave out of an honest one. The whole of FER-2013 takes three seconds and 170 MB on two cores.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.data.dataset import SIDE, FaceDataset, Split
from hierarchy.data.formats.ferplus import CHOICES
from hierarchy.taxonomy import FER7, LEFT_OUT

# Rows of each split and expression as the Kaggle challenge of 2013 gave them out; the splits' sums are in
# Goodfellow et al. 2013, "Challenges in representation learning", arXiv:1307.0414.
PUBLISHED: Final = {
    Split.Training.name: dict(zip(FER7, (3995, 436, 4097, 7215, 4830, 3171, 4965), strict=True)),
    Split.PublicTest.name: dict(zip(FER7, (467, 56, 496, 895, 653, 415, 607), strict=True)),
    Split.PrivateTest.name: dict(zip(FER7, (491, 55, 528, 879, 594, 416, 626), strict=True)),
}
NEAR: Final = 0.95  # correlation of two thumbnails from which on they count as crops of one photograph
COLUMNS: Final = ("face", "split", "label", "finding", "match")

_BLOCK = 3  # pixels of a face to one of its thumbnail, each way: 48 / 3 = 16
_AT_ONCE = 512  # test rows compared at a time: 60 MB against FER-2013's Training
_NONE = -1  # the match of a face without the finding
_NOT_A_FACE = CHOICES.index("nf")
_TWIN, _NEAR_TWIN = "twin in Training", "near twin in Training"


@dataclass(frozen=True)
class Audit:
    """What was found, face by face.

    Attributes:
        faces: the faces audited.
        match: for each finding int64[N], the position of the face that shows it, -1 for faces without it.
            blank, not a face (only where there are FER+ votes): the face itself. identical, conflicting
            labels: the first of its group. twin in Training, near twin in Training (test splits): that face.
    """

    faces: FaceDataset
    match: dict[str, np.ndarray]

    def has(self, finding: str) -> np.ndarray:
        """Which faces have the finding, bool[N]."""
        return self.match[finding] != _NONE

    def groups(self, finding: str) -> int:
        """How many different faces are matched."""
        return len(np.unique(self.match[finding][self.has(finding)]))


def audit(faces: FaceDataset) -> Audit:
    """Look for everything. Costs what `near_twins` costs."""
    position = np.arange(len(faces))
    same = _first_of_same(faces)
    match = {"blank": np.where(np.ptp(faces.pixels, axis=(1, 2)) == 0, position, _NONE)}
    if faces.votes is not None:
        match["not a face"] = np.where(faces.votes.argmax(axis=1) == _NOT_A_FACE, position, _NONE)
    match["identical"] = np.where(np.bincount(same, minlength=len(faces))[same] > 1, same, _NONE)
    match["conflicting labels"] = np.where(_conflicting(faces.label, same), same, _NONE)
    match[_TWIN] = _twin(faces, same)
    match[_NEAR_TWIN] = _near_twin(faces, match[_TWIN])
    return Audit(faces, match)


def twins(faces: FaceDataset) -> np.ndarray:
    """Which rows of a test split have the very pixels of a Training row, bool[N]; 288 + 280 in FER-2013."""
    return _twin(faces, _first_of_same(faces)) != _NONE


def near_twins(faces: FaceDataset) -> np.ndarray:
    """Which rows of a test split are copies or near copies of a Training row, bool[N]; 530 + 499 in FER-2013.

    A thumbnail is the 16x16 means of 3x3 pixels, less its own mean and scaled to length one; a near copy's
    has a dot product of at least NEAR with some Training row's. Identical twins are always near, even where a
    constant colour leaves no correlation.
    """
    return _near_twin(faces, _twin(faces, _first_of_same(faces))) != _NONE


def as_table(found: Audit) -> str:
    """The audit in Markdown: counts against the published ones, and findings by split and expression."""
    return "\n".join([*_counts_table(found), "", *_summary(found), "", *_findings_table(found)])


def rows(found: Audit) -> Iterator[tuple[str, ...]]:
    """Every finding of every face, in the order of COLUMNS; faces and matches by path, or by row number."""
    faces = found.faces
    names = faces.paths or tuple(str(row) for row in faces.row)
    for finding, match in found.match.items():
        for face in np.flatnonzero(found.has(finding)):
            label = (*FER7, "")[faces.label[face]]  # the last: unlabelled
            yield names[face], Split(faces.split[face]).name, label, finding, names[match[face]]


def write(found: Audit, out: Path | None = None) -> Path:
    """Write every finding of every face as a CSV file, by default logs/data-audit.csv.

    Raises:
        InputError: the file cannot be written.
    """
    target = out or runs.home() / "logs" / "data-audit.csv"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows(found)])
    fileio.write_atomic(target, text.getvalue().encode())
    return target


def _first_of_same(faces: FaceDataset) -> np.ndarray:
    """Position of the first face with the same pixels, int64[N]."""
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(face.tobytes(), i) for i, face in enumerate(faces.pixels)], dtype=np.int64
    )


def _conflicting(label: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Which faces belong to a group of identical ones that carries two labels, bool[N]."""
    labelled = label >= 0
    lowest, highest = np.full(len(label), len(FER7)), np.full(len(label), -1)
    np.minimum.at(lowest, same[labelled], label[labelled])
    np.maximum.at(highest, same[labelled], label[labelled])
    return (highest > lowest)[same]


def _twin(faces: FaceDataset, same: np.ndarray) -> np.ndarray:
    training = np.flatnonzero(faces.split == Split.Training)
    twin = np.full(len(faces), _NONE)
    twin[same[training[::-1]]] = training[::-1]  # backwards, so that the first of several stays
    return np.where(faces.split == Split.Training, _NONE, twin[same])


def _near_twin(faces: FaceDataset, twin: np.ndarray) -> np.ndarray:
    near = twin.copy()
    training = np.flatnonzero(faces.split == Split.Training)
    open_cases = np.flatnonzero((faces.split != Split.Training) & (twin == _NONE))
    if len(training):
        known = _thumbnails(faces.pixels[training]).T
        for start in range(0, len(open_cases), _AT_ONCE):
            block = open_cases[start : start + _AT_ONCE]
            likeness = _thumbnails(faces.pixels[block]) @ known
            near[block] = np.where(likeness.max(axis=1) >= NEAR, training[likeness.argmax(axis=1)], _NONE)
    return near


def _thumbnails(pixels: np.ndarray) -> np.ndarray:
    """uint8[N, 48, 48] to float32[N, 256], each of mean zero and length one, or zero where it is constant."""
    side = SIDE // _BLOCK
    blocks = pixels.reshape(len(pixels), side, _BLOCK, side, _BLOCK).mean(axis=(2, 4), dtype=np.float32)
    flat = blocks.reshape(len(pixels), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(length > 1e-3, length, np.inf)  # shorter ones are rounding errors of a constant


def _counts_table(found: Audit) -> list[str]:
    faces, lines, wrong = found.faces, [], 0
    for split, published in PUBLISHED.items():
        here = faces.of(Split[split])
        counts = np.bincount(here.label[here.label >= 0], minlength=len(FER7)).tolist()
        wrong += sum(count != should for count, should in zip(counts, published.values(), strict=True))
        lines.append(_line(split, *map(_count, counts, published.values()), len(here)))
    verdict = (
        f"{wrong} counts differ from FER-2013's published ones" if wrong else "All as published for FER-2013"
    )
    title = f"{faces.source or 'faces'}: {len(faces)} faces, {(faces.label < 0).sum()} unlabelled. {verdict}."
    return [title, "", *_head("split", *FER7, "all"), *lines]


def _count(count: int, published: int) -> str:
    return str(count) if count == published else f"{count} (published {published})"


def _summary(found: Audit) -> list[str]:
    lines = []
    for finding in found.match:
        count, groups = int(found.has(finding).sum()), found.groups(finding)
        lines.append(f"- {finding}: {count} faces" + (f" of {groups} pictures" if groups < count else ""))
    return lines if "not a face" in found.match else [*lines, "- not a face: unknown without FER+ votes"]


def _findings_table(found: Audit) -> list[str]:
    label, split = found.faces.label, found.faces.split
    left_out = np.isin(label, [FER7.index(name) for name in LEFT_OUT])
    lines = []
    for finding, role in product(found.match, Split):
        here = found.has(finding) & (split == role)
        counts = [int((here & (label == code)).sum()) for code in range(len(FER7))]
        if here.any():
            lines.append(_line(finding, role.name, *counts, int(here.sum()), int((here & ~left_out).sum())))
    return [*_head("finding", "split", *FER7, "all", f"without {', '.join(LEFT_OUT)}"), *lines]


def _head(*cells: str) -> list[str]:
    return [_line(*cells), _line(*["---"] * len(cells))]


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
