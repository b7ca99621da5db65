"""Audit of a data set: wrong counts, blank images, non-faces, duplicates across splits, conflicting labels.

Test rows that are also in Training inflate a score; `leaks` marks them, so that they can be left out.
The whole of FER-2013 takes three seconds and 170 MB on two cores.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.data.dataset import SIDE, FaceDataset, Split
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.data.formats.ferplus import CHOICES
from hierarchy.errors import printable
from hierarchy.taxonomy import VALENCE, Tree

# FER-2013's rows of each split and expression in the Kaggle challenge of 2013; the totals are in Goodfellow
# et al. 2013, "Challenges in representation learning", arXiv:1307.0414.
PUBLISHED: Final = {
    Split.Training.name: dict(zip(FER2013_NAMES, (3995, 436, 4097, 7215, 4830, 3171, 4965), strict=True)),
    Split.PublicTest.name: dict(zip(FER2013_NAMES, (467, 56, 496, 895, 653, 415, 607), strict=True)),
    Split.PrivateTest.name: dict(zip(FER2013_NAMES, (491, 55, 528, 879, 594, 416, 626), strict=True)),
}
NEAR: Final = 0.95  # least correlation of thumbnails that count as crops of one photograph
COLUMNS: Final = ("face", "split", "label", "finding", "match")

_BLOCK = 3  # side of the pixel block that becomes one pixel of a thumbnail: 48 / 3 = 16
_BATCH = 512  # test rows compared at a time: 60 MB against FER-2013's Training
_NONE = -1  # match of a face without the finding
_NOT_A_FACE = CHOICES.index("nf")
_TWIN, _NEAR_TWIN = "twin in Training", "near twin in Training"


@dataclass(frozen=True)
class Audit:
    """Findings for each face.

    Attributes:
        faces: the audited faces.
        match: for each finding int64[N], position of the matched face, -1 for faces without the finding.
            blank, not a face (only where there are FER+ votes): the face itself. identical, conflicting
            labels: the first of its group. twin in Training, near twin in Training (test splits): that face.
    """

    faces: FaceDataset
    match: dict[str, np.ndarray]

    def has(self, finding: str) -> np.ndarray:
        """Which faces have the finding, bool[N]."""
        return self.match[finding] != _NONE

    def groups(self, finding: str) -> int:
        """Number of different matched faces."""
        return len(np.unique(self.match[finding][self.has(finding)]))


def audit(faces: FaceDataset) -> Audit:
    """All findings; as costly as `leaks`."""
    position = np.arange(len(faces))
    same = _first_of_same(faces)
    match = {"blank": np.where(np.ptp(faces.pixels, axis=(1, 2)) == 0, position, _NONE)}
    if faces.votes is not None:
        match["not a face"] = np.where(faces.votes.argmax(axis=1) == _NOT_A_FACE, position, _NONE)
    match["identical"] = np.where(np.bincount(same, minlength=len(faces))[same] > 1, same, _NONE)
    labels = np.unique(np.stack([same, faces.label])[:, faces.label >= 0], axis=1)[0]  # once for each label
    conflicting = np.bincount(labels, minlength=len(faces)) > 1
    match["conflicting labels"] = np.where(conflicting[same], same, _NONE)
    match[_TWIN] = _twin(faces, same)
    match[_NEAR_TWIN] = _near_twin(faces, match[_TWIN])
    return Audit(faces, match)


def leaks(faces: FaceDataset) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a test split that are copies, and that are copies or near copies, of Training: bool[N] each.

    288 + 280 and 530 + 499 in FER-2013. A thumbnail is the 16x16 means of 3x3 pixels, centred and scaled to
    length one; a near copy's has a dot product of at least NEAR with that of a Training row. Identical twins
    are always near, even where a constant colour leaves no correlation.
    """
    twin = _twin(faces, _first_of_same(faces))
    return twin != _NONE, _near_twin(faces, twin) != _NONE


def as_table(result: Audit, tree: Tree = VALENCE) -> str:
    """The audit in Markdown: counts of splits and labels, and findings, with and without what the tree lacks.

    The counts of a data set with FER-2013's names are compared with the published ones.
    """
    lines = [*_counts_table(result.faces), ""]
    for finding in result.match:
        count, groups = int(result.has(finding).sum()), result.groups(finding)
        lines.append(f"- {finding}: {count} faces" + (f" of {groups} pictures" if groups < count else ""))
    if "not a face" not in result.match:
        lines.append("- not a face: unknown without FER+ votes")
    return "\n".join([*lines, "", *_findings_table(result, tree)])


def rows(result: Audit) -> Iterator[tuple[str, ...]]:
    """All findings of all faces, in the order of COLUMNS; faces and matches by path, or by row number."""
    faces = result.faces
    ids = faces.row.astype(str) if faces.paths is None else faces.paths
    for finding, match in result.match.items():
        for face in np.flatnonzero(result.has(finding)):
            label = (*faces.names, "")[faces.label[face]]  # the last: unlabelled
            yield ids[face], Split(faces.split[face]).name, label, finding, ids[match[face]]


def write(result: Audit, out: Path | None = None) -> Path:
    """Write all findings of all faces as a CSV file, by default logs/data-audit.csv.

    Raises:
        InputError: the file cannot be written.
    """
    target = out or runs.home() / "logs" / "data-audit.csv"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows(result)])
    fileio.write_atomic(target, text.getvalue().encode())
    return target


def _first_of_same(faces: FaceDataset) -> np.ndarray:
    """Position of the first face with the same pixels, int64[N]."""
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(face.tobytes(), i) for i, face in enumerate(faces.pixels)], dtype=np.int64
    )


def _twin(faces: FaceDataset, same: np.ndarray) -> np.ndarray:
    training = np.flatnonzero(faces.split == Split.Training)
    twin = np.full(len(faces), _NONE)
    twin[same[training[::-1]]] = training[::-1]  # backwards: the first of several remains
    return np.where(faces.split == Split.Training, _NONE, twin[same])


def _near_twin(faces: FaceDataset, twin: np.ndarray) -> np.ndarray:
    near = twin.copy()
    training = np.flatnonzero(faces.split == Split.Training)
    others = np.flatnonzero((faces.split != Split.Training) & (twin == _NONE))
    if len(training):
        known = thumbnails(faces.pixels[training]).T
        for start in range(0, len(others), _BATCH):
            batch = others[start : start + _BATCH]
            similarity = thumbnails(faces.pixels[batch]) @ known
            near[batch] = np.where(similarity.max(axis=1) >= NEAR, training[similarity.argmax(axis=1)], _NONE)
    return near


def thumbnails(pixels: np.ndarray) -> np.ndarray:
    """uint8[N, 48, 48] to float32[N, 256], each of mean zero and length one, or zero where it is constant."""
    side = SIDE // _BLOCK
    blocks = pixels.reshape(len(pixels), side, _BLOCK, side, _BLOCK).mean(axis=(2, 4), dtype=np.float32)
    flat = blocks.reshape(len(pixels), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(length > 1e-3, length, np.inf)  # shorter ones are rounding errors of a constant


def _counts_table(faces: FaceDataset) -> list[str]:
    fer2013 = faces.names == FER2013_NAMES
    lines, wrong = [], 0
    for split in Split:
        label = faces.label[faces.split == split]
        counts = np.bincount(label[label >= 0], minlength=len(faces.names)).tolist()
        pairs = list(zip(counts, PUBLISHED[split.name].values() if fer2013 else counts, strict=True))
        cells = [str(n) if n == published else f"{n} (published {published})" for n, published in pairs]
        wrong += sum(n != published for n, published in pairs)
        lines.append(_line(split.name, *cells, len(label)))
    title = f"{faces.source or 'faces'}: {len(faces)} faces, {(faces.label < 0).sum()} unlabelled."
    if fer2013:
        differ = f"{wrong} counts differ from FER-2013's published ones"
        title += f" {differ if wrong else 'All as published for FER-2013'}."
    return [title, "", *_head("split", *faces.names, "all"), *lines]


def _findings_table(result: Audit, tree: Tree) -> list[str]:
    faces, left_out = result.faces, tuple(result.faces.left_out(tree))
    without = [f"without {', '.join(left_out)}"] if left_out else []
    lines = _head("finding", "split", *faces.names, "all", *without)
    for finding in result.match:
        part = faces.take(result.has(finding))
        for split, counts in part.counts().items():
            count = int((part.split == Split[split]).sum())
            trained = count - sum(counts[name] for name in left_out)
            lines.append(_line(finding, split, *counts.values(), count, *[trained for _ in without]))
    return lines


def _head(*cells: str) -> list[str]:
    return [_line(*cells), _line(*["---"] * len(cells))]


def _line(*cells: object) -> str:
    texts = (printable(str(cell)).replace("|", r"\|") for cell in cells)  # labels may be any text
    return f"| {' | '.join(texts)} |"
