"""A run's scores as files: scores.json, REPORT.md with its pictures, and predictions.npz to check them by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.evaluation import predictions
from hierarchy.evaluation.predictions import StoredPredictions
from hierarchy.fileio import write_atomic, write_json
from hierarchy.reports import plots
from hierarchy.reports.run_markdown import interval, markdown, percent, recipe_of
from hierarchy.runs import sketched
from hierarchy.taxonomy import NODES

SCORES: Final = "scores.json"
REPORT: Final = "REPORT.md"


def write(
    folder: Path,
    scores: Mapping[str, Any],
    kept: StoredPredictions,
    faces: FaceDataset,
    *,
    card: Mapping[str, Any],
    view: str,
    history: Sequence[Mapping[str, Any]] = (),
    robustness: str | None = None,
) -> dict[str, Any]:
    """Write predictions.npz, the pictures, REPORT.md and scores.json, each whole or not at all.

    Args:
        folder: where they go: the run's own, or another one for a foreign data set.
        scores: of `metrics.score`.
        kept: what the nets said of all rows of `faces`.
        faces: one split.
        card: the run's recipe.json.
        view: what each net was shown of a face.
        history: rows of the run's history.csv.
        robustness: what corruptions cost, as Markdown, where it was measured.

    Returns:
        What scores.json holds: first what was scored, then the scores.

    Raises:
        InputError: the folder cannot be written.
    """
    about = {
        "dataset": faces.source,
        "split": Split(int(faces.split[0])).name,
        "view": view,
        "n": scores["n"],
        "recipe": recipe_of(card),
        "seeds": sorted({net["seed"] for net in card["nets"].values()}),
        "drawn": faces.drawn,
        "tree": set(NODES) <= card["nets"].keys(),  # if not, all scores are of sums of the flat net
    } | ({"answer": card["answer"]} if "answer" in card else {})
    whole = about | dict(scores)
    write_atomic(folder / predictions.FILE, kept.to_bytes())
    pictures = plots.files(whole, history, sketched=sketched(card))
    for name, data in pictures.items():
        write_atomic(folder / name, data)
    write_atomic(folder / REPORT, markdown(whole, card, pictures, robustness).encode())
    write_json(folder / SCORES, whole)
    return whole


def headline(scores: Mapping[str, Any]) -> str:
    """The score on one line, with what it is of."""
    soft = scores["six_class"]["soft"]
    alone = "" if plots.has_tree(scores) or "answer" in scores else f", {plots.answering(scores)} alone"
    return (
        f"{plots.subject(scores)}: {percent(soft['accuracy'])} % right ({interval(soft)}), "
        f"{plots.CLASSES}, n = {soft['n']:,}{alone}"
    )
