"""The web page: predictions for images, videos and cameras. Streamlit runs this file at each visit."""

# must be imported before anything that may import TensorFlow; the other order crashes
import streamlit_webrtc  # noqa: F401  # isort: skip

import sys
import threading
from typing import Final

import numpy as np
import streamlit as st

from hierarchy import runs
from hierarchy.apps.web import live, pictures, videos
from hierarchy.apps.web.plain_text import plain
from hierarchy.apps.web.settings import sidebar
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.routing import Logits

STYLE: Final = """<style>
.stMainBlockContainer { padding-top: 3.75rem; }
.stMainBlockContainer h1 { font-size: 2rem; padding: 0; }
[data-testid=stCaptionContainer] { opacity: 0.85; }
[data-testid=stFileUploader] button { color: inherit; }
</style>"""
MODELS: Final = 8  # held at a time
NOTICE: Final = (
    "It names the **apparent** expression of an image, as people who labelled web photographs saw it, not "
    "what a person feels. The EU AI Act forbids inferring emotions at work and in education, medical and "
    "safety uses excepted. Images are processed on this computer and not stored."
)


@st.cache_resource(max_entries=MODELS, show_spinner="Loading the nets ...")
def classifier(run: str, engine: str) -> HierarchicalClassifier:
    """A run's classifier, loaded once for all visits; one thread at a time uses its nets."""
    model = HierarchicalClassifier.load(run, engine=engine)
    lock = threading.Lock()
    model.nets_ = {node: _locked(net, lock) for node, net in model.nets_.items()}
    return model


def _locked(net: Logits, lock: threading.Lock) -> Logits:
    def logits(pixels: np.ndarray) -> np.ndarray:
        with lock:
            return net(pixels)

    return logits


def page(run: str = runs.DEFAULT_RUN, engine: str = "auto") -> None:
    """The whole page."""
    st.set_page_config(page_title="Apparent expressions", layout="wide")
    st.html(STYLE)
    st.title("Which expression does a face show?")
    try:
        settings, model = sidebar(run, lambda name: classifier(name, engine))
    except InputError as error:
        st.error(plain(error))
        return
    if runs.sketched(model.run_.manifest()):
        name = plain(settings.run)
        st.warning(f"Run {name} was trained on drawn faces; predictions on photographs mean nothing.")
    still, moving, snapshot, stream = st.tabs(["Pictures", "Video", "Snapshot", "Live camera"])
    views = {still: pictures.tab, moving: videos.tab, snapshot: pictures.snapshot, stream: live.tab}
    for place, view in views.items():
        with place:
            st.fragment(view)(model, settings)  # what happens in a tab leaves the others as they are
    st.caption(NOTICE)


if __name__ == "__main__":
    page(*sys.argv[1:3])  # more are for asgi.py
