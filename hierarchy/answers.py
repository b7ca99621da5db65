"""From picture files to answers: what `predict` prints, one object a face."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import images, routing
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.taxonomy import BRANCHES, LEAVES

BATCH: Final = 256  # pictures held at once, so that memory does not grow with their number


@dataclass(frozen=True)
class Answer:
    """What the nets say of one face.

    Attributes:
        path: the picture.
        face: [x, y, width, height] in pixels of the upright picture.
        branch, label: the answer; `label` is None where it stopped at the branch.
        confidence: probability of the label, or of the branch where it stopped there.
        probabilities: of every leaf, by name; they sum to one.
    """

    path: str
    face: list[int]
    branch: str
    label: str | None
    confidence: float
    probabilities: dict[str, float]

    def as_json(self) -> str:
        """One line of JSON, floats unrounded."""
        return json.dumps(asdict(self))

    def as_row(self) -> dict[str, Any]:
        """One row of CSV, keyed by COLUMNS."""
        x, y, width, height = self.face
        box = {"x": x, "y": y, "width": width, "height": height}
        rest = {"branch": self.branch, "label": self.label or "", "confidence": self.confidence}
        return {"path": self.path, **box, **rest, **self.probabilities}

    def as_text(self) -> str:
        """One line for a person."""
        shares = "  ".join(f"{name} {value:.2f}" for name, value in self.probabilities.items())
        return f"{self.path}  {self.branch} > {self.label or 'unsure'}  ({shares})"


COLUMNS: Final = ("path", "x", "y", "width", "height", "branch", "label", "confidence", *LEAVES)


def answers(
    classifier: HierarchicalClassifier, files: Sequence[Path], min_confidence: float = 0.0
) -> Iterator[Answer | InputError]:
    """An Answer for every picture, the whole picture taken as the face, or the reason why there is none.

    Args:
        classifier: with nets.
        files: pictures of any kind `images.read` takes.
        min_confidence: below this probability of the label, the answer stops at the branch.
    """
    for start in range(0, len(files), BATCH):
        yield from _batch(classifier, files[start : start + BATCH], min_confidence)


def _batch(
    classifier: HierarchicalClassifier, files: Sequence[Path], min_confidence: float
) -> Iterator[Answer | InputError]:
    read = [_read(file) for file in files]
    crops = [picture[0] for picture in read if not isinstance(picture, InputError)]
    predictions = classifier.predictions(np.stack(crops)) if crops else None
    row = 0
    for file, picture in zip(files, read, strict=True):
        if isinstance(picture, InputError) or predictions is None:
            yield picture if isinstance(picture, InputError) else InputError(f"{file}: no face")
            continue
        yield _answer(file, picture[1], predictions.take(np.array([row])), min_confidence, classifier.routing)
        row += 1


def _read(file: Path) -> tuple[np.ndarray, list[int]] | InputError:
    try:
        grey = images.read(file)
    except InputError as error:
        return error
    height, width = grey.shape
    return images.crop(grey), [0, 0, width, height]


def _answer(
    file: Path, face: list[int], prediction: routing.Predictions, min_confidence: float, rule: str
) -> Answer:
    probability = prediction.joint[0]
    leaf = int((routing.hard if rule == "hard" else routing.soft)(prediction)[0])
    branch = routing.OWNER[leaf]
    stopped = probability[leaf] < min_confidence
    if stopped:
        branch = int(prediction.branch[0].argmax())
    return Answer(
        path=str(file),
        face=face,
        branch=BRANCHES[branch],
        label=None if stopped else LEAVES[leaf],
        confidence=float(prediction.branch[0, branch] if stopped else probability[leaf]),
        probabilities=dict(zip(LEAVES, probability.tolist(), strict=True)),
    )
