"""From a run and labelled faces to its report: what `evaluate` does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierarchy import fileio, runs, runtimes
from hierarchy.backends import Backend
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import audit, loading
from hierarchy.data.dataset import SKETCH, FaceDataset, Split
from hierarchy.data.formats.ferplus import LABELS, relabelled
from hierarchy.data.splits import select_split
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, robustness, run_report
from hierarchy.evaluation.predictions import MAIN, StoredPredictions, folder_of
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.reports import model_card
from hierarchy.routing import predict_from_logits

ROLES = (Split.PublicTest, Split.PrivateTest)


def evaluate(
    run: str,
    data: str | None,
    *,
    split: str,
    view: str,
    floor: float,
    out: Path | None = None,
    corrupted: bool = False,
    framework: Backend = KERAS_BACKEND,
    engine: str | None = None,
) -> str:
    """Score a run on one split of labelled faces and write its report; in its own folder, its model card too.

    Args:
        run: name of the run.
        data: file or folder of faces; None: the run's own sketches, or wherever `sources.labelled_faces`
            finds some.
        split: PublicTest or PrivateTest.
        view: what each net is shown of a face.
        floor: probability below which an answer stops at its branch.
        out: folder of the report; None: the run's own, for the single view of PrivateTest the run's top.
        corrupted: measure what corruptions cost too; what was measured before is shown in any case.
        framework: what opens the nets.
        engine: what runs them, see `hierarchy.engines`; None: the framework.

    Returns:
        What to tell the user: the headline and where the report is.

    Raises:
        InputError: unknown run, split, view or engine; faces of another data set without `out`; `out` in
            the folder of another run, or with faces of another data set in any run's.
    """
    check_split(split)
    scored = runs.run(run)
    card = scored.card()
    faces = faces_for(card, data)
    fingerprint = loading.fingerprint(faces)
    own = card.get("data", {}).get("fingerprint") == fingerprint
    classifier = HierarchicalClassifier.load(
        run, framework, engine or runtimes.own_name(framework), view=view
    )
    other = classifier.engine_ if classifier.engine_ in runtimes.ENGINES else None
    folder = _given(out, scored, own, split, view) if out else _folder(scored, faces, own, split, view, other)
    here = select_split(faces, Split[split])
    leaks = _leaks(faces, Split[split]) if own else None
    checksums = runs.checksums(card)
    nets = {node: checksums[node] for node in classifier.nets_}
    kept = StoredPredictions(here.row, here.split, here.label, classifier.outputs(here), leaks, nets)
    predictions, flat = predict_from_logits(kept.logits, card.get("calibration", {}))
    scores = metrics.score(predictions, here, flat=flat, leaks=leaks, min_confidence=floor)
    about = {"split": split, "view": view, "data": fingerprint}
    if corrupted:
        fileio.write_json(folder / robustness.FILE, robustness.measure(classifier, here, card, about))
    bad = robustness.known(folder, card, about)
    worse = robustness.markdown(bad) if bad else None
    whole = run_report.write(
        folder, scores, kept, here, card=card, view=view, history=scored.history(), robustness=worse
    )
    if folder.resolve() == scored.folder.resolve():
        fileio.write_atomic(folder / model_card.FILE, model_card.markdown(whole, card, worse).encode())
    return f"{run_report.headline(whole)}\n{folder / run_report.REPORT}"


def faces_for(card: Mapping[str, Any], data: str | None) -> FaceDataset:
    """The faces that a run is scored on, by the labels that it learned.

    Args:
        card: of the run.
        data: file or folder of faces; None: the run's own sketches, or wherever `sources.labelled_faces`
            finds some.
    """
    faces = loading.labelled_faces(SKETCH if data is None and runs.sketched(card) else data)
    return faces if faces.votes is None else relabelled(faces, card.get("labels", LABELS[0]))


def check_split(split: str) -> None:
    """Refuse a split that is not there to be scored.

    Raises:
        InputError: says which are.
    """
    if split not in [role.name for role in ROLES]:
        raise InputError(f"split {split!r}: allowed are {', '.join(role.name for role in ROLES)}")


def _leaks(faces: FaceDataset, split: Split) -> metrics.Leakage:
    """Which faces of a split have a copy in Training; only the faces that the run learned from can tell."""
    rows = faces.split == split
    return metrics.Leakage(audit.twins(faces)[rows], audit.near_twins(faces)[rows])


def _folder(run: runs.Run, faces: FaceDataset, own: bool, split: str, view: str, engine: str | None) -> Path:
    """Where a report goes by itself; other faces or another engine never land on the run's own scores."""
    if not own:
        source = run.card().get("data", {}).get("source")
        raise InputError(
            f"{faces.source}: not the faces of run {run.name!r} ({source}); give --out DIR for this report"
        )
    return run.folder / f"{split}-{view}-{engine}" if engine else folder_of(run, split, view)


def _given(out: Path, run: runs.Run, own: bool, split: str, view: str) -> Path:
    """The folder that the user names: inside a run's only for that run's own faces."""
    if out.resolve() == run.folder.resolve() and (split, view) != MAIN:
        raise InputError(f"{out}: holds the single view of PrivateTest; allowed is another folder")
    return outside_runs(out, run.name if own else None)


def outside_runs(out: Path, but: str | None = None) -> Path:
    """The folder, where it lies in no run's but one.

    Raises:
        InputError: it belongs to a run.
    """
    for name in runs.names():
        if out.resolve().is_relative_to((runs.home() / "results" / name).resolve()) and name != but:
            raise InputError(f"{out}: belongs to run {name!r}; allowed is a folder outside of all runs")
    return out
