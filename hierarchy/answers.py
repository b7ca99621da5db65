"""From pictures and data files to answers: what `predict` prints, one object a face."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from hierarchy import images, routing
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import layouts
from hierarchy.errors import InputError
from hierarchy.taxonomy import BRANCHES, LEAVES

BATCH: Final = 256  # faces answered at once, so that memory does not grow with the number of pictures
T = TypeVar("T")
DATA_FILES: Final = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class Answer:
    """What the nets say of one face.

    Attributes:
        path: the picture, or `file.csv#row` where a data file holds it.
        face: [x, y, width, height] in pixels of the upright picture; None where there is no face in it.
        branch, label: the answer; `label` is None where it stopped at the branch, both are without a face.
        confidence: probability of the label, or of the branch where it stopped there; 0 without a face,
            None where the label alone was asked for.
        probabilities: of every leaf, by name; they sum to one; none without a face, or for labels alone.
    """

    path: str
    face: list[int] | None
    branch: str | None
    label: str | None
    confidence: float | None
    probabilities: dict[str, float]

    def as_json(self) -> str:
        """One line of JSON, floats unrounded."""
        return json.dumps(asdict(self))

    def as_row(self) -> dict[str, Any]:
        """One row of CSV, keyed by COLUMNS; what is missing or None stays an empty cell."""
        box = {} if self.face is None else dict(zip(BOX, self.face, strict=True))
        rest = {"branch": self.branch, "label": self.label, "confidence": self.confidence}
        return {"path": self.path, **box, **rest, **self.probabilities}

    def as_text(self) -> str:
        """One line for a person."""
        if self.face is None:
            return f"{self.path}  no face"
        named = f"{self.path}  {self.branch} > {self.label or 'unsure'}"
        shares = "  ".join(f"{name} {value:.2f}" for name, value in self.probabilities.items())
        return f"{named}  ({shares})" if shares else named


class Crop(NamedTuple):
    """A face as the nets take it: what `Answer` calls it, where it lies, and uint8[48, 48]."""

    path: str
    face: list[int]
    pixels: np.ndarray


BOX: Final = ("x", "y", "width", "height")
COLUMNS: Final = ("path", *BOX, "branch", "label", "confidence", *LEAVES)


def answers(
    classifier: HierarchicalClassifier,
    files: Iterable[Path | InputError],
    min_confidence: float = 0.0,
    labels_only: bool = False,
) -> Iterator[Answer | InputError]:
    """An Answer for every face, or the reason why a file has none.

    A picture as a whole is one face. Of a data file, which is held whole, every row is one.

    Args:
        classifier: with nets.
        files: pictures of any kind `images.read` takes, and files named as in DATA_FILES; what could not be
            found is passed on.
        min_confidence: below this probability of the label, the answer stops at the branch.
        labels_only: soft's labels, by lazy routing, without probabilities.
    """
    crops = chain.from_iterable(map(_crops, files))
    for batch in _ahead(iter(lambda: list(islice(crops, BATCH)), [])):
        faces = [crop for crop in batch if isinstance(crop, Crop)]
        answered = (
            _labelled(classifier, faces) if labels_only else _answered(classifier, faces, min_confidence)
        )
        yield from (next(answered) if isinstance(crop, Crop) else crop for crop in batch)


def _ahead(batches: Iterator[T]) -> Iterator[T]:
    """The same batches, each read and decoded while the nets answer the one before."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _crops(file: Path | InputError) -> Iterator[Crop | InputError]:
    if isinstance(file, InputError):
        yield file
        return
    try:
        yield from _rows(file) if file.name.endswith(DATA_FILES) else [_whole(file)]
    except InputError as error:
        yield error


def _rows(file: Path) -> Iterator[Crop]:
    faces = layouts.read(file)
    for row, pixels in zip(faces.row, faces.pixels, strict=True):
        yield Crop(f"{file}#{row}", [0, 0, images.SIDE, images.SIDE], pixels)


def _whole(file: Path) -> Crop:
    grey = images.read(file)
    height, width = grey.shape
    return Crop(str(file), [0, 0, width, height], images.crop(grey))


def _answered(
    classifier: HierarchicalClassifier, crops: Sequence[Crop], min_confidence: float
) -> Iterator[Answer]:
    predictions = classifier.predictions(_pixels(crops))
    for row, crop in enumerate(crops):
        yield _answer(crop, predictions.take(np.array([row])), min_confidence, classifier.routing)


def _labelled(classifier: HierarchicalClassifier, crops: Sequence[Crop]) -> Iterator[Answer]:
    for crop, leaf in zip(crops, classifier.lazy(_pixels(crops))[0], strict=True):
        yield Answer(crop.path, crop.face, BRANCHES[routing.OWNER[leaf]], LEAVES[leaf], None, {})


def _pixels(crops: Sequence[Crop]) -> np.ndarray:
    return np.stack([crop.pixels for crop in crops])


def _answer(crop: Crop, prediction: routing.Predictions, min_confidence: float, rule: str) -> Answer:
    probability = prediction.joint[0]
    leaf = int((routing.hard if rule == "hard" else routing.soft)(prediction)[0])
    branch = routing.OWNER[leaf]
    stopped = probability[leaf] < min_confidence
    if stopped:
        branch = int(prediction.branch[0].argmax())
    return Answer(
        path=crop.path,
        face=crop.face,
        branch=BRANCHES[branch],
        label=None if stopped else LEAVES[leaf],
        confidence=float(prediction.branch[0, branch] if stopped else probability[leaf]),
        probabilities=dict(zip(LEAVES, probability.tolist(), strict=True)),
    )
