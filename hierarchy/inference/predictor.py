"""From images and data files to predictions: one object per face."""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice, takewhile
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

import numpy as np

from hierarchy import routing
from hierarchy.data import images
from hierarchy.data.image_files import DATA_FILES
from hierarchy.errors import InputError, NetError, SkippedImage, printable, skipped
from hierarchy.routing import Predictions
from hierarchy.taxonomy import Tree
from hierarchy.vision.align import DetectedFace, no_face, whole_image
from hierarchy.vision.detectors import Detector

if TYPE_CHECKING:
    from hierarchy.inference.explanation import Explanation

T = TypeVar("T")
PATIENCE: Final = 10.0  # seconds for what is being read to end
BATCH: Final = 64  # faces per call of the nets: few, for an early first result and little memory
BOX: Final = ("x", "y", "width", "height")
SET: Final = "prediction_set"  # its key and column
EXPLANATION: Final = "explanation"
OPTIONAL: Final = (SET, EXPLANATION)  # only of predictions that were asked for them
OF_CROP: Final = ("crop", "none", "landmarks")
SEPARATOR: Final = "|"  # of the names in a cell


@dataclass(frozen=True, repr=False)
class FacePrediction:
    """The prediction of one face, printed as one line.

    Attributes:
        path: of the image, else "image", or "row 3" in a list; `file.csv#row` for a row of a data file.
        face: [x, y, width, height] in pixels of the upright image; None if it shows no face.
        score: of the detector, 0 to 1; None if none was run.
        branch, label: the prediction; `label` is None below the minimum confidence, both without a face.
        confidence: probability of the label, else of the branch; None without a face and for labels only.
        probabilities: by leaf, sum to one; empty without a face and for labels only.
        crop: uint8[48,48], the input of the nets.
        none: without a face, what was searched for.
        prediction_set: leaves, or branches in place of all their leaves, that hold the true leaf with the
            coverage asked for; None if none was.
        explanation: parts of the face that the prediction rests on, see `explanation.explained`.
        landmarks: float[5,2] in pixels of the crop, see `align.LANDMARKS`; None: not detected.
    """

    path: str
    face: list[int] | None
    score: float | None
    branch: str | None
    label: str | None
    confidence: float | None
    probabilities: dict[str, float]
    crop: np.ndarray | None = field(default=None, compare=False)
    none: str = field(default=no_face([]), compare=False)
    prediction_set: list[str] | None = None
    explanation: "Explanation | None" = None
    landmarks: np.ndarray | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<{self.as_text()}>"

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON holds them, without those of the crop; OPTIONAL ones only if there are."""
        fields = {name: value for name, value in vars(self).items() if name not in OF_CROP}
        fields |= {EXPLANATION: self.explanation.to_dict()} if self.explanation else {}
        return {name: value for name, value in fields.items() if name not in OPTIONAL or value is not None}

    def as_json(self) -> str:
        """One line of JSON, floats unrounded."""
        return json.dumps(self.to_dict())

    def as_row(self) -> dict[str, Any]:
        """One row of CSV, keyed by `columns`; what is missing or None stays an empty cell."""
        box = dict(zip(BOX, self.face or (), strict=False))
        fields = {name: getattr(self, name) for name in ("score", "branch", "label", "confidence")}
        row = {"path": self.path, **box, **fields, **self.probabilities}
        return row | ({SET: SEPARATOR.join(self.prediction_set)} if self.prediction_set else {})

    def as_text(self) -> str:
        """One line of text, control characters in the path escaped."""
        path = printable(self.path)
        if self.face is None:
            return f"{path}  {self.none}"
        place = "" if self.score is None else "  face at {},{} ({}x{})".format(*self.face)
        text = f"{path}{place}  {self.branch} > {self.label or 'unsure'}"
        shares = "  ".join(f"{name} {value:.2f}" for name, value in self.probabilities.items())
        text = f"{text}  ({shares})" if shares else text
        text = f"{text}  set: {', '.join(self.prediction_set)}" if self.prediction_set else text
        return f"{text}  {self.explanation}" if self.explanation else text

    __str__ = as_text


def columns(tree: Tree, sets: bool = False) -> tuple[str, ...]:
    """Columns of a CSV file of predictions, with prediction sets or without."""
    return ("path", *BOX, "score", "branch", "label", "confidence", *tree.leaves, *[SET] * sets)


class Predictor(Protocol):
    """What is needed of a classifier of faces uint8[N,48,48]."""

    routing: str

    @property
    def tree_(self) -> Tree:
        """The tree of its nets."""

    def predictions(self, X: Any) -> Predictions:
        """Probabilities of branches and leaves."""

    def lazy(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Index of the soft label, and nets run per face, both int64[N]."""

    def logits(self, node: str, X: Any) -> np.ndarray:
        """Of one node, float[N, its classes]."""


class Picture(NamedTuple):
    """An image in memory: its name, and the bytes of its file or its pixels, uint8[H,W]."""

    path: str
    data: bytes | np.ndarray


class Crop(NamedTuple):
    """A detected face, and the path of its prediction."""

    path: str
    face: DetectedFace


def predict_stream(
    classifier: Predictor,
    files: Iterable[Path | Picture | InputError],
    min_confidence: float = 0.0,
    labels_only: bool = False,
    find: Detector = whole_image,
) -> Generator[FacePrediction | InputError, None, None]:
    """A prediction for every face, one without a face for an image that shows none, or the reason of failure.

    Every row of a data file is a face.

    Args:
        classifier: with nets.
        files: images as `images.read` takes them, and files with the suffixes DATA_FILES; an InputError is
            passed on; whatever is raised about a file becomes its `SkippedImage`.
        min_confidence: below this probability of the label, only the branch is predicted.
        labels_only: soft labels by lazy routing, without probabilities.
        find: face detector.
    """
    crops = chain.from_iterable(_crops(file, find) for file in files)
    answer = partial(_label, classifier) if labels_only else partial(_predict, classifier, min_confidence)
    with closing(_read_ahead(crops)) as batches:
        for batch in batches:
            predicted = iter(_answers(answer, [crop for crop in batch if isinstance(crop, Crop)]))
            yield from (next(predicted) if isinstance(crop, Crop) else crop for crop in batch)


def _read_ahead(crops: Iterator[T]) -> Generator[list[T], None, None]:
    """Batches, each read while the nets run on the one before; closing stops the reading at the next item."""
    closed, reader = Event(), ThreadPoolExecutor(1)

    def read() -> list[T]:
        return list(islice(takewhile(lambda _: not closed.is_set(), crops), BATCH))

    pending = reader.submit(read)
    try:
        while batch := pending.result():
            pending = reader.submit(read)
            yield batch
    finally:
        closed.set()
        # a join might wait for ever, where this is closed by the collection of garbage in another thread
        wait([pending], PATIENCE)
        reader.shutdown(wait=False)


def _crops(file: Path | Picture | InputError, find: Detector) -> Iterator[Crop | FacePrediction | InputError]:
    if isinstance(file, InputError):
        yield file
        return
    path, source = file if isinstance(file, Picture) else (str(file), file)
    try:
        if isinstance(source, Path) and path.endswith(DATA_FILES):
            yield from _rows(source)
            return
        faces = find(source if isinstance(source, np.ndarray) else images.read(source, path))
        yield from (Crop(path, face) for face in faces)
        if not faces:
            yield FacePrediction(path, None, None, None, None, None, {}, none=no_face(faces))
    except Exception as error:
        yield skipped(path, error)


def _rows(file: Path) -> Iterator[Crop | SkippedImage]:
    from hierarchy.data.formats import registry

    for row, face in enumerate(registry.faces(file)):
        name = f"{file}#{row}"
        if isinstance(face, InputError):
            yield SkippedImage(name, f"{name}: {face}")
        else:
            yield Crop(name, *whole_image(face))


def _answers(
    answer: Callable[[Sequence[Crop]], Iterator[FacePrediction]], crops: Sequence[Crop]
) -> list[FacePrediction | SkippedImage]:
    """The predictions of a batch; if it fails, those of each face alone, or the reason."""
    try:
        return list(answer(crops)) if crops else []
    except NetError:  # is no fault of the face
        raise
    except Exception as error:
        if len(crops) == 1:
            return [skipped(crops[0].path, error)]
        return [result for crop in crops for result in _answers(answer, [crop])]


def _predict(classifier: Predictor, min_confidence: float, crops: Sequence[Crop]) -> Iterator[FacePrediction]:
    predictions = classifier.predictions(np.stack([crop.face.pixels for crop in crops]))
    tree, joint = predictions.tree, predictions.joint
    chosen = (routing.hard if classifier.routing == "hard" else routing.soft)(predictions)
    for row, (crop, leaf, branches, leaves) in enumerate(
        zip(crops, chosen, predictions.branch, joint, strict=True)
    ):
        confident = leaves[leaf] >= min_confidence
        branch = tree.branch_of_leaf[leaf] if confident else int(branches.argmax())
        yield FacePrediction(
            path=crop.path,
            face=crop.face.box,
            score=crop.face.score,
            branch=tree.branches[branch],
            label=tree.leaves[leaf] if confident else None,
            confidence=float(leaves[leaf] if confident else branches[branch]),
            probabilities=dict(zip(tree.leaves, leaves.tolist(), strict=True)),
            crop=crop.face.pixels,
            prediction_set=_set(predictions, row, leaf),
            landmarks=crop.face.landmarks,
        )


def _set(predictions: Predictions, row: int, leaf: int) -> list[str] | None:
    """Names of a row's prediction set, with the leaf that was chosen; None where none was asked for."""
    if predictions.sets is None:
        return None
    inside = predictions.sets[row].copy()
    inside[leaf] = True  # by another temperature or routing it may not be a member
    return routing.set_names(predictions.tree, inside)


def _label(classifier: Predictor, crops: Sequence[Crop]) -> Iterator[FacePrediction]:
    tree = classifier.tree_
    leaves, _ = classifier.lazy(np.stack([crop.face.pixels for crop in crops]))
    for (path, face), leaf in zip(crops, leaves, strict=True):
        label = tree.leaves[leaf]
        branch = tree.branch_of(label)
        yield FacePrediction(
            path, face.box, face.score, branch, label, None, {}, face.pixels, landmarks=face.landmarks
        )
