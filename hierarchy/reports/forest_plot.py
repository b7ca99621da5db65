"""results/compare.png and results/runs.png: accuracy and interval of every system and of every run."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hierarchy.data.dataset import Split
from hierarchy.manifest import FER2013_LABELS
from hierarchy.reports import plots
from hierarchy.reports.captions import NAMES
from hierarchy.taxonomy import FLAT, colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE, RUNS = "compare.png", "runs.png"
ROW: Final = 0.31  # inches for a row of a panel
CHARACTERS: Final = 72  # of a panel's title, on one line
MARKS: Final = {  # view and part: what is counted, and its mark
    ("single", "all"): ("all faces", "o"),
    ("single", "leak-free"): ("no identical twin in Training", "D"),
}


def forest(scored: Mapping[str, Sequence[Mapping[str, Any]]], classes: str) -> "Figure":
    """A panel for each group, a row for each system: accuracy in the single view and its 95 % interval.

    Only groups with equal-compute baselines are drawn where there are any; otherwise those with trees.
    runs.png has them all.

    Args:
        scored: rows of `comparison.lines` by the title of their group.
        classes: how many classes of the data the trees cover.
    """
    trees = {name: rows for name, rows in scored.items() if len(rows) > 1}
    equal = {name: rows for name, rows in trees.items() if any(row["equal_compute"] for row in rows)}
    scored = equal or trees or scored
    heights = [len(rows) + 2 for rows in scored.values()]
    size = (11.5, 1.5 + ROW * sum(heights))
    title = f"Tree and flat net, {Split.PrivateTest.name}, {classes}, single view"
    figure, panels = plots.canvas(len(scored), 1, size, title, heights=heights)
    for axes, (name, rows) in zip(panels, scored.items(), strict=True):
        _lines(axes, rows)
        axes.set_title(textwrap.fill(name, CHARACTERS), loc="left", fontsize=plots.LABEL, color=plots.INK)
        axes.sharex(panels[0])
    panels[-1].set_xlabel("accuracy, %")
    handles = [
        panels[0].plot([], [], mark, color=plots.INK, label=label)[0] for label, mark in MARKS.values()
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=plots.TICK
    )
    return figure


def standings(lines: Sequence[Mapping[str, Any]]) -> "Figure":
    """Accuracy of every row of runs.csv with its 95 % interval, in the colour of its system."""
    classes = ", ".join(dict.fromkeys(line["classes"] for line in lines))
    title = f"Every run, {Split.PrivateTest.name}, {classes}, single view"
    figure, (axes,) = plots.canvas(1, 1, (11.5, 1.6 + 0.3 * len(lines)), title)
    several = len({line["tree"] for line in lines}) > 1
    names = []
    for place, line in enumerate(lines):
        flat = line["answer"] == NAMES[FLAT]
        _draw(axes, line, place, colour(FLAT) if flat else plots.BLUE, "s" if flat else "o")
        tree = f"{line['tree']}: " if several else ""
        labels = "" if line["labels"] == FER2013_LABELS else f", {line['labels']} labels"
        names.append(f"{tree}{line['run']}, {line['answer']} ({line['framework']}{labels})")
    axes.set_yticks(range(len(lines)), names)
    axes.set_ylim(max(len(lines), 1) - 0.5, -0.5)
    axes.set_xlabel("accuracy, %")
    return figure


def _lines(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """A row for each system, the first on top; the second part a little below the first."""
    for place, row in enumerate(rows):
        for rank, (key, (_, mark)) in enumerate(MARKS.items()):
            if key in row["scores"]:
                y, pale = place + 0.3 * rank, 0.5 if rank else 1.0
                _draw(axes, row["scores"][key], y, _ink(row["uses"]), mark, pale)
    names = [f"{row['answer']} ({row['nets']} net{'' if row['nets'] == 1 else 's'} a face)" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.2, -0.7)


def _draw(
    axes: "Axes", score: Mapping[str, Any], y: float, ink: str, mark: str = "o", alpha: float = 1.0
) -> None:
    """A score as a mark, and its interval, where it has one, as a line."""
    if score["ci95"]:
        axes.plot([100 * end for end in score["ci95"]], [y, y], color=ink, alpha=alpha)
    axes.plot(100 * score["accuracy"], y, mark, color=ink, alpha=alpha, markersize=5)


def _ink(nodes: Sequence[str]) -> str:
    """The colour of flat nets, of trees, or of both together."""
    if FLAT not in nodes:
        return plots.BLUE
    return plots.INK if len(nodes) > 1 else colour(FLAT)
