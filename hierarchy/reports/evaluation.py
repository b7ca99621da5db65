"""From a run and labelled faces to its report: what `evaluate` does."""

import csv
from pathlib import Path
from typing import Any

from hierarchy import metrics, runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import audit, sources
from hierarchy.data.faces import SKETCH, Faces, Split
from hierarchy.data.splits import part
from hierarchy.errors import InputError
from hierarchy.reports import report

ROLES = (Split.PublicTest, Split.PrivateTest)


def evaluate(
    run: str, data: str | None, *, split: str, view: str, floor: float, out: Path | None = None
) -> str:
    """Score a run on one split of labelled faces and write its report.

    Args:
        run: name of the run.
        data: file or folder of faces; None: the run's own sketches, or wherever `sources.labelled_faces`
            finds some.
        split: PublicTest or PrivateTest.
        view: what each net is shown of a face.
        floor: probability below which an answer stops at its branch.
        out: folder of the report; None: the run's own, for the single view of PrivateTest the run's top.

    Returns:
        What to tell the user: the headline and where the report is.

    Raises:
        InputError: unknown run, split or view; faces of another data set without `out`.
    """
    if split not in [role.name for role in ROLES]:
        raise InputError(f"split {split!r}: allowed are {', '.join(role.name for role in ROLES)}")
    scored = runs.run(run)
    card = scored.card()
    drawn = card.get("data", {}).get("source") == SKETCH
    faces = sources.labelled_faces(SKETCH if data is None and drawn else data)
    folder = out or _folder(scored, faces, split, view)
    here = part(faces, Split[split])
    classifier = HierarchicalClassifier.load(run, view=view)
    predictions, flat = classifier.predictions(here), classifier.flat(here)
    rows = faces.split == Split[split]
    leaks = metrics.Leaks(audit.twins(faces)[rows], audit.near_twins(faces)[rows])
    scores = metrics.score(predictions, here, flat=flat, leaks=leaks, min_confidence=floor)
    whole = report.write(
        folder, scores, predictions, here, card=card, view=view, history=_history(scored), flat=flat
    )
    return f"{report.headline(whole)}\n{folder / report.REPORT}"


def _folder(run: runs.Run, faces: Faces, split: str, view: str) -> Path:
    """Where a report goes; a foreign data set never lands on the run's own scores."""
    known = run.card().get("data", {})
    if known.get("fingerprint") != sources.fingerprint(faces):
        raise InputError(
            f"{faces.source}: not the faces of run {run.name!r} ({known.get('source')}); "
            "give --out DIR for this report"
        )
    own = split == Split.PrivateTest.name and view == "single"
    return run.folder if own else run.folder / f"{split}-{view}"


def _history(run: runs.Run) -> list[dict[str, Any]]:
    path = run.folder / runs.HISTORY
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
