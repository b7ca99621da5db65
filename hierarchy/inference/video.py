"""A video, frame by frame, into a timeline and a video with the predictions drawn on it."""

import csv
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hierarchy import fileio
from hierarchy.errors import InputError
from hierarchy.inference import timeline
from hierarchy.reports.plots import png
from hierarchy.taxonomy import Tree
from hierarchy.vision import draw
from hierarchy.vision.sound import Sound
from hierarchy.vision.tracker import TrackedFace, Tracker, track
from hierarchy.vision.video import Frame, SourceLost, Video
from hierarchy.vision.video_writer import Writer

PICTURE: Final = ".png"  # suffix of the timeline's plot, beside its CSV file
log = logging.getLogger(__name__)


def follow(
    video: Video,
    tracker: Tracker,
    tree: Tree,
    *,
    out: Path | None = None,
    table: Path | None = None,
    frame_step: int = 1,
    show: Callable[[Frame, Sequence[TrackedFace]], None] = lambda frame, faces: None,
    on_frame: Callable[[], object] = lambda: None,
) -> KeyboardInterrupt | SourceLost | None:
    """Predict the frames of a video and write the requested files.

    Args:
        video: a new one.
        tracker: a new one.
        tree: of the tracker's predictions.
        out: video with the predictions drawn on it, see `vision.video_writer.CODECS`.
        table: timeline, a CSV file; its plot is written beside it.
        frame_step: predict every N-th frame.
        show: receives every predicted frame with its faces.
        on_frame: called after every frame.

    Returns:
        What ended it early, Ctrl-C or the loss of a camera or stream; the results until then are written.

    Raises:
        InputError: a file cannot be written.
        KeyboardInterrupt, SourceLost: it ended before its first frame.
    """
    end: KeyboardInterrupt | SourceLost | None = None
    done = False
    with ExitStack() as stack:
        stack.enter_context(video)
        if table:
            file = stack.enter_context(fileio.atomic(table)).open("w", newline="")
            rows = csv.writer(stack.enter_context(file), lineterminator="\n")
            rows.writerow(timeline.columns(tree))
        if out:
            target = stack.enter_context(fileio.atomic(out))
            sound = _sound(video, stack)
            writer = stack.enter_context(Writer(target, video.rate, video.size, sound))
        try:
            for frame, faces, predicted in track(video, tracker, frame_step, video.ahead):
                if table and frame.gap:
                    rows.writerows(timeline.gap(frame, tree))
                if predicted and table:
                    rows.writerows(timeline.row(frame, face) for face in faces)
                if out:
                    writer.add(draw.overlaid(frame.picture, list(map(note, faces))), frame.time)
                done = True
                if predicted:
                    show(frame, faces)
                on_frame()
        except (KeyboardInterrupt, SourceLost) as error:
            if not done:
                raise
            end = error
    if out and sound and sound.defect:
        log.info(f"{video.name}: {out} is without sound, or without its end ({sound.defect})")
    if table:
        plot = timeline.drawn(table, Path(video.name).name)
        fileio.write_atomic(table.with_suffix(PICTURE), png(plot, draw.SOFTWARE))
    return end


def _sound(video: Video, stack: ExitStack) -> Sound | None:
    """The sound track of a video, closed with the stack; None, and a line, where there is none to be had."""
    try:
        return stack.enter_context(Sound(video.source))
    except InputError as error:
        log.info(f"{video.name}: without sound ({error})")
        return None


def note(face: TrackedFace) -> draw.Note:
    """What to draw for a tracked face."""
    title = f"{face.branch} > {face.label}"
    return draw.Note(face.face.box, title, face.label, face.shares, number=face.track)
