"""The web page: predictions for images, videos and cameras. Streamlit runs this file at each visit."""

# must be imported before anything that may import TensorFlow; the other order crashes
import streamlit_webrtc  # isort: skip

import io
import itertools
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from hierarchy import runs
from hierarchy.apps.web import tree_graph
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import images
from hierarchy.errors import InputError
from hierarchy.inference import annotate, video, writers
from hierarchy.inference.faces import predict_image
from hierarchy.inference.predictor import Picture
from hierarchy.routing import Logits
from hierarchy.vision import draw
from hierarchy.vision.detectors import AUTO, DETECTORS, MOVING, create_detector
from hierarchy.vision.tracker import TrackedFace, Tracker
from hierarchy.vision.video import Video

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
        st.error(str(error))
        return
    if runs.sketched(model.run_.manifest()):
        st.warning(f"Run {run} was trained on drawn faces; its predictions on photographs mean nothing.")
    still, moving, snapshot, live = st.tabs(["Images", "Video", "Snapshot", "Live camera"])
    with still:
        left, right = st.columns(2)
        detector = left.selectbox("Face detector", DETECTORS, help=DETECTORS[AUTO].help)
        explain = right.checkbox("Show heat maps", help="Red: covering it lowers the probability most.")
        for file in st.file_uploader("Images", accept_multiple_files=True) or ():
            _picture(model, file, file.name, detector, explain)
    with moving:
        _video(model)
    with snapshot:
        photo = st.camera_input("An image from your camera")
        if photo:
            _picture(model, photo, "snapshot.jpg", AUTO, False)
    with live:
        _live(model)


def _picture(
    model: HierarchicalClassifier, file: UploadedFile, name: str, detector: str, explain: bool
) -> None:
    """The predictions of an image, or the reason for an error."""
    data = file.getvalue()
    try:
        picture = images.read(data, name, colour=True)
        predictions = predict_image(model, Picture(name, data), create_detector(detector))
    except InputError as error:
        st.error(str(error))
        return
    faces = [prediction for prediction in predictions if prediction.face is not None]
    notes = [annotate.note(face, model if explain else None) for face in faces]
    drawing = draw.annotated(picture, [note for note in notes if note])
    st.subheader(name)
    left, right = st.columns([3, 2])
    left.image(drawing)
    if not faces:
        right.info("No face was found.")
    for number, face in enumerate(faces, 1):
        right.markdown(f"**Face {number}: {face.branch} > {face.label}** ({face.confidence:.2f})")
        right.graphviz_chart(tree_graph.dot(model.tree_, face.probabilities))
    st.dataframe([prediction.as_row() for prediction in predictions], hide_index=True)
    table = io.StringIO()
    writers.add_csv(predictions, table, model.tree_)
    stem = Path(name).stem
    left, right = st.columns(2)
    left.download_button("Download CSV", table.getvalue(), f"{stem}.csv", key=f"csv {file.file_id}")
    right.download_button("Download image", draw.png(drawing), f"{stem}.png", key=f"png {file.file_id}")


def _video(model: HierarchicalClassifier) -> None:
    """The timeline of an uploaded video, computed once per visit."""
    file = st.file_uploader("Video")
    if file is None:
        return
    results = st.session_state.setdefault("video", {})
    if results.get("file") != file.file_id:
        try:
            results.clear()
            results.update(_followed(model, file.getvalue(), file.name), file=file.file_id)
        except InputError as error:
            st.error(str(error))
            return
    if results["table"].count(b"\n") < 2:
        st.info("No face was found.")
    left, right = st.columns(2)
    left.image(results["plot"])
    right.video(results["film"], format="video/mp4")
    stem = Path(file.name).stem
    left.download_button("Download timeline", results["table"], f"{stem}.csv")
    right.download_button("Download video", results["film"], f"{stem}.mp4")


def _followed(model: HierarchicalClassifier, data: bytes, name: str) -> dict[str, bytes]:
    """A video's timeline as CSV and PNG, and the annotated video; temporary files are removed."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source = place / f"source{Path(name).suffix}"
        source.write_bytes(data)
        opened = Video(str(source), name)
        bar = st.progress(0.0, "Processing every frame ...")
        frames, total = itertools.count(1), opened.count or sys.maxsize
        video.follow(
            opened,
            Tracker(create_detector(AUTO, MOVING), model.predictions),
            model.tree_,
            out=place / "out.mp4",
            table=place / "out.csv",
            on_frame=lambda: bar.progress(min(next(frames) / total, 1.0)),
        )
        bar.empty()
        files = {"table": "out.csv", "plot": "out.png", "film": "out.mp4"}
        return {key: (place / file).read_bytes() for key, file in files.items()}


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
        st.markdown(f"**Face {face.track}: {face.branch} > {face.label}**")
        st.graphviz_chart(tree_graph.dot(face.tree, face.shares))


if __name__ == "__main__":
    page(*sys.argv[1:])
