"""Plots of a run's scores and of its training, from the values of scores.json and history.csv.

Every plot is a matplotlib Figure without global state; `files` gives PNGs.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.reports.captions import DRAWN, NAMES, SOFT, answering, tree_of
from hierarchy.reports.figure import BLUE, INK, LABEL, TICK, canvas, png, titled
from hierarchy.reports.tables import percent
from hierarchy.runs import HISTORY
from hierarchy.taxonomy import FLAT, ROUTER, Tree, colour, ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_CLASS: Final = {"precision": "precision", "recall": "recall", "f1": "F1"}
CURVES: Final = {"accuracy": ("accuracy, %", 100.0), "loss": ("loss", 1.0)}  # label and factor of a row


def files(
    scores: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, sketched: bool = False
) -> dict[str, bytes]:
    """PNGs by file name; no router where the run lacks the tree, no curves without rows of history.csv.

    Titles name the run, if scores["run"] does.
    """
    figures = {"confusion.png": confusion(scores, SOFT)}
    if scores["has_tree"]:
        figures["router.png"] = confusion(scores, ROUTER)
    figures |= {"per_class.png": per_class(scores), "reliability.png": reliability(scores)}
    if history:
        figures["curves.png"] = curves(history, sketched=sketched, run=scores.get("run", ""))
    return {name: png(figure) for name, figure in figures.items()}


def confusion(scores: Mapping[str, Any], table: str) -> "Figure":
    """A confusion matrix of scores["confusion"], of leaves or router: percent of each true class, and count.

    Among leaves, heavy lines separate the branches.
    """
    tree = tree_of(scores)
    classes = tree.classes_of(FLAT if table == SOFT else table)
    counts = np.array(scores["confusion"][table])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.9 + 0.85 * len(classes)
    name = answering(scores) if table == SOFT else table
    figure, (axes,) = canvas(1, 1, (side, side), f"Confusion: {name}", scores)
    cells = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        ground = "#" + bytes(cells.to_rgba(share, bytes=True)[:3]).hex()
        text = f"{100 * share:.1f} %\n{counts[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", fontsize=TICK, color=ink(ground))
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
    size = (max(7.5, 1.25 * len(leaves)), 3 * len(PER_CLASS))
    figure, panels = canvas(len(PER_CLASS), 1, size, f"Per class ({about})", scores)
    width, colours = 0.84 / len(systems), [colour(leaf) for leaf in leaves]
    for axes, (key, label) in zip(panels, PER_CLASS.items(), strict=True):
        for rank, rows in enumerate(systems):
            place = np.arange(len(leaves)) + (rank - (len(systems) - 1) / 2) * width
            heights = [100 * rows[leaf][key] for leaf in leaves]
            bars = axes.bar(place, heights, 0.92 * width, color=colours, alpha=0.45 if rank else 1)
            axes.bar_label(bars, fmt="%.0f", fontsize=TICK, padding=1, color=INK)
        axes.set_title(f"{label}, %")
        axes.set_xticks(range(len(leaves)), leaves)
        axes.set_ylim(0, 112)
        axes.grid(False, axis="x")
    panels[-1].set_xticks(
        range(len(leaves)), [f"{leaf}\nn = {systems[0][leaf]['support']:,}" for leaf in leaves]
    )
    return figure


def reliability(scores: Mapping[str, Any]) -> "Figure":
    """Accuracy against confidence; below, the share of predictions in each bin of confidence."""
    systems = (SOFT, FLAT, *tree_of(scores).nodes) if scores["has_tree"] else (FLAT,)
    names = [name for name in systems if name in scores["reliability"]]
    size = (max(2.8 * len(names), 4.5), 5.4)
    figure, panels = canvas(2, len(names), size, "Reliability", scores, heights=(3, 1))
    own = {SOFT: scores["tree"]["soft"], FLAT: scores.get(FLAT)} | scores["nodes"]
    for name, above, below in zip(names, panels, panels[len(names) :], strict=False):
        table, shade = scores["reliability"][name], BLUE if name == SOFT else colour(name)
        count = np.array(table["count"])
        filled, total = count > 0, max(count.sum(), 1)
        sure, right = (100 * np.array(table[key])[filled] for key in ("confidence", "accuracy"))
        area = 6 + 200 * count[filled] / total  # small where few predictions make it unreliable
        above.plot([0, 100], [0, 100], color="#aaaaaa", linewidth=1, linestyle="--")
        above.plot(sure, right, color=shade, linewidth=1, alpha=0.6)
        above.scatter(sure, right, area, shade, clip_on=False)
        label = NAMES.get(name, name) if scores["has_tree"] else answering(scores)
        ece = f"ECE {percent(own[name]['ece'])} %" if filled.any() else "no faces"
        above.set_title(f"{label}, n = {count.sum():,}\n{ece}")
        above.set(xlim=(0, 100), ylim=(0, 100))
        bins = len(count)
        below.bar((np.arange(bins) + 0.5) * 100 / bins, 100 * count / total, 92 / bins, color=shade)
        below.set(xlim=(0, 100), xlabel="confidence, %")
    panels[0].set_ylabel("accuracy, %")
    panels[len(names)].set_ylabel("predictions, %")
    return figure


def curves(history: Sequence[Mapping[str, Any]], *, sketched: bool = False, run: str = "") -> "Figure":
    """Accuracy and loss of each net by epoch: Training dashed, PublicTest solid, the best epoch marked.

    The rows are those of history.csv, with numbers that may be text; the title names the run, if it is given,
    and says if faces were drawn. A single epoch is drawn as points with their values.
    """
    nodes = list(dict.fromkeys(row["node"] for row in history))
    size = (max(3.2 * len(nodes), 5.5), 6)
    title = "Training, epoch by epoch" + (f"\n{DRAWN}" if sketched else "")
    figure, panels = canvas(len(CURVES), len(nodes), size, titled(title, run), alarm=sketched)
    for rank, (key, (label, factor)) in enumerate(CURVES.items()):
        for node, axes in zip(nodes, panels[rank * len(nodes) :], strict=False):
            rows = [row for row in history if row["node"] == node]
            _curve(axes, rows, key, factor, colour(node))
            axes.set(ylabel=label if node == nodes[0] else "", xlabel="epoch" if rank else "")
            if not rank:
                best = max(float(row["val_accuracy"] or 0) for row in rows)
                axes.set_title(f"{node}: {100 * best:.1f} % of\n{Split.PublicTest.name}")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=3, fontsize=TICK, frameon=False)
    return figure


def _separate_branches(axes: "Axes", tree: Tree) -> None:
    for branch in tree.branches:
        own = tree.leaf_slice(branch)
        middle = (own.start + own.stop - 1) / 2
        axes.text(middle, -0.56, branch, ha="center", fontsize=LABEL, color=colour(branch))
        if own.start:
            axes.axhline(own.start - 0.5, color=INK, linewidth=2)
            axes.axvline(own.start - 0.5, color=INK, linewidth=2)


def _curve(axes: "Axes", rows: Sequence[Mapping[str, Any]], key: str, factor: float, shade: str) -> None:
    """A quantity of one net on Training and PublicTest, with the epoch of the best PublicTest accuracy."""
    names = ("epoch", key, f"val_{key}", "val_accuracy")
    if missing := [name for name in names if name not in rows[0]]:
        raise InputError(f"{HISTORY}: no column {missing[0]}")
    epoch, training, public, accuracy = (
        np.array([float(row[name] or "nan") for row in rows]) for name in names
    )
    best, single = int(accuracy.argmax()), len(epoch) == 1
    dashed, solid = ("s", "o") if single else ("--", "-")
    axes.plot(epoch, factor * training, dashed, color=shade, linewidth=1.2, label="Training, augmented")
    axes.plot(epoch, factor * public, solid, color=shade, label=Split.PublicTest.name)
    axes.plot(epoch[best], factor * public[best], "o", color=shade, label="best epoch, which is kept")
    axes.locator_params(axis="x", integer=True)
    if single:  # otherwise matplotlib zooms in until the ticks are fractions
        axes.set_xticks(epoch)
        axes.margins(x=1, y=0.4)
        for values in (training, public):
            text = f"{factor * values[0]:.{1 if factor > 1 else 2}f}"
            place = (epoch[0], factor * values[0])
            axes.annotate(text, place, (8, 0), textcoords="offset points", va="center", fontsize=TICK)
