"""Pictures with what was answered drawn on them, one file a picture, as `predict --save` writes them."""

import io
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from hierarchy import explain, images, runs
from hierarchy.answers import DATA_FILES, Answer
from hierarchy.errors import InputError
from hierarchy.explain import Nodes
from hierarchy.taxonomy import ROUTER, classes_of
from hierarchy.vision import draw


def saved(found: Iterable[Answer], folder: Path, model: Nodes | None = None) -> Iterator[Answer]:
    """Draw every picture once all its faces are answered, and pass its answers on.

    Args:
        found: answers as they come, those of a picture one after another; rows of data files are passed on.
        folder: for NAME.png of every picture, numbered where names repeat.
        model: is asked where it looked; None: no heat maps.

    Raises:
        InputError: the folder cannot be written, or is that of the pictures.
    """
    taken: dict[str, int] = {}
    for path, group in groupby(found, lambda answer: answer.path):
        answers = list(group)
        if not path.rpartition("#")[0].endswith(DATA_FILES):
            stem = Path(path).stem
            taken[stem] = taken.get(stem, 0) + 1
            name = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
            notes = [drawn for answer in answers if (drawn := note(answer, model))]
            target = folder / f"{name}.png"
            if target.resolve() == Path(path).resolve():
                raise InputError(f"{target}: is the picture itself; name another folder")
            out = io.BytesIO()
            draw.annotated(images.read(path, colour=True), notes).save(out, "PNG")
            runs.write_atomic(target, out.getvalue())
        yield from answers


def note(answer: Answer, model: Nodes | None) -> draw.Note | None:
    """What is drawn of an answer, with heat where a model is given; None where there is no face."""
    if answer.face is None or answer.branch is None or answer.crop is None:
        return None
    named, heat = answer.label or answer.branch, None
    if model is not None:
        # the specialist chose the label, the router the branch at which an answer stopped
        node = answer.branch if answer.label else ROUTER
        heat = explain.occlusion(model, node, classes_of(node).index(named), answer.crop)
    title = f"{answer.branch} > {answer.label or 'unsure'}"
    return draw.Note(answer.face, title, named, answer.probabilities, answer.crop, heat)
