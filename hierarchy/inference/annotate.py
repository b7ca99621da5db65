"""Images with their predictions drawn on them, one file per image, as `predict --save` writes them."""

import os
from collections.abc import Iterable, Iterator
from itertools import count, groupby
from pathlib import Path
from typing import Final

from hierarchy import fileio
from hierarchy.data import images
from hierarchy.data.image_files import DATA_FILES
from hierarchy.errors import InputError, skipped
from hierarchy.inference.explanation import explain, words
from hierarchy.inference.predictor import FacePrediction, Predictor
from hierarchy.vision import draw

Result = FacePrediction | InputError
NAME_BYTES: Final = 200  # of a drawing's name without number and suffix; file systems take 255


def saved(results: Iterable[Result], folder: Path, model: Predictor | None = None) -> Iterator[Result]:
    """Draw every image once all its faces are predicted, and pass the predictions on.

    Args:
        results: predictions of an image one after another, and errors; rows of data files are not drawn.
        folder: for NAME.png of every image, numbered where names repeat.
        model: computes heat maps; None: no heat maps.

    Raises:
        InputError: the folder is a file.

    Yields:
        The results; after those of an image that could not be drawn, its error.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: not a folder")
    taken: set[str] = set()
    for path, group in groupby(results, lambda result: getattr(result, "path", None)):
        known = list(group)
        faces = [face for face in known if isinstance(face, FacePrediction)]
        failures: list[InputError] = []
        if path is not None and faces and not path.rpartition("#")[0].endswith(DATA_FILES):
            try:
                _draw(path, faces, folder / f"{_free(Path(path).stem, taken)}.png", model)
            except Exception as error:
                failures.append(skipped(path, error))
        yield from (*known, *failures)


def _draw(path: str, faces: list[FacePrediction], target: Path, model: Predictor | None) -> None:
    if target.exists() and (target.samefile(path) or not draw.may_take(target)):
        raise InputError(f"{target}: not written by --save, or drawn now; choose another folder")
    drawable = [face for face in faces if face.face is not None]
    notes = [note(face, model if row < draw.CARDS else None) for row, face in enumerate(drawable)]
    fileio.write_atomic(
        target, draw.png(draw.annotated(images.read(path, colour=True), list(filter(None, notes))))
    )


def _free(stem: str, taken: set[str]) -> str:
    """A name that is not taken yet: the stem, cut if it is long, or with the first free number from 2 on."""
    if len(os.fsencode(stem)) > NAME_BYTES:
        stem = os.fsencode(stem)[:NAME_BYTES].decode(errors="ignore")
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def note(face: FacePrediction, model: Predictor | None) -> draw.Note | None:
    """What to draw for a prediction, with the deciding net's heat map if a model is given; None: no face."""
    if face.face is None or face.branch is None or face.crop is None:
        return None
    why = (explain(face, model) if model else face).explanation
    name, text = (face.label, "") if face.label else (face.branch, f"{face.branch}, unsure")
    title = f"{face.branch} > {face.label or 'unsure'}"
    return draw.Note(
        face.face,
        title,
        name,
        face.probabilities,
        face.crop,
        why.heat if why else None,
        text=text,
        likelihood=face.confidence,
        parts=words(why.parts) if why else "",
    )
