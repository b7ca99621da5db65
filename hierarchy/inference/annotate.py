"""Pictures with what was answered drawn on them, one file a picture, as `predict --save` writes them."""

from collections.abc import Iterable, Iterator
from itertools import count, groupby
from pathlib import Path

from hierarchy import fileio
from hierarchy.data import images
from hierarchy.errors import InputError
from hierarchy.inference import occlusion
from hierarchy.inference.occlusion import Nodes
from hierarchy.inference.predictor import DATA_FILES, FacePrediction
from hierarchy.taxonomy import ROUTER, classes_of
from hierarchy.vision import draw


def saved(
    found: Iterable[FacePrediction], folder: Path, model: Nodes | None = None
) -> Iterator[FacePrediction]:
    """Draw every picture once all its faces are answered, and pass its answers on.

    Args:
        found: answers as they come, those of a picture one after another; rows of data files are passed on.
        folder: for NAME.png of every picture, numbered where names repeat.
        model: is asked where it looked; None: no heat maps.

    Raises:
        InputError: the folder cannot be written, or holds a file of such a name that was not drawn here.
    """
    taken: set[str] = set()
    for path, group in groupby(found, lambda answer: answer.path):
        answers = list(group)
        if not path.rpartition("#")[0].endswith(DATA_FILES):
            target = folder / f"{_free(Path(path).stem, taken)}.png"
            if not draw.may_take(target):
                raise InputError(f"{target}: was not drawn by --save and stays; name another folder")
            notes = [drawn for answer in answers if (drawn := note(answer, model))]
            fileio.write_atomic(target, draw.png(draw.annotated(images.read(path, colour=True), notes)))
        yield from answers


def _free(stem: str, taken: set[str]) -> str:
    """A name that no picture has had, numbered from the second on."""
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def note(answer: FacePrediction, model: Nodes | None) -> draw.Note | None:
    """What is drawn of an answer, with heat where a model is given; None where there is no face."""
    if answer.face is None or answer.branch is None or answer.crop is None:
        return None
    named, heat = answer.label or answer.branch, None
    if model is not None:
        # the specialist chose the label, the router the branch at which an answer stopped
        node = answer.branch if answer.label else ROUTER
        heat = occlusion.occlusion(model, node, classes_of(node).index(named), answer.crop)
    title = f"{answer.branch} > {answer.label or 'unsure'}"
    return draw.Note(answer.face, title, named, answer.probabilities, answer.crop, heat)
