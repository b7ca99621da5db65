"""Every run in results/ on a line: what it scores and costs, how long which framework trained it.

Speeds are those that tests/benchmarks/*_speed.py measured last, each table in one go.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from csv import DictWriter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hierarchy import fileio, runs
from hierarchy.data.dataset import Split
from hierarchy.data.formats.ferplus import LABELS
from hierarchy.evaluation import run_report
from hierarchy.reports import plots
from hierarchy.reports.run_markdown import interval, minutes, percent, recipe_of, table
from hierarchy.taxonomy import FLAT, NODES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CSV: Final = "runs.csv"
PICTURE: Final = "runs.png"
BENCHMARKS: Final = "benchmarks.json"
SPEED: Final = "inference_speed"  # its part of BENCHMARKS: run -> answer -> batch -> milliseconds a face
SAME: Final = "same_nets"  # framework -> answer -> batch -> milliseconds a face, of the shipped run
TRAINED: Final = "training_speed"
BATCHES: Final = ("1", "64")
ROW: Final = 0.3  # inches a line
REPORTED: Final = (
    "Reported by others, on this set but each by a protocol of its own: ResNet18 61.6, VGG13 68.8, "
    "FaceNet 65.9, CLIP 62.4; five blocks on FER+ 83.3."
)


def write(folder: Path) -> str:
    """Write runs.csv and runs.png into a folder; the Markdown of the same is for the comparison's page."""
    lines = standings()
    fileio.write_atomic(folder / CSV, csv(lines).encode())
    fileio.write_atomic(folder / PICTURE, plots.png(picture(lines)))
    return markdown(lines)


def standings() -> list[dict[str, Any]]:
    """A line for the tree and the flat net of every run that was evaluated on PrivateTest, best first."""
    speeds = benchmarks().get(SPEED, {})
    lines = [line for name in runs.names() for line in _of_run(runs.run(name), speeds.get(name, {}))]
    return sorted(lines, key=lambda line: (*_apart(line), -line["accuracy"]))


def _apart(line: Mapping[str, Any]) -> tuple[bool, bool]:
    """What is scored on other faces or labels comes after the others."""
    return line["run"].startswith("SKETCH "), line["labels"] != LABELS[0]


def _of_run(run: runs.Run, speeds: Mapping[str, Mapping[str, float]]) -> Iterator[dict[str, Any]]:
    path, card = run.folder / run_report.SCORES, run.card()
    if not path.is_file():
        return
    scores = fileio.read_json(path)
    answers = (
        {plots.NAMES[plots.SOFT]: (NODES, scores["six_class"]["soft"])} if plots.has_tree(scores) else {}
    )
    if FLAT in scores and "from" not in card["nets"][FLAT]:  # another run's stands there
        answers[plots.NAMES[FLAT]] = ((FLAT,), scores[FLAT])
    for answer, (nodes, score) in answers.items():
        speed = {f"ms_{batch}": speeds.get(answer, {}).get(batch) for batch in BATCHES}
        yield _line(run, card, answer, nodes, score, speed)


def _line(
    run: runs.Run,
    card: Mapping[str, Any],
    answer: str,
    nodes: Sequence[str],
    score: Mapping[str, Any],
    speed: Mapping[str, float | None],
) -> dict[str, Any]:
    nets = [card["nets"][node] for node in nodes]
    sizes = [net.get("bytes") for net in nets]
    macs = [net.get("macs") for net in nets]
    return {
        "run": f"SKETCH {run.name}" if runs.sketched(card) else run.name,
        "answer": answer,
        "framework": _framework(card, nets[0]["backend"]),
        "recipe": recipe_of(card),
        "labels": card.get("labels", LABELS[0]),
        "n": score["n"],
        "accuracy": score["accuracy"],
        "ci95": score["ci95"],
        "macro_f1": score["macro_f1"],
        "parameters": sum(net["parameters"] for net in nets),
        "gmac": None if None in macs else sum(macs) / 1e9,
        "epochs": sum(net["epochs"] for net in nets),
        "minutes": minutes({"nets": dict(zip(nodes, nets, strict=True))}),
        "images_per_second": sum(net["images_per_second"] for net in nets) / len(nets),
        **speed,
        "megabytes": None if None in sizes else sum(sizes) / 1e6,
    }


def _framework(card: Mapping[str, Any], backend: str) -> str:
    name = str(card.get("framework", "Keras"))
    return name if name.lower() == backend else f"{name} on {backend}"


def benchmarks() -> dict[str, Any]:
    """What tests/benchmarks measured last, by kind; nothing where they were never run."""
    path = runs.home() / "results" / BENCHMARKS
    found: dict[str, Any] = fileio.read_json(path) if path.is_file() else {}
    return found


def markdown(lines: Sequence[Mapping[str, Any]]) -> str:
    """The lines as two tables, the scores and the costs, and what others report."""
    scores, costs = [], []
    for line in lines:
        name = (line["run"], line["answer"])
        share = f"{percent(line['accuracy'])} ({interval(line)})"
        about = (line["framework"], line["recipe"], f"{line['n']:,}")
        scores.append((*name, *about, share, percent(line["macro_f1"])))
        speed = [_figure(line[f"ms_{batch}"], ".2f") for batch in BATCHES]
        size = (f"{line['parameters']:,}", _figure(line["gmac"], ".3f"), _figure(line["megabytes"], ".1f"))
        time = (str(line["epochs"]), f"{line['minutes']:.0f}", f"{line['images_per_second']:.0f}")
        costs.append((*name, *size, *time, *speed))
    what = ("run", "answer")
    first = (*what, "framework", "recipe", "n", "accuracy", "macro-F1")
    speeds = [f"ms a face, {batch} at once" for batch in BATCHES]
    second = (*what, "parameters", "GMAC", "MB", "epochs", "minutes", "images/s", *speeds)
    return "\n\n".join([table(first, scores), table(second, costs), *_frameworks(), REPORTED])


def _frameworks() -> Iterator[str]:
    """TensorFlow beside PyTorch on the same work, where the benchmarks were run."""
    known = benchmarks()
    if same := known.get(SAME):
        header = ("the shipped nets", "answer", *(f"ms a face, {batch} at once" for batch in BATCHES))
        yield table(
            header,
            [
                (side, answer, *(f"{speed[batch]:.2f}" for batch in BATCHES))
                for side, answers in same.items()
                for answer, speed in answers.items()
            ],
        )
    if trained := known.get(TRAINED):
        rows = [
            (n, f"{row['faces_per_second']:.0f}", f"{row['of_pytorch']:.2f}") for n, row in trained.items()
        ]
        yield table(("training the recipe short", "images/s", "of the PyTorch mirror's"), rows)


def csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """The lines unrounded, a column for every figure."""
    out = io.StringIO()
    rows = [{**line, "low": line["ci95"][0], "high": line["ci95"][1]} for line in lines]
    columns = [key for key in rows[0] if key != "ci95"] if rows else []
    writer = DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def picture(lines: Sequence[Mapping[str, Any]]) -> "Figure":
    """Accuracy of every line with its 95 % interval, in the colour of its answer."""
    size = (10.0, 1.6 + ROW * len(lines))
    title = f"Every run, {Split.PrivateTest.name}, {plots.CLASSES}, single view"
    figure, (axes,) = plots.canvas(1, 1, size, title)
    for place, line in enumerate(lines):
        colour = plots.COLOURS[FLAT if line["answer"] == plots.NAMES[FLAT] else plots.SOFT]
        axes.plot([100 * end for end in line["ci95"]], [place, place], color=colour)
        axes.plot(100 * line["accuracy"], place, "o", color=colour, markersize=5)
    axes.set_yticks(range(len(lines)), map(_name, lines))
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel("right, %")
    return figure


def _name(line: Mapping[str, Any]) -> str:
    labels = "" if line["labels"] == LABELS[0] else f", {line['labels']} labels"
    return f"{line['run']}, {line['answer']} ({line['framework']}{labels})"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
