"""What all plots have in common: type, colours, titles, and the PNG they become."""

import io
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.data.cache import keep_home_clean
from hierarchy.reports.captions import coverage, subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE: Final = "#1b5e9b"  # of the tree's soft prediction
INK: Final = "#333333"
GRID: Final = "#dddddd"
ALARM: Final = "#c00000"
DPI: Final = 110
SHADES: Final = 255  # of a PNG, whose size a palette halves
TITLE, LABEL, TICK = 13, 12, 11  # points: legible where a picture is shown at half its size


def png(figure: "Figure", software: str | None = None, shades: int = SHADES) -> bytes:
    """The figure as a PNG whose bytes depend only on the drawing and on the software named in it."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    drawn, out, mark = io.BytesIO(), io.BytesIO(), PngInfo()
    with warnings.catch_warnings(action="ignore"):  # of characters that the font lacks
        figure.savefig(drawn, format="png", dpi=DPI)
    page = Image.open(drawn).convert("RGB").quantize(shades, dither=Image.Dither.NONE)
    if software:
        mark.add_text("Software", software)
    page.save(out, "PNG", optimize=True, pnginfo=mark)
    return out.getvalue()


def pictured(axes: "Axes", page: np.ndarray, names: Mapping[float, str]) -> None:
    """Show a grey picture uint8[H,W], with a name at some of its rows."""
    axes.imshow(page, cmap="gray", vmin=0, vmax=255)
    axes.set_yticks(list(names), list(names.values()), fontsize=LABEL)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(False)


def titled(title: str, run: str = "") -> str:
    """A title that names the run, if it is known."""
    return f"Run {run} \u00b7 {title}" if run else title


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
    title = title if scores is None else titled(title, scores.get("run", ""))
    width = int(9.5 * size[0])  # characters an inch
    lines = [line for text in (*title.split("\n"), about) for line in textwrap.wrap(text, width)]
    alarm = alarm or (scores is not None and scores["drawn"])
    figure.suptitle("\n".join(lines), fontsize=TITLE, color=ALARM if alarm else INK, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).ravel().tolist()
    for axes in panels:
        axes.set_axisbelow(True)
        axes.grid(color=GRID, linewidth=0.7)
        axes.spines[:].set_visible(False)
        axes.tick_params(labelsize=TICK, colors=INK)
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
            text.set(fontsize=LABEL, color=INK)
    return figure, panels
