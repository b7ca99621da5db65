"""The web page: predictions for images, videos and cameras. Streamlit runs this file at each visit."""

# must be imported before anything that may import TensorFlow; the other order crashes
import streamlit_webrtc  # isort: skip

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import streamlit as st

from hierarchy import runs
from hierarchy.apps.web import pictures, tree_graph, videos
from hierarchy.apps.web.plain_text import plain
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.inference import video
from hierarchy.routing import Logits
from hierarchy.vision import draw
from hierarchy.vision.detectors import AUTO, DETECTORS, MOVING, create_detector
from hierarchy.vision.tracker import TrackedFace, Tracker

if TYPE_CHECKING:
    import av

NOTICE: Final = (
    "It names the **apparent** expression of an image, as people who labelled web photographs saw it, not "
    "what a person feels. The EU AI Act forbids inferring emotions at work and in education, medical and "
    "safety uses excepted. Images are processed on this computer and not stored."
)


@st.cache_resource(show_spinner="Loading the nets ...")
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


class Live:
    """Predicts the frames of a visitor's camera, in a thread of streamlit-webrtc.

    Args:
        model: the classifier.
    """

    def __init__(self, model: HierarchicalClassifier) -> None:
        self.tracker = Tracker(create_detector(AUTO, MOVING), model.predictions)
        self.frames = 0
        self.faces: Sequence[TrackedFace] = ()

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The frame with its predictions drawn on it."""
        picture = frame.to_ndarray(format="rgb24")
        self.faces = self.tracker(picture, float(frame.time or 0.0))
        self.frames += 1
        overlaid = draw.overlaid(picture, list(map(video.note, self.faces)))
        return type(frame).from_ndarray(overlaid, format="rgb24")


def page(run: str = runs.DEFAULT_RUN, engine: str = "auto") -> None:
    """The whole page."""
    st.set_page_config(page_title="Apparent expressions", layout="wide")
    st.title("Apparent expressions, in two steps")
    st.caption(NOTICE)
    try:
        model = classifier(run, engine)
    except InputError as error:
        st.error(plain(error))
        return
    if runs.sketched(model.run_.manifest()):
        st.warning(f"Run {plain(run)} was trained on drawn faces; predictions on photographs mean nothing.")
    still, moving, snapshot, live = st.tabs(["Images", "Video", "Snapshot", "Live camera"])
    with still:
        left, right = st.columns(2)
        detector = left.selectbox("Face detector", DETECTORS, help=DETECTORS[AUTO].help)
        explain = right.checkbox("Show heat maps", help="Red: covering it lowers the probability most.")
        files = st.file_uploader("Images", accept_multiple_files=True) or []
        if len(files) > pictures.PICTURES:
            st.error(f"The first {pictures.PICTURES} of {len(files)} images are shown; remove some.")
        for file in files[: pictures.PICTURES]:
            pictures.show(model, file, file.name, detector, explain)
    with moving:
        videos.show(model)
    with snapshot:
        photo = st.camera_input("An image from your camera")
        if photo:
            pictures.show(model, photo, "snapshot.jpg", AUTO, False)
    with live:
        _live(model)


def _live(model: HierarchicalClassifier) -> None:
    """The camera's stream with predictions, and the tree of each face beside it."""
    live = st.session_state.setdefault("live", Live(model))
    left, right = st.columns([3, 2])
    with left:
        context = streamlit_webrtc.webrtc_streamer(
            key="camera",
            video_frame_callback=live,
            rtc_configuration={"iceServers": []},  # no third-party server
            media_stream_constraints={"video": True, "audio": False},
        )
    with right:
        st.fragment(_now, run_every=0.5 if context.state.playing else None)(live)


def _now(live: Live) -> None:
    if not live.frames:
        st.caption("Press START and allow the browser to use the camera.")
        return
    st.caption(f"{live.frames:,} frames processed")
    for face in live.faces:
        label = plain(f"Face {face.track}: {face.branch} > {face.label}")
        st.markdown(f"**{label}**")
        st.graphviz_chart(tree_graph.dot(face.tree, face.shares))


if __name__ == "__main__":
    page(*sys.argv[1:3])  # more are for asgi.py
