"""Score a run on labelled faces and write its report."""

from pathlib import Path
from typing import Any, Final

from hierarchy import fileio, runs, runtimes
from hierarchy.backends import Backend
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import audit, loading
from hierarchy.data.dataset import SKETCH, FaceDataset, Split
from hierarchy.data.formats.ferplus import relabelled
from hierarchy.data.splits import select_split
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, prediction_sets, robustness, run_report
from hierarchy.evaluation.predictions import MAIN, Leakage, StoredPredictions, folder_of
from hierarchy.manifest import RunManifest
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.reports import model_card
from hierarchy.routing import predict_from_logits
from hierarchy.training import conformal

# files that reports leave, and keys of theirs
MARKS: Final = {run_report.SCORES: {"dataset", "split", "view"}, "action_units.json": {"run", "heads"}}
ROLES = (Split.PublicTest.name, Split.PrivateTest.name)


def evaluate(
    run: str,
    data: str | None,
    *,
    split: str,
    view: str,
    min_confidence: float,
    out: Path | None = None,
    corruptions: bool = False,
    backend: Backend = KERAS_BACKEND,
    engine: str | None = None,
) -> str:
    """Score a run on one split of labelled faces and write its report; in its own folder, its model card too.

    Args:
        run: name of the run.
        data: file or folder of faces; None: the run's own sketches, or those of `loading.labelled_faces`.
        split: PublicTest or PrivateTest.
        view: what each net is shown of a face.
        min_confidence: probability below which only the branch is predicted.
        out: folder of the report; None: the run's own, for the single view of PrivateTest the run's top.
        corruptions: measure errors under corruptions too; errors measured before are shown in any case.
        backend: that opens the nets.
        engine: that runs them, see `hierarchy.runtimes`; None: the backend.

    Returns:
        The headline and the path of the report.

    Raises:
        InputError: unknown run, split, view or engine; faces of another data set without `out`; `out` in
            the folder of another run, or with faces of another data set in any run's.
    """
    check_split(split)
    scored = runs.run(run)
    manifest = scored.manifest()
    faces = faces_for(manifest, data)
    fingerprint = loading.fingerprint(faces)
    own = manifest.data.get("fingerprint") == fingerprint
    classifier = HierarchicalClassifier.load(run, backend, engine or runtimes.own_name(backend), view=view)
    exported = classifier.engine_ if classifier.engine_ in runtimes.ENGINES else None
    folder = report_folder(out, scored, None if own else faces.source, split, view, exported)
    rows, test = select_split(faces, Split[split]), faces.split == Split[split]
    leaks = Leakage(*(mask[test] for mask in audit.leaks(faces))) if own else None
    nets = {node: manifest.checksums[node] for node in classifier.nets_}
    logits = classifier.outputs(rows)
    stored = StoredPredictions(rows.row, rows.split, rows.label, logits, leaks, nets, rows.names)
    predictions, flat = predict_from_logits(manifest.tree, logits, manifest.calibration)
    scores = metrics.score(predictions, rows, flat=flat, leaks=leaks, min_confidence=min_confidence)
    if view == MAIN[1] and not (own and split != MAIN[0]):  # PublicTest chose the thresholds
        scores |= _sets(scored, classifier, faces if own and not exported else None, stored)
        manifest = scored.manifest()
    about = {"split": split, "view": view, "data": fingerprint}
    if corruptions:
        measured = robustness.measure(classifier, rows, manifest, about)
        fileio.write_json(folder / robustness.FILE, measured)
    known = robustness.known(folder, manifest, about)
    errors = robustness.markdown(known) if known else None
    whole = run_report.write(
        folder,
        scores,
        stored,
        rows,
        manifest=manifest,
        view=view,
        history=scored.history(),
        robustness=errors,
    )
    if folder.resolve() == scored.folder.resolve():
        fileio.write_atomic(folder / model_card.FILE, model_card.markdown(whole, manifest, errors).encode())
    return f"{run_report.headline(whole)}\n{folder / run_report.REPORT}"


def _sets(
    run: runs.Run, classifier: HierarchicalClassifier, own: FaceDataset | None, stored: StoredPredictions
) -> dict[str, Any]:
    """The scores of prediction sets, for which a run without conformal scores gets them from `own` faces."""
    if own is not None and run.manifest().conformal is None and not run.shipped:
        public = own.of(Split.PublicTest)
        conformal.add(run, runtimes.outputs(classifier.nets_, public.pixels), public)
    manifest = run.manifest()
    sets = prediction_sets.score(manifest, stored.logits, stored.target(manifest.tree), stored.leaks)
    return {"prediction_sets": sets} if sets else {}


def faces_for(manifest: RunManifest, data: str | None) -> FaceDataset:
    """The faces that a run is scored on, with the labels that it was trained on; `data` as in `evaluate`."""
    faces = loading.labelled_faces(SKETCH if data is None and runs.sketched(manifest) else data)
    return faces if faces.votes is None else relabelled(faces, manifest.labels, manifest.tree)


def check_split(split: str) -> None:
    """Refuse a split that is not scored.

    Raises:
        InputError: names the splits that are.
    """
    if split not in ROLES:
        raise InputError(f"split {split!r}: expected one of {', '.join(ROLES)}")


def report_folder(
    out: Path | None, run: runs.Run, foreign: str | None, split: str, view: str, engine: str | None
) -> Path:
    """The folder of a report; other faces (`foreign`) or an engine never overwrite the run's scores.

    Raises:
        InputError: it is of another run, or of an installed package; or `foreign` faces have no `out`.
    """
    if out:
        if out.resolve() == run.folder.resolve() and (split, view) != MAIN:
            raise InputError(
                f"{out}: holds the report on the single view of PrivateTest; give another folder"
            )
        return outside_runs(out, None if foreign else run.name)
    if foreign:
        source = run.manifest().data.get("source")
        raise InputError(
            f"{foreign}: not the faces of run {run.name!r} ({source}); give --out DIR for this report"
        )
    if run.shipped:
        raise InputError(f"{run.folder}: part of the installed package; give --out DIR for the report")
    return run.folder / f"{split}-{view}-{engine}" if engine else folder_of(run, split, view)


def outside_runs(out: Path, but: str | None = None) -> Path:
    """The folder, checked to be in no run's folder except one, and otherwise new or of an earlier report.

    Raises:
        InputError: it is in a run's folder, or holds other files.
    """
    for name in runs.names():
        if out.resolve().is_relative_to((runs.home() / "results" / name).resolve()):
            if name != but:
                raise InputError(f"{out}: belongs to run {name!r}; give a folder outside of all runs")
            return out
    if out.is_dir() and any(out.iterdir()) and not any(_reported(out / file) for file in MARKS):
        raise InputError(f"{out}: not empty, and not written by evaluate; choose a new folder")
    return out


def _reported(path: Path) -> bool:
    """Whether a file holds the scores of a report."""
    try:
        return MARKS[path.name] <= fileio.read_object(path).keys()
    except InputError:
        return False
