"""The timeline of a video's faces: a CSV file, one row per face and frame, and its plot.

While a camera or stream was lost there is a gap: two rows of the label GAP and without a track, for the times
of its last frame before and of its first frame after.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hierarchy.inference.predictor import BOX
from hierarchy.reports.plots import TICK, canvas
from hierarchy.taxonomy import Tree, colour
from hierarchy.vision.tracker import TrackedFace
from hierarchy.vision.video import Frame

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIRST: Final = ("frame", "time", "track", *BOX, "score", "branch", "label")  # columns before the leaves
GAP: Final = "gap"
SHOWN: Final = 6  # tracks in the plot, those of the most frames
POINTS: Final = 400  # along the time axis; frames between two are averaged


def columns(tree: Tree) -> tuple[str, ...]:
    """Columns of a timeline: FIRST, then the probability of every leaf."""
    return (*FIRST, *tree.leaves)


def row(frame: Frame, face: TrackedFace) -> tuple[Any, ...]:
    """Values of `columns` for a face of a frame."""
    place = (frame.number, round(frame.time, 3), face.track, *face.face.box, face.face.score)
    return (*place, face.branch, face.label, *face.probabilities.tolist())


def gap(frame: Frame, tree: Tree) -> list[tuple[Any, ...]]:
    """Values of `columns` for the gap before a frame."""
    blank = dict.fromkeys(columns(tree), "") | {"frame": frame.number, "label": GAP}
    return [tuple((blank | {"time": round(time, 3)}).values()) for time in frame.gap or ()]


class Series(NamedTuple):
    """A timeline for people: the tracks seen longest, averaged between POINTS of time.

    Attributes:
        seconds: of the last row.
        gaps: (from, to) in seconds.
        tracks: number -> probability by leaf, a column each, by the time in seconds.
        total: number of tracks, of which SHOWN are here.
    """

    seconds: float
    gaps: list[list[float]]
    tracks: "dict[int, pd.DataFrame]"
    total: int


def series(path: Path) -> Series:
    """What is shown of a CSV file of a timeline."""
    import pandas as pd

    rows = pd.read_csv(path)
    gaps = rows.loc[rows["track"].isna(), "time"].to_numpy().reshape(-1, 2)
    leaves, last = rows.columns[len(FIRST) :], float(rows["time"].max() if len(rows) else 0)
    counts = rows["track"].value_counts()
    tracks = {}
    for track in sorted(counts.index[:SHOWN]):
        faces = rows[rows["track"] == track]
        points = (faces["time"] * POINTS / (last or 1)).astype(int).clip(upper=POINTS - 1)
        means = faces.groupby(points)[list(leaves)].mean()
        means.index = (means.index + 0.5) * last / POINTS
        tracks[int(track)] = means
    return Series(last, gaps.tolist(), tracks, len(counts))


def drawn(path: Path, title: str) -> "Figure":
    """Probability of every leaf over time, one panel per track.

    Args:
        path: CSV file of a timeline.
        title: of the plot.
    """
    last, gaps, tracks, total = series(path)
    if total > SHOWN:
        title += f"\nthe {SHOWN} faces seen longest, of {total}"
    height = max(len(tracks), 1)
    figure, panels = canvas(height, 1, (8.5, 1.4 + 1.7 * height), title)
    for (track, means), axes in zip(tracks.items(), panels, strict=False):
        for leaf, shares in means.items():
            axes.plot(means.index, shares, color=colour(str(leaf)), label=leaf, linewidth=1.6)
        for begin, end in gaps:
            axes.axvspan(begin, end, color="0.85", label="_gap")
        axes.set(ylim=(0, 1), xlim=(0, max(last, 1e-3)), ylabel=f"face {track}")
    panels[-1].set_xlabel("seconds")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        lines, labels, loc="outside lower center", ncols=min(len(lines) or 1, 6), fontsize=TICK, frameon=False
    )
    return figure
