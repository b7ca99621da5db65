"""The web page: pictures, videos and cameras in, expressions out. Streamlit runs this file at each visit."""

# before anything that might bring TensorFlow: the two do not bear each other in the other order
import streamlit_webrtc  # isort: skip

import csv
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
from hierarchy.inference import annotate, video
from hierarchy.inference.predictor import COLUMNS, Picture, predict_image
from hierarchy.routing import Predictions
from hierarchy.vision import draw
from hierarchy.vision.detectors import AUTO, CNN, HAAR, MOVING, WHOLE, YUNET, create_detector
from hierarchy.vision.tracker import TrackedFace, Tracker
from hierarchy.vision.video import Video

if TYPE_CHECKING:
    import av

NOTICE: Final = (
    "It names the **apparent** expression of a picture, as people who labelled web photographs saw it, not "
    "what a person feels. The EU AI Act forbids inferring emotions at work and in education, medical and "
    "safety uses excepted. Pictures are answered on this computer and not kept."
)
FINDERS: Final = (AUTO, YUNET, HAAR, CNN, WHOLE)


class Nets:
    """One classifier for all visitors, asked by one at a time.

    Args:
        run: name of its run.
        engine: what runs its nets.
    """

    def __init__(self, run: str, engine: str) -> None:
        self.model = HierarchicalClassifier.load(run, engine=engine)
        self.routing = self.model.routing
        self.lock = threading.Lock()

    def predictions(self, X: np.ndarray) -> Predictions:
        """What all nets say of faces uint8[N,48,48]."""
        with self.lock:
            return self.model.predictions(X)

    def logits(self, node: str, X: np.ndarray) -> np.ndarray:
        """What one of them says."""
        with self.lock:
            return self.model.logits(node, X)

    def lazy(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels alone."""
        with self.lock:
            return self.model.lazy(X)


class Live:
    """Answers the frames of a visitor's camera, in a thread of streamlit-webrtc's.

    Args:
        nets: that answer.
    """

    def __init__(self, nets: Nets) -> None:
        self.tracker = Tracker(create_detector(AUTO, MOVING), nets.predictions)
        self.frames = 0
        self.seen: Sequence[TrackedFace] = ()

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The frame with its answers drawn on it."""
        picture = frame.to_ndarray(format="rgb24")
        self.seen = self.tracker(picture, float(frame.time or 0.0))
        self.frames += 1
        shown = draw.overlaid(picture, [video.note(face) for face in self.seen])
        return type(frame).from_ndarray(shown, format="rgb24")


@st.cache_resource(show_spinner="Loading the nets ...")
def nets(run: str, engine: str) -> Nets:
    """The nets, loaded once for all visits."""
    return Nets(run, engine)


def page(run: str = runs.DEFAULT_RUN, engine: str = "auto") -> None:
    """The whole page."""
    st.set_page_config(page_title="Apparent expressions", layout="wide")
    st.title("Apparent expressions, in two steps")
    st.caption(NOTICE)
    try:
        model = nets(run, engine)
    except InputError as error:
        st.error(str(error))
        return
    if runs.sketched(model.model.run_.card()):
        st.warning(f"Run {run} learned from drawn faces; what it says of photographs means nothing.")
    still, moving, snapshot, live = st.tabs(["Pictures", "Video", "Snapshot", "Live camera"])
    with still:
        faces, explained = _choices()
        for file in st.file_uploader("Pictures", accept_multiple_files=True) or ():
            _picture(model, file, file.name, faces, explained)
    with moving:
        _video(model)
    with snapshot:
        taken = st.camera_input("A picture from your camera")
        if taken:
            _picture(model, taken, "snapshot.jpg", AUTO, False)
    with live:
        _live(model)


def _choices() -> tuple[str, bool]:
    left, right = st.columns(2)
    faces = left.selectbox("What finds faces", FINDERS, help="auto: a small square picture is a ready crop.")
    explained = right.checkbox("Show where the nets looked", help="Red: covering it costs the answer most.")
    return faces, explained


def _picture(model: Nets, file: UploadedFile, name: str, faces: str, explained: bool) -> None:
    """One picture's answers, or why there are none."""
    data = file.getvalue()
    try:
        shown = images.read(data, name, colour=True)
        answers = predict_image(model, Picture(name, data), create_detector(faces))
    except InputError as error:
        st.error(str(error))
        return
    found = [answer for answer in answers if answer.face is not None]
    notes = [annotate.note(answer, model if explained else None) for answer in found]
    drawn = draw.annotated(shown, [note for note in notes if note])
    st.subheader(name)
    picture, told = st.columns([3, 2])
    picture.image(drawn)
    if not found:
        told.info("No face was found.")
    for number, answer in enumerate(found, 1):
        told.markdown(f"**Face {number}: {answer.branch} > {answer.label}** ({answer.confidence:.2f})")
        told.graphviz_chart(tree_graph.dot(answer.probabilities))
    st.dataframe([answer.as_row() for answer in answers], hide_index=True)
    table, annotated = io.StringIO(), io.BytesIO()
    writer = csv.DictWriter(table, COLUMNS)
    writer.writeheader()
    writer.writerows(answer.as_row() for answer in answers)
    drawn.save(annotated, "PNG")
    stem = Path(name).stem
    left, right = st.columns(2)
    left.download_button("Download CSV", table.getvalue(), f"{stem}.csv", key=f"csv {file.file_id}")
    right.download_button("Download picture", annotated.getvalue(), f"{stem}.png", key=f"png {file.file_id}")


def _video(model: Nets) -> None:
    """An uploaded video's timeline, answered once and kept for the visit."""
    file = st.file_uploader("Video")
    if file is None:
        return
    kept = st.session_state.setdefault("video", {})
    if kept.get("file") != file.file_id:
        try:
            kept.clear()
            kept.update(_followed(model, file.getvalue(), file.name), file=file.file_id)
        except InputError as error:
            st.error(str(error))
            return
    if kept["table"].count(b"\n") < 2:
        st.info("No face was found.")
    left, right = st.columns(2)
    left.image(kept["picture"])
    right.video(kept["film"], format="video/mp4")
    stem = Path(file.name).stem
    left.download_button("Download timeline", kept["table"], f"{stem}.csv")
    right.download_button("Download video", kept["film"], f"{stem}.mp4")


def _followed(model: Nets, data: bytes, name: str) -> dict[str, bytes]:
    """A video's timeline as CSV and PNG, and the video with the answers; its files go when it is done."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source = place / f"source{Path(name).suffix}"
        source.write_bytes(data)
        opened = Video(str(source), name)
        bar = st.progress(0.0, "Looking at every frame ...")
        frames = itertools.count(1)
        total = opened.count or sys.maxsize

        def step() -> None:
            bar.progress(min(next(frames) / total, 1.0))

        video.follow(
            opened,
            Tracker(create_detector(AUTO, MOVING), model.predictions),
            place / "out.mp4",
            place / "out.csv",
            1,
            lambda frame, seen: None,
            step,
        )
        bar.empty()
        files = {"table": "out.csv", "picture": "out.png", "film": "out.mp4"}
        return {key: (place / file).read_bytes() for key, file in files.items()}


def _live(model: Nets) -> None:
    """The camera's stream with the answers on it, and beside it the tree of each face."""
    live = st.session_state.setdefault("live", Live(model))
    stream, told = st.columns([3, 2])
    with stream:
        context = streamlit_webrtc.webrtc_streamer(
            key="camera",
            video_frame_callback=live,
            rtc_configuration={"iceServers": []},  # no server of anybody else's
            media_stream_constraints={"video": True, "audio": False},
        )
    with told:
        st.fragment(_now, run_every=0.5 if context.state.playing else None)(live)


def _now(live: Live) -> None:
    if not live.frames:
        st.caption("Press START and let the browser use the camera.")
        return
    st.caption(f"{live.frames:,} frames answered")
    for face in live.seen:
        st.markdown(f"**Face {face.track}: {face.branch} > {face.label}**")
        st.graphviz_chart(tree_graph.dot(face.shares))


if __name__ == "__main__":
    page(*sys.argv[1:])
