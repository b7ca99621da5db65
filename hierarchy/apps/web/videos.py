"""A video on the page, annotated, and a timeline that seeks it: computed once per visit, ended with it."""

import itertools
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from hierarchy.apps.web import components
from hierarchy.apps.web.examples import CLIP, Source
from hierarchy.apps.web.limits import FILMS
from hierarchy.apps.web.plain_text import plain
from hierarchy.apps.web.settings import Settings
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import COMMAND, InputError
from hierarchy.inference import timeline, video
from hierarchy.inference.timeline import Series
from hierarchy.vision.detectors import MOVING
from hierarchy.vision.tracker import Tracker
from hierarchy.vision.video import Video

FRAMES: Final = 20_000  # of a video
FOLDER_MB: Final = 300  # of a video and of what is made from it
log = logging.getLogger(__name__)


def tab(model: HierarchicalClassifier, settings: Settings) -> None:
    """The timeline of an uploaded video or of the example, or the reason for an error."""
    file = st.file_uploader("Video")
    if not file and st.button("Or try the example"):
        st.session_state["clip"] = True
    if file:
        st.session_state.pop("clip", None)
        source = Source(file.file_id, file.name, file.getvalue())
    elif st.session_state.get("clip"):
        source = Source(CLIP.name, CLIP.name, CLIP.read_bytes())
    else:
        st.session_state.pop("video", None)
        return
    results = st.session_state.setdefault("video", {})
    identity = (source.key, *settings.looked)
    if results.get("identity") != identity:
        results.clear()
        results.update(_answer(model, settings, source), identity=identity)
    _show(model, results, Path(source.name).stem)


def _show(model: HierarchicalClassifier, results: dict[str, Any], stem: str) -> None:
    if "error" in results:
        st.error(results["error"])
        return
    series: Series = results["series"]
    if not series.tracks:
        st.info("No face was found.")
    left, right = st.columns(2)
    left.video(results["film"], format="video/mp4", alt="The video with its faces framed and named")
    with right:
        if series.total > len(series.tracks):
            st.caption(f"The {len(series.tracks)} faces seen longest, of {series.total}.")
        if series.tracks:
            components.timeline(series, model.tree_, "timeline")
            st.caption("Click into the timeline, or use the arrow keys, to go to that moment of the video.")
    row = st.container(horizontal=True)
    row.download_button("Download timeline", results["table"], f"{stem}.csv", on_click="ignore")
    row.download_button("Download video", results["film"], f"{stem}.mp4", on_click="ignore")


def _answer(model: HierarchicalClassifier, settings: Settings, source: Source) -> dict[str, Any]:
    """What is shown of a video, or the reason for an error."""
    try:
        return _followed(model, settings, source)
    except InputError as error:
        return {"error": plain(error)}
    except Exception:  # of libraries, on data that nobody foresaw
        log.exception(f"{source.name!r} cannot be shown")
        return {"error": plain(f"{source.name}: cannot be shown")}


def _followed(model: HierarchicalClassifier, settings: Settings, source: Source) -> dict[str, Any]:
    """A video's timeline, as CSV and for the chart, and the annotated video; temporary files are removed.

    Raises:
        InputError: it cannot be decoded, or is too long.
    """
    bar = st.progress(0.0)
    while not FILMS.acquire(timeout=1):
        bar.progress(0.0, "Waiting for the videos of other visits ...")  # ends here if the visitor leaves
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "source").write_bytes(source.data)
            _follow(model, settings, place, source.name, bar)
            files = {"table": "out.csv", "film": "out.mp4"}
            results = {key: (place / name).read_bytes() for key, name in files.items()}
            return results | {"series": timeline.series(place / "out.csv")}
    finally:
        FILMS.release()
        bar.empty()


def _follow(
    model: HierarchicalClassifier, settings: Settings, place: Path, name: str, bar: DeltaGenerator
) -> None:
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

    searching = settings.searching._replace(step=MOVING.step)
    tracker = Tracker(settings.finder(searching), model.predictions)
    out, table = place / "out.mp4", place / "out.csv"
    video.follow(opened, tracker, model.tree_, out=out, table=table, on_frame=on_frame)
