"""Faces of any pictures: all of them with their predictions, or the largest of each as input of the nets."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierarchy.data import inputs
from hierarchy.data.images import SIDE
from hierarchy.data.inputs import Options
from hierarchy.errors import InputError
from hierarchy.inference.predictor import (
    DATA_FILES,
    FacePrediction,
    Picture,
    Predictor,
    columns,
    predict_stream,
)
from hierarchy.taxonomy import Tree
from hierarchy.vision.align import no_face
from hierarchy.vision.detectors import WHOLE, Detector

if TYPE_CHECKING:
    import pandas as pd


class FacePredictions(list[FacePrediction]):
    """A list of predictions, printed as one line a face.

    Attributes:
        tree: whose leaves the faces were predicted.
    """

    def __init__(self, predictions: Iterable[FacePrediction], tree: Tree) -> None:
        super().__init__(predictions)
        self.tree = tree

    def __getitem__(self, index: Any) -> Any:
        item = super().__getitem__(index)
        return FacePredictions(item, self.tree) if isinstance(index, slice) else item

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def __repr__(self) -> str:
        lines = ",\n ".join(map(repr, self))
        return f"[{lines}]"

    def to_frame(self) -> "pd.DataFrame":
        """A row a face, with the columns of the command line's CSV; what is missing or None is NaN.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise InputError("to_frame needs pandas: pip install pandas") from None
        names = columns(self.tree, any(face.prediction_set for face in self))
        return pd.DataFrame([face.as_row() for face in self], columns=list(names))


def read(
    classifier: Predictor, source: Any, options: Options, find: Detector, min_confidence: float = 0.0
) -> FacePredictions:
    """The predictions of all faces of pictures, the largest first; one without a face for a picture of none.

    Args:
        classifier: with nets.
        source: as in `inputs.pictures`, or data files, whose rows are faces.
        options: how to read it.
        find: face detector.
        min_confidence: below this probability of the label, only the branch is predicted.

    Raises:
        InputError: something cannot be read; in a list, with its row.
    """
    if not isinstance(min_confidence, Real) or not 0 <= min_confidence <= 1:
        raise InputError(f"min_confidence {min_confidence!r:.80}: expected a number from 0 to 1")
    with closing(predict_stream(classifier, _files(source, options), min_confidence, find=find)) as results:
        return FacePredictions(map(_unfailed, results), classifier.tree_)


def predict_image(
    classifier: Predictor, file: Path | Picture, find: Detector, min_confidence: float = 0.0
) -> list[FacePrediction]:
    """The predictions of one file, as in `predictor.predict_stream`.

    Raises:
        InputError: it cannot be read.
    """
    with closing(predict_stream(classifier, [file], min_confidence, find=find)) as results:
        return [*map(_unfailed, results)]


def unsure(face: FacePrediction, tree: Tree, min_confidence: float) -> FacePrediction:
    """A prediction made without a minimum confidence, as it is with one.

    Args:
        face: with its label.
        tree: of the prediction.
        min_confidence: below this probability of the label, only the branch is predicted.
    """
    if face.confidence is None or face.confidence >= min_confidence:
        return face
    shares = {
        branch: sum(face.probabilities[leaf] for leaf in leaves) for branch, leaves in tree.children.items()
    }
    branch = max(shares, key=shares.__getitem__)
    return replace(face, branch=branch, label=None, confidence=shares[branch])


def largest(source: Any, options: Options, find: Detector) -> np.ndarray:
    """The largest face of every picture, uint8[N,48,48].

    Args:
        source: as in `inputs.pictures`; a picture of SIDE * SIDE columns only in a list.
        options: how to read it.
        find: face detector.

    Raises:
        InputError: a picture that cannot be read or shows no face; in a list, with its row.
    """
    if isinstance(source, np.ndarray) and source.shape[1:] == (SIDE * SIDE,):
        raise InputError(f"faces: {list(source.shape)} are rows of pixels, which flat_rows=True takes")
    crops = []
    for picture in inputs.pictures(source, options):
        if not (faces := find(picture.grey)):
            raise InputError(
                f"{picture.place}: {no_face(faces)}; detector={WHOLE!r} takes the whole picture as the face"
            )
        crops.append(faces[0].pixels)
    return np.stack(crops)


def _unfailed(result: FacePrediction | InputError) -> FacePrediction:
    if isinstance(result, InputError):
        raise result
    return result


def _files(source: Any, options: Options) -> Iterator[Path | Picture]:
    options.check()
    for row, item in inputs.rows(source):
        if isinstance(item, str | Path) and str(item).endswith(DATA_FILES):
            yield Path(item)
        else:
            picture = inputs.picture(item, options, row)
            yield Picture(picture.name, picture.grey)
