"""What Streamlit has no element for: pictures to click, faces with cards, a timeline that seeks its video."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st
from PIL import Image

from hierarchy.data.images import SIDE
from hierarchy.errors import printable
from hierarchy.inference import annotate
from hierarchy.inference.predictor import FacePrediction
from hierarchy.inference.timeline import Series
from hierarchy.taxonomy import Tree, colour, ink

HERE: Final = Path(__file__).parent
_mounted: Final = st.components.v2.component(
    "two_tier",
    html='<div class="root"></div>',
    css=(HERE / "component.css").read_text(),
    js=(HERE / "component.js").read_text(),
)


@dataclass(frozen=True)
class Item:
    """A picture to click.

    Attributes:
        key: that is given back.
        name: below it.
        image: its address.
        answer: in short, and the name that gives its colour; None: not shown.
    """

    key: str
    name: str
    image: str
    answer: tuple[str, str] | None = None


def address(picture: Image.Image, kind: str = "JPEG") -> str:
    """A picture as an address that holds it."""
    file = io.BytesIO()
    picture.save(file, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def strip(label: str, items: Sequence[Item], key: str) -> str:
    """Pictures side by side, the first or the one that was clicked last is marked.

    Args:
        label: for screen readers.
        items: one or more.
        key: of the element.

    Returns:
        The key of the marked one.
    """
    keys = [item.key for item in items]
    picked = (st.session_state.get(key) or {}).get("picked")
    picked = picked if picked in keys else keys[0]
    values = [
        {
            "id": item.key,
            "name": printable(item.name),
            "image": item.image,
            "answer": item.answer and item.answer[0],
            "colours": item.answer and colours(item.answer[1]),
        }
        for item in items
    ]
    data = {"view": "strip", "label": label, "items": values, "picked": picked}
    _mounted(key=key, data=data, on_picked_change=lambda: None)
    return picked


def colours(name: str) -> list[str]:
    """Of a class and of the text on it."""
    return [colour(name), ink(colour(name))]


def faces(
    found: Sequence[FacePrediction],
    tree: Tree,
    key: str,
    *,
    headline: str = "",
    detail: str = "",
    numbers: Iterable[int] | None = None,
    picture: Mapping[str, Any] | None = None,
) -> int | None:
    """A card for every face, beside or below their picture.

    Args:
        found: predictions of one picture or frame, labelled by `inference.faces.unsure`.
        tree: of the predictions.
        key: of the element.
        headline: the answer in short.
        detail: below it.
        numbers: of the faces; None: their places.
        picture: `image`, an address; `alt`, its description; `boxes`, as shares of its size.

    Returns:
        Index of the face whose explanation is asked for.
    """
    about = dict(picture or {})
    boxes = about.pop("boxes", [None] * len(found))
    numbers = numbers or range(1, len(found) + 1)
    data = {
        "view": "faces",
        "headline": headline,
        "detail": detail,
        "colours": colours(found[0].label or found[0].branch or "") if len(found) == 1 else None,
        "faces": [_card(*row) for row in zip(found, numbers, boxes, strict=True)],
        "leaves": [[leaf, colour(leaf)] for leaf in tree.leaves],
        "sprite": _sprite(found),
        "explain": picture is not None,
        **about,
    }
    return _mounted(key=key, data=data, on_explain_change=lambda: None).get("explain")


def _card(face: FacePrediction, number: int, box: Sequence[float] | None) -> dict[str, Any]:
    note = annotate.note(face, None)
    return {
        "number": str(number),
        "box": box,
        "label": note.label if note else "",
        "title": note.title if note else "",
        "share": face.confidence,
        "shares": list(face.probabilities.values()),
        "colours": colours(note.name if note else ""),
    }


def _sprite(found: Sequence[FacePrediction]) -> str:
    """The crops of all faces, one below the other."""
    if not found:
        return ""
    blank = np.zeros((SIDE, SIDE), np.uint8)
    crops = [blank if face.crop is None else face.crop for face in found]
    return address(Image.fromarray(np.concatenate(crops)))


def timeline(series: Series, tree: Tree, key: str) -> None:
    """Probabilities over time, a row for each track; a click seeks the video of the same tab.

    Args:
        series: of a timeline.
        tree: of its predictions.
        key: of the element.
    """
    data = {
        "view": "timeline",
        "duration": series.seconds,
        "gaps": series.gaps,
        "leaves": [[leaf, *colours(leaf)] for leaf in tree.leaves],
        "tracks": [
            {"title": f"Face {track}", "times": means.index.tolist(), "shares": means.to_numpy().tolist()}
            for track, means in series.tracks.items()
        ],
    }
    _mounted(key=key, data=data)
