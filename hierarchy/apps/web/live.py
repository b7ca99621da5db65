"""The live camera: its stream with names and confidence, and a card for every face beside it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import streamlit as st
import streamlit_webrtc

from hierarchy.apps.web import components
from hierarchy.apps.web.settings import Settings
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.inference import annotate
from hierarchy.inference.faces import unsure
from hierarchy.inference.predictor import FacePrediction
from hierarchy.vision import draw
from hierarchy.vision.detectors import MOVING
from hierarchy.vision.tracker import TrackedFace, Tracker

if TYPE_CHECKING:
    import av

REFRESH: Final = 0.5  # seconds between two states of the cards


class Live:
    """Predicts the frames of a visitor's camera, in a thread of streamlit-webrtc.

    Args:
        model: the classifier.
        settings: of the visit.
    """

    def __init__(self, model: HierarchicalClassifier, settings: Settings) -> None:
        self.settings, self.tree, self.frames = settings, model.tree_, 0
        searching = settings.searching._replace(step=MOVING.step)
        self.tracker = Tracker(settings.finder(searching), model.predictions)
        self.faces: dict[int, FacePrediction] = {}

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The frame with its predictions drawn on it."""
        picture = frame.to_ndarray(format="rgb24")
        tracked = self.tracker(picture, float(frame.time or 0.0))
        self.faces = {face.track: self._prediction(face) for face in tracked}
        self.frames += 1
        return type(frame).from_ndarray(draw.overlaid(picture, self._notes()), format="rgb24")

    def _prediction(self, tracked: TrackedFace) -> FacePrediction:
        face, share = tracked.face, float(tracked.probabilities.max())
        prediction = FacePrediction(
            "camera", face.box, face.score, tracked.branch, tracked.label, share, tracked.shares, face.pixels
        )
        return unsure(prediction, self.tree, self.settings.least)

    def _notes(self) -> Sequence[draw.Note]:
        notes = [(number, annotate.note(face, None)) for number, face in self.faces.items()]
        return [replace(note, number=number) for number, note in notes if note]


def tab(model: HierarchicalClassifier, settings: Settings) -> None:
    """The camera's stream with predictions, and the faces beside it."""
    live = st.session_state.get("live")
    if live is None or live.settings.looked != settings.looked:
        live = st.session_state["live"] = Live(model, settings)
    live.settings = settings
    left, right = st.columns([3, 2])
    with left:
        context = streamlit_webrtc.webrtc_streamer(
            key="camera",
            video_frame_callback=live,
            rtc_configuration={"iceServers": []},  # no third-party server
            media_stream_constraints={"video": True, "audio": False},
        )
    with right:
        st.fragment(_now, run_every=REFRESH if context.state.playing else None)(live)


def _now(live: Live) -> None:
    if not live.frames:
        st.caption("Press START and allow the browser to use the camera.")
        return
    st.caption(f"{live.frames:,} frames processed")
    faces = dict(live.faces)
    components.faces(list(faces.values()), live.tree, "live faces", numbers=faces)
