"""results/compare.png: what every way of using the nets scores, with its interval, costs side by side."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hierarchy.data.dataset import Split
from hierarchy.reports import plots
from hierarchy.taxonomy import FLAT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE: Final = "compare.png"
ROW: Final = 0.28  # inches a line
LETTERS: Final = 80  # of a panel's title, a line
MARKS: Final = {"all": ("all faces", "o"), "leak-free": ("no identical twin in Training", "D")}


def forest(scored: Mapping[str, Sequence[Mapping[str, Any]]], ensemble_size: int) -> "Figure":
    """A panel a group, a line a way of using its nets: accuracy in the single view, and its 95 % interval.

    Where there are groups with as many flat nets to be averaged as the tree has nets, they alone are drawn;
    else those that have trees. runs.png shows them all.

    Args:
        scored: lines of `comparison.lines` by the title of their group.
        ensemble_size: flat nets that cost as much as the tree.
    """
    trees = {name: rows for name, rows in scored.items() if len(rows) > 1}
    scored = (
        {name: rows for name, rows in trees.items() if any(_opposes(row, ensemble_size) for row in rows)}
        or trees
        or scored
    )
    heights = [len(rows) + 2 for rows in scored.values()]
    size = (10.0, 1.5 + ROW * sum(heights))
    title = f"Tree and flat net, {Split.PrivateTest.name}, {plots.CLASSES}, single view"
    figure, panels = plots.canvas(len(scored), 1, size, title, heights=heights)
    for axes, (name, rows) in zip(panels, scored.items(), strict=True):
        _lines(axes, rows)
        axes.set_title(textwrap.fill(name, LETTERS), loc="left", fontsize=9.5, color=plots.INK)
        axes.sharex(panels[0])
    panels[-1].set_xlabel("right, %")
    handles = [
        panels[0].plot([], [], mark, color=plots.INK, label=label)[0] for label, mark in MARKS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def _opposes(row: Mapping[str, Any], ensemble_size: int) -> bool:
    """Whether it is of flat nets that cost as much as the tree."""
    return tuple(row["uses"]) == (FLAT,) and row["nets"] == ensemble_size


def _lines(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a way, the first on top; the second part a little below the first."""
    for place, row in enumerate(rows):
        parts = row["views"]["single"]
        for rank, part in enumerate(part for part in MARKS if part in parts):
            score, y = parts[part], place + 0.3 * rank
            colour, pale = _colour(row["uses"]), 0.5 if rank else 1.0
            if score["ci95"]:
                axes.plot([100 * end for end in score["ci95"]], [y, y], color=colour, alpha=pale)
            axes.plot(100 * score["accuracy"], y, MARKS[part][1], color=colour, alpha=pale, markersize=5)
    axes.set_yticks(range(len(rows)), [f"{row['answer']} ({_nets(row)})" for row in rows])
    axes.set_ylim(len(rows) - 0.2, -0.7)


def _colour(nodes: Sequence[str]) -> str:
    """Of flat nets, of trees, or of both together."""
    if FLAT not in nodes:
        return plots.COLOURS[plots.SOFT]
    return plots.INK if len(nodes) > 1 else plots.COLOURS[FLAT]


def _nets(row: Mapping[str, Any]) -> str:
    return f"{row['nets']} net{'' if row['nets'] == 1 else 's'} a face"
