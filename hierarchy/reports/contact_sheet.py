"""A contact sheet: a line of faces for each class."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from hierarchy.data.images import SIDE
from hierarchy.reports.figure import canvas, pictured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP: Final = 2  # pixels between faces


def sheet(lines: Mapping[str, np.ndarray], title: str) -> "Figure":
    """Faces uint8[N,48,48] by class, in the order of the mapping."""
    step, columns = SIDE + GAP, max(map(len, lines.values()))
    page = np.full((len(lines) * step - GAP, columns * step - GAP), 255, np.uint8)
    for row, faces in enumerate(lines.values()):
        for column, face in enumerate(faces):
            page[row * step :, column * step :][:SIDE, :SIDE] = face
    figure, (axes,) = canvas(1, 1, (1.5 + 0.75 * columns, 0.8 + 0.75 * len(lines)), title)
    pictured(axes, page, {SIDE / 2 + row * step: name for row, name in enumerate(lines)})
    return figure
