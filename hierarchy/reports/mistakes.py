"""The most confident mistakes, by pair of true and predicted class: a table, and the faces themselves."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.data.images import SIDE
from hierarchy.reports.figure import INK, LABEL, TICK, canvas, pictured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP: Final = 4  # pixels between faces


def pairs(labels: np.ndarray, shares: np.ndarray, leaves: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each pair of a true and a wrongly predicted class, the most frequent first.

    Args:
        labels: int[N], index of the true leaf; -1 where there is none.
        shares: float[N, leaves], predicted probabilities.
        leaves: names of the classes, in the order of the columns.

    Returns:
        Names of both classes, the number of faces and their part of the true class, and the rows of these
        faces, the most confident first.
    """
    predicted, confidence = shares.argmax(axis=1), shares.max(axis=1)
    wrong = (labels >= 0) & (labels != predicted)
    counts = Counter(zip(labels[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    table = []
    for (true, guess), count in counts.most_common():
        rows = np.flatnonzero(wrong & (labels == true) & (predicted == guess))
        table.append(
            {"labelled": leaves[true], "predicted": leaves[guess], "faces": count}
            | {"share": count / int((labels == true).sum()), "rows": rows[np.argsort(-confidence[rows])]}
        )
    return table


def sheet(
    pixels: np.ndarray, shares: np.ndarray, table: Sequence[dict[str, Any]], title: str, columns: int = 8
) -> "Figure":
    """The most confident faces of every pair, a line each, with the probability of what was predicted.

    Args:
        pixels: uint8[N,48,48].
        shares: float[N, leaves], as of `pairs`.
        table: of `pairs`, or its first rows.
        title: of the figure.
        columns: faces of a pair, at most.
    """
    figure, panels = canvas(max(len(table), 1), 1, (1.6 + columns, 0.8 + 1.3 * max(len(table), 1)), title)
    for axes, pair in zip(panels, table, strict=False):
        rows, step = pair["rows"][:columns], SIDE + GAP
        strip = np.full((SIDE, columns * step - GAP), 255, np.uint8)
        for place, row in enumerate(rows):
            strip[:, place * step : place * step + SIDE] = pixels[row]
            middle = (place * step + SIDE / 2, -3)
            axes.text(*middle, f"{100 * shares[row].max():.0f} %", ha="center", fontsize=TICK, color=INK)
        name = f"{pair['labelled']}\nas {pair['predicted']}\n{pair['faces']:,} ({100 * pair['share']:.0f} %)"
        pictured(axes, strip, {SIDE / 2: name})
    if not table:
        panels[0].text(0.5, 0.5, "no mistakes", ha="center", va="center", fontsize=LABEL)
        panels[0].set_axis_off()
    return figure
