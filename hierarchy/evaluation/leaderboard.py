"""Every run in results/ in a table: scores, costs and training time.

Speeds are the latest of tests/benchmarks/*_speed.py, each table measured at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hierarchy import fileio, runs
from hierarchy.data.dataset import Split
from hierarchy.evaluation import run_report
from hierarchy.evaluation.scores import Row, Scores
from hierarchy.manifest import FER2013_LABELS, NetRecord, RunManifest
from hierarchy.reports import plots
from hierarchy.reports.run_markdown import recipe_of
from hierarchy.reports.tables import accuracy, as_csv, percent, table
from hierarchy.taxonomy import FLAT, colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CSV: Final = "runs.csv"
PICTURE: Final = "runs.png"
BENCHMARKS: Final = "benchmarks.json"
SPEED: Final = "inference_speed"  # its part of BENCHMARKS: run -> system -> batch -> milliseconds for a face
SAME: Final = "same_nets"  # framework -> system -> batch -> milliseconds for a face, of the default run
TRAINED: Final = "training_speed"
BATCHES: Final = ("1", "64")
ROW: Final = 0.3  # inches for a row
REPORTED: Final = (
    "Reported by others, on this set but each by a protocol of its own: ResNet18 61.6, VGG13 68.8, "
    "FaceNet 65.9, CLIP 62.4; five blocks on FER+ 83.3."
)


def write(folder: Path) -> str:
    """Write runs.csv and runs.png into a folder; return the Markdown tables of the same."""
    lines = standings()
    fileio.write_atomic(folder / CSV, csv(lines).encode())
    fileio.write_atomic(folder / PICTURE, plots.png(picture(lines)))
    return markdown(lines)


def standings() -> list[dict[str, Any]]:
    """Rows for the tree and the flat net of every run that was evaluated on PrivateTest.

    Ordered by tree, then faces and labels, then accuracy.
    """
    speeds = benchmarks().get(SPEED, {})
    lines = [line for name in runs.names() for line in _of_run(runs.run(name), speeds.get(name, {}))]
    trees = list(dict.fromkeys(line["tree"] for line in lines))
    return sorted(lines, key=lambda line: (trees.index(line["tree"]), *_apart(line), -line["accuracy"]))


def _apart(line: Mapping[str, Any]) -> tuple[bool, bool]:
    """Rows that are scored on other faces or labels follow the others."""
    return line["run"].startswith("SKETCH "), line["labels"] != FER2013_LABELS


def _of_run(run: runs.Run, speeds: Mapping[str, Mapping[str, float]]) -> Iterator[dict[str, Any]]:
    path, manifest = run.folder / run_report.SCORES, run.manifest()
    if not path.is_file():
        return
    scores = Scores.read(path)
    systems: dict[str, tuple[Sequence[str], Row]] = {}
    if scores.has_tree:
        systems[plots.NAMES[plots.SOFT]] = (scores.classes.nodes, scores.tree["soft"])
    if scores.flat and manifest.nets[FLAT].copied_from is None:  # otherwise it is in that run's row
        systems[plots.NAMES[FLAT]] = ((FLAT,), scores.flat)
    for answer, (nodes, row) in systems.items():
        speed = {f"ms_{batch}": speeds.get(answer, {}).get(batch) for batch in BATCHES}
        nets = [manifest.nets[node] for node in nodes]
        yield _about(run, manifest, scores, answer, nets) | _score(row) | _cost(nets) | speed | _size(nets)


def _about(
    run: runs.Run, manifest: RunManifest, scores: Scores, answer: str, nets: Sequence[NetRecord]
) -> dict[str, Any]:
    backend = nets[0].backend
    same = manifest.framework.lower() == backend
    return {
        "tree": plots.tree_name(scores.classes),
        "classes": plots.covered(scores.classes, scores.left_out),
        "run": f"SKETCH {run.name}" if runs.sketched(manifest) else run.name,
        "answer": answer,
        "framework": manifest.framework if same else f"{manifest.framework} on {backend}",
        "recipe": recipe_of(manifest),
        "labels": manifest.labels,
    }


def _score(row: Row) -> dict[str, Any]:
    return {key: row[key] for key in ("n", "accuracy", "ci95", "macro_f1")}


def _cost(nets: Sequence[NetRecord]) -> dict[str, Any]:
    macs = [net.macs for net in nets if net.macs is not None]
    return {
        "parameters": sum(net.parameters for net in nets),
        "gmac": sum(macs) / 1e9 if len(macs) == len(nets) else None,
        "epochs": sum(net.epochs for net in nets),
        "minutes": sum(net.minutes for net in nets if net.copied_from is None),
        "images_per_second": sum(net.images_per_second for net in nets) / len(nets),
    }


def _size(nets: Sequence[NetRecord]) -> dict[str, Any]:
    sizes = [net.size for net in nets if net.size is not None]
    return {"megabytes": sum(sizes) / 1e6 if len(sizes) == len(nets) else None}


def benchmarks() -> dict[str, Any]:
    """The latest results of tests/benchmarks, by kind; empty where they were never run."""
    path = runs.home() / "results" / BENCHMARKS
    known: dict[str, Any] = fileio.read_json(path) if path.is_file() else {}
    return known


def markdown(lines: Sequence[Mapping[str, Any]]) -> str:
    """Two tables, of scores and of costs, and figures that others report."""
    scores, costs = [], []
    for line in lines:
        name = (line["run"], line["answer"])
        about = (line["tree"], line["classes"], line["framework"], line["recipe"], f"{line['n']:,}")
        scores.append((*name, *about, accuracy(line), percent(line["macro_f1"])))
        speed = [_figure(line[f"ms_{batch}"], ".2f") for batch in BATCHES]
        size = (f"{line['parameters']:,}", _figure(line["gmac"], ".3f"), _figure(line["megabytes"], ".1f"))
        time = (str(line["epochs"]), f"{line['minutes']:.0f}", f"{line['images_per_second']:.0f}")
        costs.append((*name, *size, *time, *speed))
    key = ("run", "answer")
    first = (*key, "tree", "classes", "framework", "recipe", "n", "accuracy", "macro-F1")
    speeds = [f"ms a face, {batch} at once" for batch in BATCHES]
    second = (*key, "parameters", "GMAC", "MB", "epochs", "minutes", "images/s", *speeds)
    return "\n\n".join([table(first, scores), table(second, costs), *_frameworks(), REPORTED])


def _frameworks() -> Iterator[str]:
    """TensorFlow and PyTorch on the same work, where the benchmarks were run."""
    known = benchmarks()
    if same := known.get(SAME):
        header = ("the default run's nets", "answer", *(f"ms a face, {batch} at once" for batch in BATCHES))
        rows = [
            (framework, answer, *(f"{speed[batch]:.2f}" for batch in BATCHES))
            for framework, answers in same.items()
            for answer, speed in answers.items()
        ]
        yield table(header, rows)
    if trained := known.get(TRAINED):
        rows = [
            (n, f"{row['faces_per_second']:.0f}", f"{row['of_pytorch']:.2f}") for n, row in trained.items()
        ]
        yield table(("training the recipe short", "images/s", "of the PyTorch mirror's"), rows)


def csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """The rows unrounded, a column for every figure."""
    ends = [dict(zip(("low", "high"), line["ci95"], strict=True)) for line in lines]
    rows = [dict(line) | end for line, end in zip(lines, ends, strict=True)]
    return as_csv({key: value for key, value in row.items() if key != "ci95"} for row in rows)


def picture(lines: Sequence[Mapping[str, Any]]) -> "Figure":
    """Accuracy of every row with its 95 % interval, in the colour of its system."""
    size = (10.0, 1.6 + ROW * len(lines))
    classes = ", ".join(dict.fromkeys(line["classes"] for line in lines))
    title = f"Every run, {Split.PrivateTest.name}, {classes}, single view"
    figure, (axes,) = plots.canvas(1, 1, size, title)
    several = len({line["tree"] for line in lines}) > 1
    for place, line in enumerate(lines):
        ink = colour(FLAT) if line["answer"] == plots.NAMES[FLAT] else plots.BLUE
        axes.plot([100 * end for end in line["ci95"]], [place, place], color=ink)
        axes.plot(100 * line["accuracy"], place, "o", color=ink, markersize=5)
    axes.set_yticks(range(len(lines)), [_name(line, several) for line in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel("accuracy, %")
    return figure


def _name(line: Mapping[str, Any], several_trees: bool) -> str:
    labels = "" if line["labels"] == FER2013_LABELS else f", {line['labels']} labels"
    tree = f"{line['tree']}: " if several_trees else ""
    return f"{tree}{line['run']}, {line['answer']} ({line['framework']}{labels})"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
