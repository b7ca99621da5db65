"""A run's scores as files: scores.json, REPORT.md with its pictures, and predictions.npz."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.evaluation import predictions
from hierarchy.evaluation.predictions import StoredPredictions
from hierarchy.fileio import write_atomic, write_json
from hierarchy.manifest import RunManifest
from hierarchy.reports import captions, plots
from hierarchy.reports.run_markdown import markdown
from hierarchy.reports.tables import interval, percent
from hierarchy.runs import sketched

SCORES: Final = "scores.json"
REPORT: Final = "REPORT.md"


def write(
    folder: Path,
    scores: Mapping[str, Any],
    stored: StoredPredictions,
    faces: FaceDataset,
    *,
    manifest: RunManifest,
    view: str,
    history: Sequence[Mapping[str, Any]] = (),
    robustness: str | None = None,
) -> dict[str, Any]:
    """Write predictions.npz, the pictures, REPORT.md and scores.json, each whole or not at all.

    Args:
        folder: where they are written: the run's own, or another one for other data.
        scores: of `metrics.score`.
        stored: predictions of all rows of `faces`.
        faces: one split.
        manifest: of the run.
        view: what each net is shown of a face.
        history: rows of the run's history.csv.
        robustness: errors under corruptions as Markdown, where they were measured.

    Returns:
        The content of scores.json: what was scored, then the scores.

    Raises:
        InputError: the folder cannot be written.
    """
    about = {
        "dataset": faces.source,
        "split": Split(int(faces.split[0])).name,
        "view": view,
        "n": scores["n"],
        "recipe": captions.recipe_of(manifest),
        "seeds": sorted({net.seed for net in manifest.nets.values()}),
        "drawn": faces.drawn,
        "has_tree": manifest.complete,  # if not, all scores are of sums of the flat net
    } | ({"answer": manifest.answer} if manifest.answer else {})
    whole = about | dict(scores)
    write_atomic(folder / predictions.FILE, stored.to_bytes())
    pictures = plots.files(whole | {"run": manifest.run}, history, sketched=sketched(manifest))
    for name, data in pictures.items():
        write_atomic(folder / name, data)
    write_atomic(folder / REPORT, markdown(whole, manifest, pictures, robustness).encode())
    write_json(folder / SCORES, whole)
    return whole


def headline(scores: Mapping[str, Any]) -> str:
    """The accuracy on one line, with what it is of."""
    soft = scores["tree"]["soft"]
    only = "" if scores["has_tree"] or scores.get("answer") else f", {captions.answering(scores)} only"
    return (
        f"{captions.subject(scores)}: {percent(soft['accuracy'])} % accuracy ({interval(soft)}), "
        f"{captions.coverage(scores)}, n = {soft['n']:,}{only}"
    )
