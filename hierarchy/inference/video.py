"""A video, frame by frame, into a timeline and a video with the predictions drawn on it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hierarchy import fileio
from hierarchy.inference.timeline import Timeline, drawn
from hierarchy.reports.plots import png
from hierarchy.taxonomy import Tree
from hierarchy.vision import draw
from hierarchy.vision.tracker import TrackedFace, Tracker, track
from hierarchy.vision.video import Frame, Video, Writer

PICTURE: Final = ".png"  # suffix of the timeline's plot, beside its CSV file


def follow(
    video: Video,
    tracker: Tracker,
    tree: Tree,
    *,
    out: Path | None = None,
    csv: Path | None = None,
    frame_step: int = 1,
    show: Callable[[Frame, Sequence[TrackedFace]], None] = lambda frame, faces: None,
    on_frame: Callable[[], None] = lambda: None,
) -> None:
    """Predict the frames of a video and write the requested files.

    Args:
        video: a new one.
        tracker: a new one.
        tree: of the tracker's predictions.
        out: video with the predictions drawn on it, see `vision.video.CODECS`.
        csv: timeline; its plot is written beside it.
        frame_step: predict every N-th frame.
        show: receives every predicted frame with its faces.
        on_frame: called after every frame.

    Raises:
        InputError: no frame can be read, or a file cannot be written.
        KeyboardInterrupt: interrupted; the results until then are written.
    """
    interrupt = None
    with ExitStack() as stack:
        table = stack.enter_context(fileio.atomic(csv)) if csv else None
        rows = Timeline(stack.enter_context(table.open("w", newline="")), tree) if table else None
        target = stack.enter_context(fileio.atomic(out)) if out else None
        writer = stack.enter_context(Writer(target, video.rate, video.size)) if target else None
        try:
            with video:
                for frame, faces, predicted in track(video, tracker, frame_step):
                    if predicted:
                        show(frame, faces)
                    if predicted and rows:
                        rows.add(frame, faces)
                    if writer:
                        writer.add(draw.overlaid(frame.picture, list(map(note, faces))), frame.time)
                    on_frame()
        except KeyboardInterrupt as error:
            interrupt = error
    if csv:
        fileio.write_atomic(csv.with_suffix(PICTURE), png(drawn(csv, Path(video.name).name), draw.SOFTWARE))
    if interrupt:
        raise interrupt


def note(face: TrackedFace) -> draw.Note:
    """What to draw for a tracked face."""
    title = f"{face.track}  {face.branch} > {face.label}"
    return draw.Note(face.face.box, title, face.label, face.shares)
