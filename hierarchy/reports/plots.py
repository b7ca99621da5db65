"""Plots of a run's scores and of its training, from the values of scores.json and history.csv.

Every plot is a matplotlib Figure without global state; `files` gives PNGs.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.data.cache import keep_home_clean
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.reports.captions import DRAWN, NAMES, SOFT, answering, coverage, subject, tree_of
from hierarchy.reports.tables import percent
from hierarchy.runs import HISTORY
from hierarchy.taxonomy import FLAT, ROUTER, Tree, colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE: Final = "#1b5e9b"  # of the tree's soft prediction
INK: Final = "#333333"
GRID: Final = "#dddddd"
ALARM: Final = "#c00000"
DPI: Final = 110
PER_CLASS: Final = {"precision": "precision", "recall": "recall", "f1": "F1"}
CURVES: Final = {"accuracy": ("accuracy, %", 100.0), "loss": ("loss", 1.0)}  # label and factor of a row


def files(
    scores: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, sketched: bool = False
) -> dict[str, bytes]:
    """PNGs by file name; no router where the run lacks the tree, no curves without rows of history.csv."""
    figures = {"confusion.png": confusion(scores, SOFT)}
    if scores["has_tree"]:
        figures["router.png"] = confusion(scores, ROUTER)
    figures |= {"per_class.png": per_class(scores), "reliability.png": reliability(scores)}
    if history:
        figures["curves.png"] = curves(history, sketched=sketched)
    return {name: png(figure) for name, figure in figures.items()}


def png(figure: "Figure", software: str | None = None) -> bytes:
    """The figure as a PNG whose bytes depend only on the drawing and on the software named in it."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": software})
    return out.getvalue()


def confusion(scores: Mapping[str, Any], table: str) -> "Figure":
    """A confusion matrix of scores["confusion"], of leaves or router: percent of each true class, and count.

    Among leaves, heavy lines separate the branches.
    """
    tree = tree_of(scores)
    classes = tree.classes_of(FLAT if table == SOFT else table)
    counts = np.array(scores["confusion"][table])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.8 + 0.75 * len(classes)
    name = answering(scores) if table == SOFT else table
    figure, (axes,) = canvas(1, 1, (side, side), f"Confusion: {name}", scores)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text, ink = f"{100 * share:.1f} %\n{counts[row, column]:,}", "white" if share > 0.5 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=ink)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="labelled; rows sum to 100 %")
    axes.tick_params(length=0)
    axes.grid(False)
    if table == SOFT:
        _separate_branches(axes, tree)
    return figure


def per_class(scores: Mapping[str, Any]) -> "Figure":
    """Precision, recall and F1 of each leaf: the tree's soft rule, and the flat net's paler beside it."""
    leaves = tree_of(scores).leaves
    both = scores["has_tree"] and FLAT in scores
    systems = [scores["per_class"]] + ([scores[FLAT]["per_class"]] if both else [])
    about = f"dark: {NAMES[SOFT]}; pale: {NAMES[FLAT]}" if both else answering(scores)
    size = (max(13.0, 2.1 * len(leaves)), 4)
    figure, panels = canvas(1, len(PER_CLASS), size, f"Per class ({about})", scores)
    width, colours = 0.84 / len(systems), [colour(leaf) for leaf in leaves]
    for axes, (key, label) in zip(panels, PER_CLASS.items(), strict=True):
        for rank, rows in enumerate(systems):
            place = np.arange(len(leaves)) + (rank - (len(systems) - 1) / 2) * width
            heights = [100 * rows[leaf][key] for leaf in leaves]
            bars = axes.bar(place, heights, 0.92 * width, color=colours, alpha=0.45 if rank else 1)
            axes.bar_label(bars, fmt="%.0f", fontsize=7.5, padding=1, color=INK)
        axes.set_title(f"{label}, %")
        ticks = [f"{leaf}\nn = {systems[0][leaf]['support']:,}" for leaf in leaves]
        axes.set_xticks(range(len(leaves)), ticks)
        axes.set_ylim(0, 107)
        axes.grid(False, axis="x")
    return figure


def reliability(scores: Mapping[str, Any]) -> "Figure":
    """Accuracy against confidence; below, the share of predictions in each bin of confidence."""
    systems = (SOFT, FLAT, *tree_of(scores).nodes) if scores["has_tree"] else (FLAT,)
    names = [name for name in systems if name in scores["reliability"]]
    size = (max(2.7 * len(names), 4.5), 5)
    figure, panels = canvas(2, len(names), size, "Reliability", scores, heights=(3, 1))
    own = {SOFT: scores["tree"]["soft"], FLAT: scores.get(FLAT)} | scores["nodes"]
    for name, above, below in zip(names, panels, panels[len(names) :], strict=False):
        table, ink = scores["reliability"][name], BLUE if name == SOFT else colour(name)
        count = np.array(table["count"])
        filled, total = count > 0, max(count.sum(), 1)
        sure, right = (100 * np.array(table[key])[filled] for key in ("confidence", "accuracy"))
        area = 6 + 200 * count[filled] / total  # small where few predictions make it unreliable
        above.plot([0, 100], [0, 100], color="#aaaaaa", linewidth=1, linestyle="--")
        above.plot(sure, right, color=ink, linewidth=1, alpha=0.6)
        above.scatter(sure, right, area, ink, clip_on=False)
        label = NAMES.get(name, name) if scores["has_tree"] else answering(scores)
        ece = f"ECE {percent(own[name]['ece'])} %" if filled.any() else "no faces"
        above.set_title(f"{label}, n = {count.sum():,}\n{ece}")
        above.set(xlim=(0, 100), ylim=(0, 100))
        bins = len(count)
        below.bar((np.arange(bins) + 0.5) * 100 / bins, 100 * count / total, 92 / bins, color=ink)
        below.set(xlim=(0, 100), xlabel="confidence, %")
    panels[0].set_ylabel("accuracy, %")
    panels[len(names)].set_ylabel("predictions, %")
    return figure


def curves(history: Sequence[Mapping[str, Any]], *, sketched: bool = False) -> "Figure":
    """Accuracy and loss of each net by epoch: Training dashed, PublicTest solid, the best epoch marked.

    The rows are those of history.csv, with numbers that may be text; the title says if faces were drawn.
    """
    nodes = list(dict.fromkeys(row["node"] for row in history))
    size = (max(3.1 * len(nodes), 5), 5.4)
    title = "Training, epoch by epoch" + (f"\n{DRAWN}" if sketched else "")
    figure, panels = canvas(len(CURVES), len(nodes), size, title, alarm=sketched)
    for rank, (key, (label, factor)) in enumerate(CURVES.items()):
        for node, axes in zip(nodes, panels[rank * len(nodes) :], strict=False):
            rows = [row for row in history if row["node"] == node]
            _curve(axes, rows, key, factor, colour(node))
            axes.set(ylabel=label if node == nodes[0] else "", xlabel="epoch" if rank else "")
            if not rank:
                best = max(float(row["val_accuracy"] or 0) for row in rows)
                axes.set_title(f"{node}: {100 * best:.1f} % of {Split.PublicTest.name}")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=3, fontsize=8.5, frameon=False)
    return figure


def _separate_branches(axes: "Axes", tree: Tree) -> None:
    for branch in tree.branches:
        own = tree.leaf_slice(branch)
        middle = (own.start + own.stop - 1) / 2
        axes.text(middle, -0.56, branch, ha="center", fontsize=9.5, color=colour(branch))
        if own.start:
            axes.axhline(own.start - 0.5, color=INK, linewidth=2)
            axes.axvline(own.start - 0.5, color=INK, linewidth=2)


def _curve(axes: "Axes", rows: Sequence[Mapping[str, Any]], key: str, factor: float, ink: str) -> None:
    """A quantity of one net on Training and PublicTest, with the epoch of the best PublicTest accuracy."""
    names = ("epoch", key, f"val_{key}", "val_accuracy")
    if missing := [name for name in names if name not in rows[0]]:
        raise InputError(f"{HISTORY}: no column {missing[0]}")
    epoch, training, public, accuracy = (
        np.array([float(row[name] or "nan") for row in rows]) for name in names
    )
    best = int(accuracy.argmax())
    axes.plot(epoch, factor * training, "--", color=ink, linewidth=1.2, label="Training, augmented")
    axes.plot(epoch, factor * public, color=ink, label=Split.PublicTest.name)
    axes.plot(epoch[best], factor * public[best], "o", color=ink, label="best epoch, which is kept")
    axes.locator_params(axis="x", integer=True)
    if len(epoch) == 1:  # otherwise matplotlib zooms in until the ticks are fractions
        axes.set_xticks(epoch)


def canvas(
    rows: int,
    columns: int,
    size: tuple[float, float],
    title: str,
    scores: Mapping[str, Any] | None = None,
    heights: Sequence[float] | None = None,
    alarm: bool = False,
) -> "tuple[Figure, list[Axes]]":
    """A figure of rows x columns panels, listed row by row; its title names the faces and their number."""
    keep_home_clean()
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    about = "" if scores is None else f"{subject(scores)}, n = {scores['n']:,}, {coverage(scores)}"
    lines = [title, *textwrap.wrap(about, int(11.5 * size[0]))]  # characters an inch
    alarm = alarm or (scores is not None and scores["drawn"])
    figure.suptitle("\n".join(lines), fontsize=11.5, color=ALARM if alarm else INK, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).ravel().tolist()
    for axes in panels:
        axes.set_axisbelow(True)
        axes.grid(color=GRID, linewidth=0.7)
        axes.spines[:].set_visible(False)
        axes.tick_params(labelsize=8.5, colors=INK)
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
            text.set(fontsize=9.5, color=INK)
    return figure, panels
