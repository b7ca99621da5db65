"""The timeline of a video's faces: a CSV file that grows with the frames, and a picture of it."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.colours import COLOURS
from hierarchy.inference.predictor import BOX
from hierarchy.reports.plots import canvas
from hierarchy.taxonomy import LEAVES
from hierarchy.vision.tracker import TrackedFace
from hierarchy.vision.video import Frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS: Final = ("frame", "time", "track", *BOX, "score", "branch", "label", *LEAVES)
SHOWN: Final = 6  # tracks in the picture, those seen in the most frames
POINTS: Final = 400  # along the time axis; frames between two are averaged


class Timeline:
    """A CSV file with COLUMNS, a row a face and frame.

    Args:
        file: open for text.
    """

    def __init__(self, file: IO[str]) -> None:
        self.rows = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        self.rows.writeheader()

    def add(self, frame: Frame, seen: Sequence[TrackedFace]) -> None:
        """What was seen in a frame."""
        for face in seen:
            box = dict(zip(BOX, face.face.box, strict=True))
            about = {"frame": frame.number, "time": round(frame.time, 3), "track": face.track}
            said = {"score": face.face.score, "branch": face.branch, "label": face.label}
            self.rows.writerow(about | box | said | face.shares)


def drawn(path: Path, title: str) -> "Figure":
    """Probability of every leaf over time, a panel a track.

    Args:
        path: a timeline's CSV file; it is read a row at a time.
        title: of the picture.
    """
    last, count = 0.0, dict[int, int]()
    for row in _rows(path):
        track = int(row["track"])
        last, count[track] = float(row["time"]), count.get(track, 0) + 1
    shown = sorted(sorted(count, key=lambda track: -count[track])[:SHOWN])
    if len(shown) < len(count):
        title += f"\nthe {len(shown)} faces seen longest, of {len(count)}"
    sums = {track: np.zeros((POINTS, len(LEAVES))) for track in shown}
    seen = {track: np.zeros((POINTS, 1)) for track in shown}
    for row in _rows(path):
        if (track := int(row["track"])) in sums:
            point = min(int(POINTS * float(row["time"]) / last), POINTS - 1) if last else 0
            sums[track][point] += [float(row[leaf]) for leaf in LEAVES]
            seen[track][point] += 1
    figure, panels = canvas(max(len(shown), 1), 1, (8.5, 1.2 + 1.7 * max(len(shown), 1)), title)
    times = (np.arange(POINTS) + 0.5) * last / POINTS
    for track, axes in zip(shown, panels, strict=False):
        there = seen[track][:, 0] > 0
        shares = sums[track][there] / seen[track][there]
        for column, leaf in enumerate(LEAVES):
            axes.plot(times[there], shares[:, column], color=COLOURS[leaf], label=leaf, linewidth=1.6)
        axes.set(ylim=(0, 1), xlim=(0, max(last, 1e-3)), ylabel=f"face {track}")
    panels[-1].set_xlabel("seconds")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(LEAVES), fontsize=8.5, frameon=False)
    return figure


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)
