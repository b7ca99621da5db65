"""Images with their predictions drawn on them, one file per image, as `predict --save` writes them."""

from collections.abc import Iterable, Iterator
from itertools import count, groupby
from pathlib import Path

from hierarchy import fileio
from hierarchy.data import images
from hierarchy.errors import InputError
from hierarchy.inference import occlusion
from hierarchy.inference.predictor import DATA_FILES, FacePrediction, Predictor
from hierarchy.taxonomy import ROUTER
from hierarchy.vision import draw


def saved(
    predictions: Iterable[FacePrediction], folder: Path, model: Predictor | None = None
) -> Iterator[FacePrediction]:
    """Draw every image once all its faces are predicted, and pass the predictions on.

    Args:
        predictions: those of an image one after another; rows of data files are not drawn.
        folder: for NAME.png of every image, numbered where names repeat.
        model: computes heat maps; None: no heat maps.

    Raises:
        InputError: the folder cannot be written, or holds another file of that name.
    """
    taken: set[str] = set()
    for path, group in groupby(predictions, lambda prediction: prediction.path):
        faces = list(group)
        if not path.rpartition("#")[0].endswith(DATA_FILES):
            target = folder / f"{_free(Path(path).stem, taken)}.png"
            if not draw.may_take(target):
                raise InputError(f"{target}: not written by --save; choose another folder")
            notes = [drawn for face in faces if (drawn := note(face, model))]
            fileio.write_atomic(target, draw.png(draw.annotated(images.read(path, colour=True), notes)))
        yield from faces


def _free(stem: str, taken: set[str]) -> str:
    """A name that is not taken yet: the stem, or the stem with the first free number from 2 on."""
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def note(face: FacePrediction, model: Predictor | None) -> draw.Note | None:
    """What to draw for a prediction, with the deciding net's heat map if a model is given; None: no face."""
    if face.face is None or face.branch is None or face.crop is None:
        return None
    heat = None
    if model is not None:
        # the specialist decides the label; the router decides the branch, and so a branch's only leaf
        special = face.label is not None and face.branch in model.tree_.nodes
        node, name = (face.branch, face.label) if special else (ROUTER, face.branch)
        heat = occlusion.occlusion(model, node, model.tree_.classes_of(node).index(name), face.crop)
    title = f"{face.branch} > {face.label or 'unsure'}"
    return draw.Note(face.face, title, face.label or face.branch, face.probabilities, face.crop, heat)
