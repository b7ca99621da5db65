"""Pictures of a run's scores and of its training, from scores.json and history.csv alone.

Every picture is a matplotlib Figure without global state, fit for a notebook as it is; `files` gives PNGs.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy import colours
from hierarchy.data.dataset import Split
from hierarchy.taxonomy import BRANCHES, FER7, FLAT, LEAVES, NODES, ROUTER, leaf_slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOFT: Final = "six_class"  # the tree's answer among the tables of scores.json
DRAWN: Final = "SKETCH faces (drawn, not photographs)"

COLOURS: Final = {**colours.COLOURS, SOFT: "#1b5e9b"}
INK: Final = "#333333"
GRID: Final = "#dddddd"
ALARM: Final = "#c00000"
DPI: Final = 110
SPELLED: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
CLASSES: Final = f"{SPELLED[len(LEAVES)]} of {SPELLED[len(FER7)]} classes"
NAMES: Final = {SOFT: "tree, soft", FLAT: "flat net"}
PER_CLASS: Final = {"precision": "precision", "recall": "recall", "f1": "F1"}
CURVES: Final = {"accuracy": ("accuracy, %", 100.0), "loss": ("loss", 1.0)}  # label and factor of a row


def files(
    scores: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, sketched: bool = False
) -> dict[str, bytes]:
    """PNGs by file name; no router where the run has no tree, no curves where it kept no history.

    Args:
        scores: what scores.json holds.
        history: rows of history.csv; numbers may still be text.
        sketched: whether the run was trained on drawn faces.
    """
    figures = {"confusion.png": confusion(scores, SOFT, LEAVES)}
    if has_tree(scores):
        figures["router.png"] = confusion(scores, ROUTER, BRANCHES)
    figures |= {"per_class.png": per_class(scores), "reliability.png": reliability(scores)}
    if history:
        figures["curves.png"] = curves(history, sketched=sketched)
    return {name: png(figure) for name, figure in figures.items()}


def png(figure: "Figure", software: str | None = None) -> bytes:
    """The figure as a PNG whose bytes depend on nothing but what is drawn, and on what it says made it."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": software})
    return out.getvalue()


def confusion(scores: Mapping[str, Any], table: str, classes: Sequence[str]) -> "Figure":
    """A confusion matrix of scores["confusion"]: percent of each true class, and the count below.

    Among leaves, heavy lines part the branches.
    """
    counts = np.array(scores["confusion"][table])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.8 + 0.75 * len(classes)
    name = answering(scores) if table == SOFT else table
    figure, (axes,) = canvas(1, 1, (side, side), f"Confusion: {name}", scores)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text, colour = f"{100 * share:.1f} %\n{counts[row, column]:,}", "white" if share > 0.5 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=colour)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="labelled; rows sum to 100 %")
    axes.tick_params(length=0)
    axes.grid(False)
    if table == SOFT:
        _part_branches(axes)
    return figure


def per_class(scores: Mapping[str, Any]) -> "Figure":
    """Precision, recall and F1 of each leaf: the tree's soft answer, and the flat net's paler beside it."""
    both = has_tree(scores) and FLAT in scores
    systems = [scores["per_class"]] + ([scores[FLAT]["per_class"]] if both else [])
    about = f"dark: {NAMES[SOFT]}; pale: {NAMES[FLAT]}" if both else answering(scores)
    figure, panels = canvas(1, len(PER_CLASS), (13, 4), f"Per class ({about})", scores)
    width, colours = 0.84 / len(systems), [COLOURS[leaf] for leaf in LEAVES]
    for axes, (key, label) in zip(panels, PER_CLASS.items(), strict=True):
        for rank, rows in enumerate(systems):
            place = np.arange(len(LEAVES)) + (rank - (len(systems) - 1) / 2) * width
            heights = [100 * rows[leaf][key] for leaf in LEAVES]
            bars = axes.bar(place, heights, 0.92 * width, color=colours, alpha=0.45 if rank else 1)
            axes.bar_label(bars, fmt="%.0f", fontsize=7.5, padding=1, color=INK)
        axes.set_title(f"{label}, %")
        ticks = [f"{leaf}\nn = {systems[0][leaf]['support']:,}" for leaf in LEAVES]
        axes.set_xticks(range(len(LEAVES)), ticks)
        axes.set_ylim(0, 107)
        axes.grid(False, axis="x")
    return figure


def reliability(scores: Mapping[str, Any]) -> "Figure":
    """How often answers are right against how sure they are; below, how many answers are how sure."""
    answers = (SOFT, FLAT, *NODES) if has_tree(scores) else (FLAT,)
    names = [name for name in answers if name in scores["reliability"]]
    size = (max(2.7 * len(names), 4.5), 5)
    figure, panels = canvas(2, len(names), size, "Reliability", scores, heights=(3, 1))
    for name, above, below in zip(names, panels, panels[len(names) :], strict=False):
        table = scores["reliability"][name]
        count = np.array(table["count"])
        filled, total = count > 0, max(count.sum(), 1)
        sure, right = (100 * np.array(table[key])[filled] for key in ("confidence", "accuracy"))
        area = 6 + 200 * count[filled] / total  # a bin of few answers says little, so it looks small
        above.plot([0, 100], [0, 100], color="#aaaaaa", linewidth=1, linestyle="--")
        above.plot(sure, right, color=COLOURS[name], linewidth=1, alpha=0.6)
        above.scatter(sure, right, area, COLOURS[name], clip_on=False)
        called = NAMES.get(name, name) if has_tree(scores) else answering(scores)
        above.set_title(f"{called}, n = {count.sum():,}\n{_ece(scores, name)}")
        above.set(xlim=(0, 100), ylim=(0, 100))
        bins = len(count)
        below.bar((np.arange(bins) + 0.5) * 100 / bins, 100 * count / total, 92 / bins, color=COLOURS[name])
        below.set(xlim=(0, 100), xlabel="confidence, %")
    panels[0].set_ylabel("right, %")
    panels[len(names)].set_ylabel("answers, %")
    return figure


def curves(history: Sequence[Mapping[str, Any]], *, sketched: bool = False) -> "Figure":
    """Accuracy and loss of each net by epoch: Training dashed, PublicTest solid, the best epoch marked.

    Args:
        history: rows of history.csv; numbers may still be text.
        sketched: whether the run was trained on drawn faces; the title then says so.
    """
    nodes = list(dict.fromkeys(row["node"] for row in history))
    size = (max(3.1 * len(nodes), 5), 5.4)
    title = "Training, epoch by epoch" + (f"\n{DRAWN}" if sketched else "")
    figure, panels = canvas(len(CURVES), len(nodes), size, title, alarm=sketched)
    for rank, (key, (label, factor)) in enumerate(CURVES.items()):
        for node, axes in zip(nodes, panels[rank * len(nodes) :], strict=False):
            rows = [row for row in history if row["node"] == node]
            _curve(axes, rows, key, factor, COLOURS[node])
            axes.set(ylabel=label if node == nodes[0] else "", xlabel="epoch" if rank else "")
            if not rank:
                best = max(float(row["val_accuracy"]) for row in rows)
                axes.set_title(f"{node}: {100 * best:.1f} % of {Split.PublicTest.name}")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=3, fontsize=8.5, frameon=False)
    return figure


def subject(scores: Mapping[str, Any]) -> str:
    """Which faces the scores are of, on one line; drawn faces are called so."""
    return f"{DRAWN if drawn(scores) else scores['dataset']}, {scores['split']}"


def drawn(scores: Mapping[str, Any]) -> bool:
    """Whether the scored faces are drawings."""
    return bool(scores.get("drawn", False))


def has_tree(scores: Mapping[str, Any]) -> bool:
    """Whether the run has all nets of the tree; else every score is of the flat net's sums."""
    return bool(scores.get("tree", True))


def answering(scores: Mapping[str, Any]) -> str:
    """The name of what gives the answers: the tree by its soft rule, the flat net alone, or several runs."""
    return str(scores.get("answer", NAMES[SOFT if has_tree(scores) else FLAT]))


def _part_branches(axes: "Axes") -> None:
    for branch in BRANCHES:
        own = leaf_slice(branch)
        middle = (own.start + own.stop - 1) / 2
        axes.text(middle, -0.56, branch, ha="center", fontsize=9.5, color=COLOURS[branch])
        if own.start:
            axes.axhline(own.start - 0.5, color=INK, linewidth=2)
            axes.axvline(own.start - 0.5, color=INK, linewidth=2)


def _curve(axes: "Axes", rows: Sequence[Mapping[str, Any]], key: str, factor: float, colour: str) -> None:
    """One measure of one net: of Training, of PublicTest, and where its PublicTest accuracy is best."""
    names = ("epoch", key, f"val_{key}", "val_accuracy")
    epoch, fitted, held, predict_from_logits = (
        np.array([float(row[name]) for row in rows]) for name in names
    )
    best = int(predict_from_logits.argmax())
    axes.plot(epoch, factor * fitted, "--", color=colour, linewidth=1.2, label="Training, augmented")
    axes.plot(epoch, factor * held, color=colour, label=Split.PublicTest.name)
    axes.plot(epoch[best], factor * held[best], "o", color=colour, label="best epoch, which is kept")
    axes.locator_params(axis="x", integer=True)
    if len(epoch) == 1:  # else matplotlib zooms in on the one point until its ticks are fractions
        axes.set_xticks(epoch)


def _ece(scores: Mapping[str, Any], name: str) -> str:
    ece = (scores[name]["soft"] if name == SOFT else scores[name])["ece"]
    return "no faces" if ece is None else f"ECE {100 * ece:.1f} %"


def canvas(
    rows: int,
    columns: int,
    size: tuple[float, float],
    title: str,
    scores: Mapping[str, Any] | None = None,
    heights: Sequence[float] | None = None,
    alarm: bool = False,
) -> "tuple[Figure, list[Axes]]":
    """A figure of rows x columns panels, listed row by row; its title says which faces, and how many."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    about = "" if scores is None else f"{subject(scores)}, n = {scores['n']:,}, {CLASSES}"
    lines = [title, *textwrap.wrap(about, int(11.5 * size[0]))]  # letters an inch
    alarm = alarm or (scores is not None and drawn(scores))
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
