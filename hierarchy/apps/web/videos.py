"""A video on the page: its timeline and the annotated video, computed once per visit and ended with it."""

import itertools
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.uploaded_file_manager import UploadedFile

from hierarchy.apps.web.limits import FILMS
from hierarchy.apps.web.plain_text import plain
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import COMMAND, InputError
from hierarchy.inference import video
from hierarchy.vision.detectors import AUTO, MOVING, create_detector
from hierarchy.vision.tracker import Tracker
from hierarchy.vision.video import Video

FRAMES: Final = 20_000  # of a video
FOLDER_MB: Final = 300  # of a video and of what is made from it
log = logging.getLogger(__name__)


def show(model: HierarchicalClassifier) -> None:
    """The timeline of an uploaded video, or the reason for an error."""
    file = st.file_uploader("Video")
    if file is None:
        st.session_state.pop("video", None)
        return
    results = st.session_state.setdefault("video", {})
    if results.get("file") != file.file_id:
        results.clear()
        results.update(_answer(model, file), file=file.file_id)
    if "error" in results:
        st.error(results["error"])
        return
    if results["table"].count(b"\n") < 2:
        st.info("No face was found.")
    left, right = st.columns(2)
    left.image(results["plot"])
    right.video(results["film"], format="video/mp4")
    stem = Path(file.name).stem
    left.download_button("Download timeline", results["table"], f"{stem}.csv")
    right.download_button("Download video", results["film"], f"{stem}.mp4")


def _answer(model: HierarchicalClassifier, file: UploadedFile) -> dict[str, Any]:
    """What is shown of a video, or the reason for an error."""
    try:
        return _followed(model, file)
    except InputError as error:
        return {"error": plain(error)}
    except Exception:  # of libraries, on data that nobody foresaw
        log.exception(f"{file.name!r} cannot be shown")
        return {"error": plain(f"{file.name}: cannot be shown")}


def _followed(model: HierarchicalClassifier, file: UploadedFile) -> dict[str, bytes]:
    """A video's timeline as CSV and PNG, and the annotated video; temporary files are removed.

    Raises:
        InputError: it cannot be decoded, or is too long.
    """
    bar = st.progress(0.0)
    while not FILMS.acquire(timeout=1):
        bar.progress(0.0, "Waiting for the videos of other visits ...")  # ends here if the visitor leaves
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "source").write_bytes(file.getbuffer())
            _follow(model, place, file.name, bar)
            files = {"table": "out.csv", "plot": "out.png", "film": "out.mp4"}
            return {key: (place / name).read_bytes() for key, name in files.items()}
    finally:
        FILMS.release()
        bar.empty()


def _follow(model: HierarchicalClassifier, place: Path, name: str, bar: DeltaGenerator) -> None:
    opened = Video(str(place / "source"), name)
    frames, total = itertools.count(1), opened.count or sys.maxsize

    def on_frame() -> None:
        number = next(frames)
        bar.progress(min(number / total, 1.0), "Processing every frame ...")  # ends here as well
        if number > FRAMES or sum(file.stat().st_size for file in place.iterdir()) > FOLDER_MB << 20:
            raise InputError(
                f"{name}: too long for the page; expected at most {FRAMES:,} frames and {FOLDER_MB} MB with "
                f"its drawings. Use `{COMMAND} video`"
            )

    tracker = Tracker(create_detector(AUTO, MOVING), model.predictions)
    out, table = place / "out.mp4", place / "out.csv"
    video.follow(opened, tracker, model.tree_, out=out, table=table, on_frame=on_frame)
