"""results/compare.png: accuracy and interval of every system."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hierarchy.data.dataset import Split
from hierarchy.reports import plots
from hierarchy.taxonomy import FLAT, colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE: Final = "compare.png"
ROW: Final = 0.28  # inches for a row
CHARACTERS: Final = 80  # of a panel's title, on one line
MARKS: Final = {"all": ("all faces", "o"), "leak-free": ("no identical twin in Training", "D")}


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
    size = (10.0, 1.5 + ROW * sum(heights))
    title = f"Tree and flat net, {Split.PrivateTest.name}, {classes}, single view"
    figure, panels = plots.canvas(len(scored), 1, size, title, heights=heights)
    for axes, (name, rows) in zip(panels, scored.items(), strict=True):
        _lines(axes, rows)
        axes.set_title(textwrap.fill(name, CHARACTERS), loc="left", fontsize=9.5, color=plots.INK)
        axes.sharex(panels[0])
    panels[-1].set_xlabel("accuracy, %")
    handles = [
        panels[0].plot([], [], mark, color=plots.INK, label=label)[0] for label, mark in MARKS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def _lines(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """A row for each system, the first on top; the second part a little below the first."""
    for place, row in enumerate(rows):
        parts = row["views"]["single"]
        for rank, part in enumerate(part for part in MARKS if part in parts):
            score, y = parts[part], place + 0.3 * rank
            ink, pale = _ink(row["uses"]), 0.5 if rank else 1.0
            if score["ci95"]:
                axes.plot([100 * end for end in score["ci95"]], [y, y], color=ink, alpha=pale)
            axes.plot(100 * score["accuracy"], y, MARKS[part][1], color=ink, alpha=pale, markersize=5)
    axes.set_yticks(range(len(rows)), [f"{row['answer']} ({_nets(row)})" for row in rows])
    axes.set_ylim(len(rows) - 0.2, -0.7)


def _ink(nodes: Sequence[str]) -> str:
    """The colour of flat nets, of trees, or of both together."""
    if FLAT not in nodes:
        return plots.BLUE
    return plots.INK if len(nodes) > 1 else colour(FLAT)


def _nets(row: Mapping[str, Any]) -> str:
    return f"{row['nets']} net{'' if row['nets'] == 1 else 's'} a face"
