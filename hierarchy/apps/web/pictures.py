"""Pictures on the page: an overview of several, the faces of one with their cards, and files to keep."""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import streamlit as st
from PIL import Image

from hierarchy.apps.web import components, tree_graph
from hierarchy.apps.web.components import Item
from hierarchy.apps.web.examples import EXAMPLES, Source, sources
from hierarchy.apps.web.limits import TURN
from hierarchy.apps.web.plain_text import plain
from hierarchy.apps.web.seen import THUMB, Seen, looked
from hierarchy.apps.web.settings import Settings
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import printable
from hierarchy.inference import annotate, writers
from hierarchy.inference.predictor import FacePrediction
from hierarchy.taxonomy import ROUTER, Tree
from hierarchy.vision import cards, draw

PICTURES: Final = 20  # shown at a time
GROUNDS: Final = {"dark": "#262624", "light": draw.GROUND, None: draw.GROUND}  # by theme


def tab(model: HierarchicalClassifier, settings: Settings) -> None:
    """Pictures of the visitor, or examples."""
    left, right = st.columns([2, 3])
    files = left.file_uploader("Pictures", accept_multiple_files=True) or []
    if len(files) > PICTURES:
        st.error(f"The first {PICTURES} of {len(files)} pictures are shown; remove some.")
    if files:
        chosen = [Source(file.file_id, file.name, file.getvalue()) for file in files[:PICTURES]]
        show(model, settings, chosen, "pictures")
        return
    with right:
        items = [Item(name, name, _thumb(name)) for name in EXAMPLES]
        example = components.strip("Or try an example", items, "examples")
    show(model, settings, sources(example), f"example {example}")


def snapshot(model: HierarchicalClassifier, settings: Settings) -> None:
    """A picture from the visitor's camera."""
    if photo := st.camera_input("A picture from your camera"):
        show(model, settings, [Source(photo.file_id, "snapshot.jpg", photo.getvalue())], "snapshot")


@st.cache_data
def _thumb(example: str) -> str:
    with Image.open(io.BytesIO(sources(example)[0].data)) as picture:
        picture.thumbnail((THUMB, THUMB))
        return components.address(picture.convert("RGB"))


def show(model: HierarchicalClassifier, settings: Settings, chosen: Sequence[Source], key: str) -> None:
    """The answers for pictures: all of them in short if there are several, and one in full."""
    seen = looked(model, settings, chosen, key)
    if not seen:
        return
    if len(seen) > 1:
        items = [_item(model, settings, *each) for each in seen.items()]
        picked = components.strip("All pictures", items, f"{key} overview")
    else:
        picked = next(iter(seen))
    _answer(model, settings, seen[picked], key)
    _downloads(model, settings, seen, picked, key)


def _item(model: HierarchicalClassifier, settings: Settings, key: str, seen: Seen) -> Item:
    faces = [face for face in seen.labelled(model, settings.least) if face.face is not None]
    names = Counter(face.label or face.branch or "" for face in faces)
    most = names.most_common(1)[0][0] if faces else ROUTER
    return Item(key, seen.name, seen.thumb, (_summary(faces), most))


def _summary(faces: Sequence[FacePrediction]) -> str:
    """The answer in short."""
    names = Counter(_short(face) for face in faces)
    if len(faces) < 2:
        return next(iter(names), "no face")
    return " · ".join(f"{count} {name}" for name, count in names.most_common())


def _short(face: FacePrediction) -> str:
    return face.label or f"{face.branch}, unsure"


def _answer(model: HierarchicalClassifier, settings: Settings, seen: Seen, key: str) -> None:
    """The picture with its faces, and a card for each."""
    labelled = seen.labelled(model, settings.least)
    faces = [face for face in labelled if face.face is not None]
    drawing, boxes = draw.marked(
        seen.pixels(), draw.numbered(seen.notes(faces)), GROUNDS[st.context.theme.type]
    )
    width, height = drawing.size
    shares = [
        [left / width, top / height, (right - left) / width, (bottom - top) / height]
        for left, top, right, bottom in boxes
    ]
    summary = _summary(faces) if faces else labelled[0].none
    picture = {
        "image": components.address(drawing),
        "alt": printable(f"{seen.name}: {summary}"),
        "boxes": shares,
    }
    explained = components.faces(
        faces,
        model.tree_,
        f"{key} faces",
        headline=_headline(faces, summary),
        detail=_meaning(model.tree_, faces[0], settings.least) if faces else "",
        picture=picture,
    )
    if explained is not None and explained < len(faces):
        _explain(model, faces[explained], explained + 1)


def _headline(faces: Sequence[FacePrediction], summary: str) -> str:
    if len(faces) == 1:
        return f"{summary} · {draw.percent(faces[0].confidence or 0)}"
    return f"{len(faces)} faces: {summary}" if faces else summary[:1].upper() + summary[1:]


def _meaning(tree: Tree, face: FacePrediction, least: float) -> str:
    """What a label says, in one sentence."""
    others = " or ".join(branch for branch in tree.branches if branch != face.branch)
    leaves = ", ".join(tree.children[face.branch or ""])
    group = f"the face looks {face.branch} rather than {others}"
    if face.label:
        return f"“{face.branch} > {face.label}”: {group}, and of {leaves} most like {face.label}."
    return f"“{_short(face)}”: {group}, but no one of {leaves} reaches {draw.percent(least)}."


@st.dialog("Why this answer", width="large")
def _explain(model: HierarchicalClassifier, face: FacePrediction, number: int) -> None:
    """The tree of a face, and where it would be less likely if covered."""
    note = annotate.note(face, model)
    if note is None or note.heat is None:
        return
    st.markdown(f"Face {number}: **{plain(note.title)}**, {draw.percent(face.confidence or 0)}")
    left, right = st.columns(2)
    shares = ", ".join(f"{name} {draw.percent(share)}" for name, share in face.probabilities.items())
    left.graphviz_chart(tree_graph.dot(model.tree_, face.probabilities), alt=f"The tree: {shares}")
    drop = 100 * max(float(note.heat.max()), 0.0)
    text = f"Orange: covering it lowers the probability, by {drop:.0f} points at most"
    right.image(cards.heated(note, 320), text, alt=f"Heat map. {text}")


def _downloads(
    model: HierarchicalClassifier, settings: Settings, seen: dict[str, Seen], picked: str, key: str
) -> None:
    """A table of all faces of all pictures, and a drawing of one; both are made when asked for."""

    def table() -> str:
        out = io.StringIO()
        rows = [face for each in seen.values() for face in each.labelled(model, settings.least)]
        writers.add_csv(rows, out, model.tree_)
        return out.getvalue()

    def drawing() -> bytes:
        notes = seen[picked].notes(seen[picked].labelled(model, settings.least))
        with TURN:
            return draw.png(draw.annotated(seen[picked].pixels(), notes))

    row = st.container(horizontal=True)
    row.download_button(
        "Download table", table, "faces.csv", "text/csv", key=f"table {key}", on_click="ignore"
    )
    name = f"{Path(seen[picked].name).stem}.png"
    row.download_button(
        "Download drawing", drawing, name, "image/png", key=f"drawing {key}", on_click="ignore"
    )
