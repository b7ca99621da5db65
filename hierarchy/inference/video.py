"""A video, frame by frame, into a timeline and a video with the predictions drawn on it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hierarchy import fileio
from hierarchy.inference.timeline import Timeline, drawn
from hierarchy.reports.plots import png
from hierarchy.vision import draw
from hierarchy.vision.tracker import TrackedFace, Tracker, track
from hierarchy.vision.video import Frame, Video, Writer

PICTURE: Final = ".png"  # suffix of the timeline's plot, beside its CSV file


def follow(
    opened: Video,
    tracker: Tracker,
    out: Path | None,
    csv: Path | None,
    every: int,
    show: Callable[[Frame, Sequence[TrackedFace]], None],
    step: Callable[[], None],
) -> None:
    """Answer a video's frames, and write what was asked for.

    Args:
        opened: a new one.
        tracker: a new one.
        out: as in `video`.
        csv: as in `video`.
        every: as in `video`.
        show: takes every frame that was looked at, with its faces.
        step: is told of every frame.

    Raises:
        InputError: no frame can be read, or a file cannot be written.
        KeyboardInterrupt: it was left; what was answered until then is written.
    """
    stopped = None
    with ExitStack() as stack:
        table = stack.enter_context(fileio.atomic(csv)) if csv else None
        rows = Timeline(stack.enter_context(table.open("w", newline=""))) if table else None
        film = stack.enter_context(fileio.atomic(out)) if out else None
        writer = stack.enter_context(Writer(film, opened.rate, opened.size)) if film else None
        try:
            with opened:
                for frame, seen, looked in track(opened, tracker, every):
                    if looked:
                        show(frame, seen)
                    if looked and rows:
                        rows.add(frame, seen)
                    if writer:
                        writer.add(draw.overlaid(frame.picture, [note(face) for face in seen]), frame.time)
                    step()
        except KeyboardInterrupt as error:
            stopped = error
    if csv:
        fileio.write_atomic(csv.with_suffix(PICTURE), png(drawn(csv, Path(opened.name).name), draw.SOFTWARE))
    if stopped:
        raise stopped


def note(face: TrackedFace) -> draw.Note:
    """What is drawn of a face."""
    title = f"{face.track}  {face.branch} > {face.label}"
    return draw.Note(face.face.box, title, face.label, face.shares)
