"""Every run in results/ in a table: scores, costs and training time.

Speeds are the latest of tests/benchmarks/*_speed.py, each table measured at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hierarchy import fileio, runs
from hierarchy.errors import InputError
from hierarchy.evaluation import benchmarks, run_report
from hierarchy.evaluation.scores import Row, Scores
from hierarchy.evaluation.systems import cost
from hierarchy.manifest import FER2013_LABELS
from hierarchy.reports import forest_plot, plots
from hierarchy.reports.captions import NAMES, SOFT, covered, recipe_of
from hierarchy.reports.tables import accuracy, as_csv, figure, table
from hierarchy.taxonomy import FLAT

CSV: Final = "runs.csv"
BATCHES: Final = {batch: f"ms a face, {batch} at once" for batch in ("1", "64")}  # titles of columns
KEYS: Final = ("run", "answer")
ABOUT: Final = (*KEYS, "tree", "classes", "framework", "recipe")
COSTS: Final = {  # column: key of a line, and format
    "parameters": ("parameters", ","),
    "GMAC": ("gmac", ".3f"),
    "MB": ("megabytes", ".1f"),
    "epochs": ("epochs", "d"),
    "minutes": ("minutes", ".0f"),
    "images/s": ("images_per_second", ".0f"),
    **{title: (f"ms_{batch}", ".2f") for batch, title in BATCHES.items()},
}
REPORTED: Final = (
    "Reported by others, on this set but each by a protocol of its own: ResNet18 61.6, VGG13 68.8, "
    "FaceNet 65.9, CLIP 62.4; five blocks on FER+ 83.3."
)


def write(folder: Path) -> str:
    """Write runs.csv and runs.png into a folder; return the Markdown tables of the same."""
    lines = standings()
    fileio.write_atomic(folder / CSV, csv(lines).encode())
    fileio.write_atomic(folder / forest_plot.RUNS, plots.png(forest_plot.standings(lines)))
    return markdown(lines)


def standings() -> list[dict[str, Any]]:
    """Rows for the tree and the flat net of every run that was evaluated on PrivateTest.

    Ordered by tree, then faces and labels, then accuracy.
    """
    speeds = benchmarks.latest().get(benchmarks.SPEED, {})
    lines = [line for name in runs.names() for line in _of_run(runs.run(name), speeds.get(name, {}))]
    trees = list(dict.fromkeys(line["tree"] for line in lines))

    def place(line: Mapping[str, Any]) -> tuple[Any, ...]:
        drawn, others = line["run"].startswith("SKETCH "), line["labels"] != FER2013_LABELS
        return trees.index(line["tree"]), drawn, others, -line["accuracy"]

    return sorted(lines, key=place)


def _of_run(run: runs.Run, speeds: Mapping[str, Mapping[str, float]]) -> Iterator[dict[str, Any]]:
    path = run.folder / run_report.SCORES
    try:
        manifest = run.manifest()
    except InputError:  # `comparison` names it
        return
    if not path.is_file():
        return
    scores = Scores.read(path)
    systems: dict[str, tuple[Sequence[str], Row]] = {}
    if scores.has_tree:
        systems[NAMES[SOFT]] = (scores.classes.nodes, scores.tree["soft"])
    if scores.flat and manifest.nets[FLAT].copied_from is None:  # otherwise it is in that run's row
        systems[NAMES[FLAT]] = ((FLAT,), scores.flat)
    for answer, (nodes, row) in systems.items():
        nets = [manifest.nets[node] for node in nodes]
        sizes = [net.size for net in nets]
        backend = "" if manifest.framework.lower() == nets[0].backend else f" on {nets[0].backend}"
        yield {
            "tree": scores.classes.name or scores.classes.hash,
            "classes": covered(scores.classes, scores.left_out),
            "run": f"SKETCH {run.name}" if runs.sketched(manifest) else run.name,
            "answer": answer,
            "framework": f"{manifest.framework}{backend}",
            "recipe": recipe_of(manifest),
            "labels": manifest.labels,
            **{key: row[key] for key in ("n", "accuracy", "ci95", "macro_f1")},
            **cost(nets),
            "epochs": sum(net.epochs for net in nets),
            "minutes": sum(net.minutes for net in nets if net.copied_from is None),
            "images_per_second": sum(net.images_per_second for net in nets) / len(nets),
            **{f"ms_{batch}": speeds.get(answer, {}).get(batch) for batch in BATCHES},
            "megabytes": sum(filter(None, sizes)) / 1e6 if all(sizes) else None,
        }


def markdown(lines: Sequence[Mapping[str, Any]]) -> str:
    """Two tables, of scores and of costs, and figures that others report."""
    scores = [(*(line[key] for key in ABOUT), line["n"], accuracy(line), line["macro_f1"]) for line in lines]
    costs = [
        (*(line[key] for key in KEYS), *(figure(line[key], form) for key, form in COSTS.values()))
        for line in lines
    ]
    tables = table((*ABOUT, "n", "accuracy", "macro-F1"), scores), table((*KEYS, *COSTS), costs)
    return "\n\n".join([*tables, *_frameworks(), REPORTED])


def _frameworks() -> Iterator[str]:
    """TensorFlow and PyTorch on the same work, where the benchmarks were run."""
    known = benchmarks.latest()
    if same := known.get(benchmarks.SAME):
        rows = [
            (framework, answer, *(f"{speed[batch]:.2f}" for batch in BATCHES))
            for framework, answers in same.items()
            for answer, speed in answers.items()
        ]
        yield table(("the default run's nets", "answer", *BATCHES.values()), rows)
    if trained := known.get(benchmarks.TRAINED):
        rows = [
            (n, f"{row['faces_per_second']:.0f}", f"{row['of_pytorch']:.2f}") for n, row in trained.items()
        ]
        yield table(("training the recipe short", "images/s", "of the PyTorch mirror's"), rows)


def csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """The rows unrounded, a column for every figure."""
    rows = [{**line, "low": line["ci95"][0], "high": line["ci95"][1]} for line in lines]
    return as_csv({key: value for key, value in row.items() if key != "ci95"} for row in rows)
