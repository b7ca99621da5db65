"""An image on the page: its predictions as drawing, trees and table, or a card with the reason for none."""

import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.runtime.uploaded_file_manager import UploadedFile

from hierarchy.apps.web import tree_graph
from hierarchy.apps.web.limits import TURN
from hierarchy.apps.web.plain_text import plain
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import images
from hierarchy.errors import InputError
from hierarchy.inference import annotate, writers
from hierarchy.inference.faces import predict_image
from hierarchy.inference.predictor import FacePrediction, Picture
from hierarchy.vision import draw
from hierarchy.vision.detectors import create_detector

PICTURES: Final = 20  # shown at a time
SIDE: Final = 2048  # pixels; larger images are shown smaller
FACES: Final = 64  # of an image that are drawn, the largest; the table has all
log = logging.getLogger(__name__)


def show(model: HierarchicalClassifier, file: UploadedFile, name: str, detector: str, explain: bool) -> None:
    """Show the predictions of an image, or the reason for an error; other images are not touched by it."""
    try:
        with TURN:
            st.subheader(plain(name))  # ends here if the visitor left while others had their turn
            _answer(model, file, name, detector, explain)
    except InputError as error:
        st.error(plain(error))
    except Exception:  # of libraries, on data that nobody foresaw
        log.exception(f"{name!r} cannot be shown")
        st.error(plain(f"{name}: cannot be shown"))


def _answer(
    model: HierarchicalClassifier, file: UploadedFile, name: str, detector: str, explain: bool
) -> None:
    data = file.getvalue()
    picture = images.read(data, name, colour=True)
    predictions = predict_image(model, Picture(name, data), create_detector(detector))
    found = [prediction for prediction in predictions if prediction.face is not None]
    faces = found[:FACES]
    drawing = _drawn(picture, _notes(faces, model if explain else None))
    left, right = st.columns([3, 2])
    left.image(drawing)
    if not faces:
        right.info("No face was found.")
    if len(found) > FACES:
        right.info(f"The largest {FACES} of {len(found)} faces are shown.")
    for number, face in enumerate(faces, 1):
        label = plain(f"Face {number}: {face.branch} > {face.label}")
        right.markdown(f"**{label}** ({face.confidence:.2f})")
        right.graphviz_chart(tree_graph.dot(model.tree_, face.probabilities))
    st.dataframe([prediction.as_row() for prediction in predictions], hide_index=True)
    _downloads(model, predictions, drawing, Path(name).stem, file.file_id)


def _drawn(picture: np.ndarray, notes: list[draw.Note]) -> Image.Image:
    """As `draw.annotated`, of an image of at most SIDE pixels a side: what is shown stays in memory."""
    height, width = picture.shape[:2]
    if (share := SIDE / max(height, width)) < 1:
        size = max(1, round(width * share)), max(1, round(height * share))
        picture = np.asarray(Image.fromarray(picture).resize(size))
        notes = [replace(note, box=[round(value * share) for value in note.box]) for note in notes]
    return draw.annotated(picture, notes)


def _notes(faces: Sequence[FacePrediction], model: HierarchicalClassifier | None) -> list[draw.Note]:
    """What to draw; heat maps take long, and end with the visit."""
    bar = st.progress(0.0, "Computing heat maps ...") if model else None
    notes = []
    for done, face in enumerate(faces):
        if bar:
            bar.progress(done / len(faces))
        notes.append(annotate.note(face, model))
    if bar:
        bar.empty()
    return [note for note in notes if note]


def _downloads(
    model: HierarchicalClassifier,
    predictions: list[FacePrediction],
    drawing: Image.Image,
    stem: str,
    key: str,
) -> None:
    table = io.StringIO()
    writers.add_csv(predictions, table, model.tree_)
    left, right = st.columns(2)
    left.download_button("Download CSV", table.getvalue(), f"{stem}.csv", key=f"csv {key}")
    right.download_button("Download image", draw.png(drawing), f"{stem}.png", key=f"png {key}")
