"""What is seen in pictures, computed once while they are shown."""

import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import streamlit as st
from PIL import Image

from hierarchy.apps.web import components
from hierarchy.apps.web.examples import Source
from hierarchy.apps.web.limits import TURN
from hierarchy.apps.web.plain_text import plain
from hierarchy.apps.web.settings import Settings
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import images
from hierarchy.errors import InputError
from hierarchy.inference import annotate
from hierarchy.inference.faces import predict_image, unsure
from hierarchy.inference.predictor import FacePrediction, Picture
from hierarchy.vision import draw

SIDE: Final = 2400  # pixels; larger pictures are shown smaller
FACES: Final = 1000  # of a picture, the largest
EXAMPLES: Final = 64  # answers of examples that are kept for all visits
THUMB: Final = 160  # pixels
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """What is kept of a picture while it is shown.

    Attributes:
        name: of its file.
        picture: it as a JPEG file of at most SIDE pixels a side.
        scale: of that.
        thumb: its address, reduced.
        faces: predictions, all with their labels; one without a face where there is none.
    """

    name: str
    picture: bytes
    scale: float
    thumb: str
    faces: list[FacePrediction]

    def labelled(self, model: HierarchicalClassifier, least: float) -> list[FacePrediction]:
        """The predictions, with a label from a confidence on."""
        return [unsure(face, model.tree_, least) for face in self.faces]

    def pixels(self) -> np.ndarray:
        """The picture uint8[H,W,3]."""
        return np.asarray(Image.open(io.BytesIO(self.picture)))

    def notes(self, faces: Iterable[FacePrediction]) -> list[draw.Note]:
        """What to draw on it."""
        notes = [(annotate.note(face, None), face.face or []) for face in faces]
        return [
            replace(note, box=[round(value * self.scale) for value in box]) for note, box in notes if note
        ]


def looked(
    model: HierarchicalClassifier, settings: Settings, chosen: Sequence[Source], key: str
) -> dict[str, Seen]:
    """What was seen in each picture, computed once; the reason where there is no answer."""
    before = st.session_state.get(f"seen {key}", {})
    now: dict[tuple[object, ...], Seen | str] = {}
    st.session_state[f"seen {key}"] = now  # what is not shown any more is forgotten
    bar = st.empty()
    for number, source in enumerate(chosen):
        identity = (source.key, *settings.looked)
        if identity not in before:
            with TURN:
                text = f"Looking at {plain(source.name)} ..."
                bar.progress(number / len(chosen), text)  # ends here if the visitor left
                see = _example if source.shared else _seen
                before[identity] = see(model, settings, source)
        now[identity] = before[identity]
        if isinstance(reason := now[identity], str):
            st.error(reason)
    bar.empty()
    return {str(identity[0]): seen for identity, seen in now.items() if isinstance(seen, Seen)}


def _seen(model: HierarchicalClassifier, settings: Settings, source: Source) -> Seen | str:
    """What is seen in a picture, or why nothing is, as Markdown; other pictures are not touched by it."""
    try:
        grey, colour = images.grey_and_colour(source.data, source.name)
        picture = Image.fromarray(colour)
        faces = predict_image(model, Picture(source.name, grey), settings.finder())[:FACES]
        scale = min(1.0, SIDE / max(picture.size))
        width, height = (max(1, round(side * scale)) for side in picture.size)
        small, file = picture.resize((width, height)), io.BytesIO()
        small.save(file, "JPEG", quality=92)
        small.thumbnail((THUMB, THUMB))
        return Seen(source.name, file.getvalue(), scale, components.address(small), faces)
    except InputError as error:
        return plain(error)
    except Exception:  # of libraries, on data that nobody foresaw
        log.exception(f"{source.name!r} cannot be shown")
        return plain(f"{source.name}: cannot be shown")


def _example(model: HierarchicalClassifier, settings: Settings, source: Source) -> Seen | str:
    return _kept(model, settings, source, source.key, settings.looked)


@st.cache_resource(max_entries=EXAMPLES, show_spinner=False)
def _kept(
    _model: HierarchicalClassifier,
    _settings: Settings,
    _source: Source,
    key: str,
    choices: tuple[object, ...],
) -> Seen | str:
    """What is seen in an example by its key and the choices, for all visits."""
    return _seen(_model, _settings, _source)
