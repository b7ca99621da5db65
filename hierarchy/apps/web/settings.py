"""What a visitor chooses beside the pictures: run, least confidence of a label, search for faces."""

from collections.abc import Callable
from typing import Final, NamedTuple

import streamlit as st

from hierarchy import fileio, runs, runtimes
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.evaluation import selective
from hierarchy.evaluation.scores import Scores
from hierarchy.evaluation.selective import Selection
from hierarchy.manifest import RunManifest
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import FLAT
from hierarchy.vision.detectors import (
    AUTO,
    DETECTORS,
    HAAR,
    MIN_FACE,
    OFF,
    ROTATE_AUTO,
    WHOLE,
    YUNET,
    Detector,
    Searching,
    create_detector,
)

WORDS: Final = {
    AUTO: "Automatic: find faces; take a picture that is a face as it is",
    YUNET: "YuNet: small and turned faces too",
    HAAR: "Haar: upright faces seen from the front, without a net",
    WHOLE: "No search: every picture is one face",
}

FIGURES: Final = (
    "Right: share of the test faces (PrivateTest) with the right label. Speed: by the multiplications for a "
    "face, against the default."
)

SURE: Final = (
    "Of faces in pictures and of the live camera; a less sure one shows only its group, and ‘unsure’."
)


class Settings(NamedTuple):
    """The choices of a visit.

    Attributes:
        run: its name.
        least: confidence below which only the branch is shown.
        detector: its name.
        searching: its options.
    """

    run: str
    least: float
    detector: str
    searching: Searching

    def finder(self, searching: Searching | None = None) -> Detector:
        """The chosen detector, with other options where these are given."""
        return create_detector(self.detector, searching or self.searching)

    @property
    def looked(self) -> tuple[object, ...]:
        """What an answer depends on, beside the picture; not `least`, which only hides labels."""
        return self.run, self.detector, *self.searching


def sidebar(
    run: str, load: Callable[[str], HierarchicalClassifier]
) -> tuple[Settings, HierarchicalClassifier]:
    """Ask for all of it.

    Args:
        run: chosen at first.
        load: the classifier of a run.

    Raises:
        InputError: the run is missing or damaged.
    """
    with st.sidebar:
        choices = list(dict.fromkeys([*_stored(), run]))
        about = [_caption(name) for name in choices]
        name = st.radio("Model", choices, choices.index(run), _title, captions=about, help=FIGURES)
        model = load(name)
        least = _least(name)
        with st.expander("Advanced"):
            detector = st.radio("How faces are found", list(DETECTORS), format_func=_word)
            turned = st.checkbox("Find turned faces too", True)
            smallest = st.number_input("Smallest face, in pixels", 1, 1000, MIN_FACE)
    return Settings(name, least, detector, Searching(int(smallest), ROTATE_AUTO if turned else OFF)), model


def _title(run: str) -> str:
    return f"{run} (default)" if run == runs.DEFAULT_RUN else run  # a name of a run is no Markdown


def _word(detector: str) -> str:
    return WORDS.get(detector, DETECTORS[detector].help)


def _least(run: str) -> float:
    """The slider for the confidence; at first where enough labels of PublicTest are right."""
    curve = _curve(run)
    at_first = round(selective.STEPS * selective.chosen(curve)) if curve else 0
    text = "Show an expression from a confidence of"
    percent = st.slider(text, 0, selective.STEPS, at_first, format="%d %%", key=f"least {run}", help=SURE)
    if curve:
        at = curve[percent]
        st.caption(
            f"On PublicTest faces, {100 * at.coverage:.0f} % get a label, and "
            f"{100 * at.accuracy:.0f} % of these labels are right."
        )
    return percent / selective.STEPS


@st.cache_data
def _curve(run: str) -> list[Selection]:
    try:
        return selective.selections(runs.run(run).manifest())
    except InputError:
        return []  # not evaluated on PublicTest


@st.cache_data
def _stored() -> list[str]:
    """Runs whose exported nets are here, the quickest first."""
    known = []
    for name in runs.names():
        try:
            manifest = runs.run(name).manifest()
            if manifest.exports and runtimes.nets(runs.run(name), KERAS_BACKEND, runtimes.AUTO):
                known.append((_cost(manifest), name))
        except InputError:
            continue  # of trials, only predictions are kept
    return [name for _, name in sorted(known)]


def _cost(manifest: RunManifest) -> int:
    """Multiplications for a face."""
    nodes = manifest.tree.nodes if manifest.complete else (FLAT,)
    files = {
        manifest.nets[node].file: manifest.nets[node].macs or 0 for node in nodes if node in manifest.nets
    }
    return sum(files.values())


@st.cache_data
def _caption(run: str) -> str:
    """Accuracy and speed of a run, as far as they are stored."""
    try:
        cost, usual = (_cost(runs.run(name).manifest()) for name in (run, runs.DEFAULT_RUN))
        scores = Scores.from_dict(fileio.read_json(runs.folder_with(run, "scores.json") / "scores.json"), run)
    except InputError:
        return ""
    right = f"{100 * scores.tree['soft']['accuracy']:.1f} % right"
    return f"{right}, speed × {usual / cost:.2g}" if cost and usual else right
