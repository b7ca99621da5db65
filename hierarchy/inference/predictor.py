"""From pictures and data files to answers: what `predict` prints, one object a face."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from pathlib import Path
from threading import Event
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import numpy as np

from hierarchy import routing
from hierarchy.data import images
from hierarchy.data.formats import registry
from hierarchy.data.images import SkippedImage
from hierarchy.errors import InputError
from hierarchy.routing import Predictions
from hierarchy.taxonomy import BRANCHES, LEAVES
from hierarchy.vision.align import DetectedFace, whole
from hierarchy.vision.detectors import WHOLE, Detector, create_detector

BATCH: Final = 64  # faces answered at once: few, so that the first answer comes soon and memory does not grow
T = TypeVar("T")
DATA_FILES: Final = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class FacePrediction:
    """What the nets say of one face.

    Attributes:
        path: the picture, or `file.csv#row` where a data file holds it.
        face: [x, y, width, height] in pixels of the upright picture; None where there is no face in it.
        score: the detector's, 0 to 1; None where nothing was searched or found.
        branch, label: the answer; `label` is None where it stopped at the branch, both are without a face.
        confidence: probability of the label, or of the branch where it stopped there; 0 without a face,
            None where the label alone was asked for.
        probabilities: of every leaf, by name; they sum to one; none without a face, or for labels alone.
        crop: uint8[48,48], what the nets saw; not printed.
    """

    path: str
    face: list[int] | None
    score: float | None
    branch: str | None
    label: str | None
    confidence: float | None
    probabilities: dict[str, float]
    crop: np.ndarray | None = field(default=None, repr=False, compare=False)

    def as_json(self) -> str:
        """One line of JSON, floats unrounded."""
        return json.dumps({name: value for name, value in vars(self).items() if name != "crop"})

    def as_row(self) -> dict[str, Any]:
        """One row of CSV, keyed by COLUMNS; what is missing or None stays an empty cell."""
        box = {} if self.face is None else dict(zip(BOX, self.face, strict=True))
        rest = {
            "score": self.score,
            "branch": self.branch,
            "label": self.label,
            "confidence": self.confidence,
        }
        return {"path": self.path, **box, **rest, **self.probabilities}

    def as_text(self) -> str:
        """One line for a person."""
        if self.face is None:
            return f"{self.path}  no face"
        place = "" if self.score is None else "  face at {},{} ({}x{})".format(*self.face)
        named = f"{self.path}{place}  {self.branch} > {self.label or 'unsure'}"
        shares = "  ".join(f"{name} {value:.2f}" for name, value in self.probabilities.items())
        return f"{named}  ({shares})" if shares else named


class Predictor(Protocol):
    """What answers: the classifier, or what behaves as it does for faces uint8[N,48,48]."""

    routing: str

    def predictions(self, X: Any) -> Predictions:
        """What all nets say."""

    def lazy(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Soft's labels, and how many nets gave each."""


class Picture(NamedTuple):
    """A picture in memory: what to call it, and its file's bytes."""

    path: str
    data: bytes


class Crop(NamedTuple):
    """A face as the nets take it, and what `FacePrediction` calls its picture."""

    path: str
    face: DetectedFace


BOX: Final = ("x", "y", "width", "height")
COLUMNS: Final = ("path", *BOX, "score", "branch", "label", "confidence", *LEAVES)


def predict_stream(
    classifier: Predictor,
    files: Iterable[Path | Picture | InputError],
    min_confidence: float = 0.0,
    labels_only: bool = False,
    find: Detector | None = None,
) -> Iterator[FacePrediction | InputError]:
    """An Answer for every face, one without a face for a picture that has none, or why a file has no answer.

    Of a data file, which is held whole, every row is a face.

    Args:
        classifier: with nets.
        files: pictures of any kind `images.read` takes, and files named as in DATA_FILES; what could not be
            found is passed on, what cannot be read is `SkippedImage`.
        min_confidence: below this probability of the label, the answer stops at the branch.
        labels_only: soft's labels, by lazy routing, without probabilities.
        find: gives a picture's faces; None: a picture as a whole is one.
    """
    look = find or create_detector(WHOLE)
    crops = chain.from_iterable(_crops(file, look) for file in files)
    for batch in _ahead(crops):
        faces = [crop for crop in batch if isinstance(crop, Crop)]
        answered = (
            _labelled(classifier, faces) if labels_only else _answered(classifier, faces, min_confidence)
        )
        yield from (next(answered) if isinstance(crop, Crop) else crop for crop in batch)


def predict_image(
    classifier: Predictor, file: Path | Picture, find: Detector, min_confidence: float = 0.0
) -> list[FacePrediction]:
    """The answers of one file, as in `predict_stream`.

    Raises:
        InputError: it cannot be read.
    """
    found = []
    for answer in predict_stream(classifier, [file], min_confidence, find=find):
        if isinstance(answer, InputError):
            raise answer
        found.append(answer)
    return found


def _ahead(crops: Iterator[T]) -> Iterator[list[T]]:
    """Batches, each read while the nets answer the one before; who leaves does not wait for one."""
    ended = Event()

    def read() -> list[T]:
        return list(islice(takewhile(lambda _: not ended.is_set(), crops), BATCH))

    with ThreadPoolExecutor(1) as reader:
        try:
            coming = reader.submit(read)
            while batch := coming.result():
                coming = reader.submit(read)
                yield batch
        finally:
            ended.set()


def _crops(file: Path | Picture | InputError, find: Detector) -> Iterator[Crop | FacePrediction | InputError]:
    if isinstance(file, InputError):
        yield file
        return
    path = str(file) if isinstance(file, Path) else file.path
    try:
        if isinstance(file, Picture):
            yield from _faces(images.read(file.data, path), path, find)
        elif path.endswith(DATA_FILES):
            yield from _rows(file)
        else:
            yield from _faces(images.read(file), path, find)
    except InputError as error:
        yield SkippedImage(path, str(error))


def _rows(file: Path) -> Iterator[Crop]:
    faces = registry.read(file)
    for row, pixels in zip(faces.row, faces.pixels, strict=True):
        yield Crop(f"{file}#{row}", whole(pixels))


def _faces(grey: np.ndarray, path: str, find: Detector) -> Iterator[Crop | FacePrediction]:
    found = find(grey)
    yield from (Crop(path, face) for face in found)
    if not found:
        yield FacePrediction(path, None, None, None, None, 0.0, {})


def _answered(
    classifier: Predictor, crops: Sequence[Crop], min_confidence: float
) -> Iterator[FacePrediction]:
    predictions = classifier.predictions(_pixels(crops))
    for row, crop in enumerate(crops):
        yield _answer(crop, predictions.take(np.array([row])), min_confidence, classifier.routing)


def _labelled(classifier: Predictor, crops: Sequence[Crop]) -> Iterator[FacePrediction]:
    for crop, leaf in zip(crops, classifier.lazy(_pixels(crops))[0], strict=True):
        branch = BRANCHES[routing.OWNER[leaf]]
        face = crop.face
        yield FacePrediction(crop.path, face.box, face.score, branch, LEAVES[leaf], None, {}, face.pixels)


def _pixels(crops: Sequence[Crop]) -> np.ndarray:
    return np.stack([crop.face.pixels for crop in crops])


def _answer(crop: Crop, prediction: Predictions, min_confidence: float, rule: str) -> FacePrediction:
    probability = prediction.joint[0]
    leaf = int((routing.hard if rule == "hard" else routing.soft)(prediction)[0])
    branch = routing.OWNER[leaf]
    stopped = probability[leaf] < min_confidence
    if stopped:
        branch = int(prediction.branch[0].argmax())
    return FacePrediction(
        path=crop.path,
        face=crop.face.box,
        score=crop.face.score,
        branch=BRANCHES[branch],
        label=None if stopped else LEAVES[leaf],
        confidence=float(prediction.branch[0, branch] if stopped else probability[leaf]),
        probabilities=dict(zip(LEAVES, probability.tolist(), strict=True)),
        crop=crop.face.pixels,
    )
