"""`video`: track the faces of a video or camera over time."""

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hierarchy.cli.options import (
    DETECTOR,
    ENGINE,
    MIN_PIXELS,
    ROI,
    ROTATE,
    RUN,
    check_output,
    classifier_of,
    detector_of,
)
from hierarchy.vision.detectors import MOVING, Searching

if TYPE_CHECKING:
    from rich.progress import Task

    from hierarchy.vision.tracker import TrackedFace
    from hierarchy.vision.video import Frame, Video

log = logging.getLogger(__name__)

SHORT: Final = 0.98  # warn below this fraction of the frames that the header promises


def video(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Video file, camera number (0), or URL (rtsp://).")],
    run: Annotated[str | None, RUN] = None,
    out: Annotated[
        Path | None, typer.Option(help="Video with the predictions drawn on it: .mp4, .mkv or .webm.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Timeline, one row per face and frame; its plot is put beside it.")
    ] = None,
    frame_step: Annotated[int, typer.Option(min=1, help="Process every N-th frame.")] = 1,
    detector: Annotated[str, DETECTOR] = "auto",
    engine: Annotated[str, ENGINE] = "auto",
    roi: Annotated[str | None, ROI] = None,
    min_face: Annotated[int, MIN_PIXELS] = MOVING.min_face,
    rotate: Annotated[str, ROTATE] = MOVING.rotate,
    search_step: Annotated[
        int,
        typer.Option(min=1, help="Search every N-th processed frame as an image; others in part. 1: all."),
    ] = MOVING.step,
    reconnect: Annotated[
        float, typer.Option(min=0, help="Seconds for which a lost camera or stream is opened again.")
    ] = 30.0,
) -> None:
    """Track the faces of a video or camera; print a line whenever a face appears or its label changes.

    Ctrl-C ends a camera regularly; of a file, the results until then are kept. The exit code is 1 if a camera
    or stream is lost for good.
    """
    from hierarchy.errors import printable, require

    require("av")
    from hierarchy.inference.video import follow
    from hierarchy.training.progress import bar
    from hierarchy.vision.tracker import Tracker
    from hierarchy.vision.video import Video

    targets = _targets(source, out, csv)
    find = detector_of(detector, roi, Searching(min_face, rotate, search_step))
    opened = Video(source, reconnect=reconnect)
    name = printable(opened.name)
    model = classifier_of(context, run, engine)
    tracker = Tracker(find, model.predictions)
    labels: dict[int, str] = {}
    with bar("{task.completed} frames", "frames/s", redirect_stdout=sys.stdout.isatty()) as progress:
        progress.add_task("", total=opened.count, rate=0.0)
        (task,) = progress.tasks
        end = follow(
            opened,
            tracker,
            model.tree_,
            out=out,
            table=csv,
            frame_step=frame_step,
            show=partial(_print_changes, labels),
            on_frame=lambda: progress.update(task.id, advance=1, rate=_rate(task)),
        )
        rate = _rate(task)
    if not labels:
        print(f"{name}  {tracker.none}")
    for path in targets:
        print(printable(str(path)))
    frames = round(task.completed)
    if not end:
        _log_missing(opened, frames)
    log.info(f"{_counted(frames, 'frame')} at {rate:.1f} frames/s, {_counted(len(labels), 'face')}")
    if isinstance(end, KeyboardInterrupt) and not opened.live:
        raise end
    if end and not isinstance(end, KeyboardInterrupt):
        log.error(f"error: {end}")
        raise typer.Exit(1)


def _log_missing(video: "Video", frames: int) -> None:
    """Name what could not be decoded of a video, after its last frame."""
    if video.count and frames < SHORT * video.count:
        of = f"{frames:,} of {video.count:,}"
        log.info(f"{video.name}: ends after frame {of}; the rest is damaged or missing")
    elif video.defect:
        log.info(f"{video.name}: ends after frame {frames:,} ({video.defect})")
    if video.damaged:
        log.info(f"{video.name}: {_counted(video.damaged, 'damaged packet')} left out")


def _targets(source: str, out: Path | None, csv: Path | None) -> list[Path]:
    """The files to be written, after checking that they are distinct and may be written.

    Raises:
        InputError: a wrong suffix, the same file twice, or a plot that is another image.
    """
    from hierarchy.errors import InputError
    from hierarchy.inference.video import PICTURE
    from hierarchy.vision import draw
    from hierarchy.vision.video_writer import CODECS

    check_output("--out", out, tuple(CODECS))
    check_output("--csv", csv, (".csv",))
    plot = csv and csv.with_suffix(PICTURE)
    targets = {"--out": out, "--csv": csv, "the timeline's plot": plot}
    taken = {_identity(source): "the video itself"}
    for name, path in targets.items():
        if path and (other := taken.setdefault(_identity(path), name)) != name:
            raise InputError(f"{path}: is both {other} and {name}; choose another file")
    if plot and not draw.may_take(plot):
        raise InputError(f"{plot}: would be overwritten by the timeline's plot; choose another .csv file")
    return [path for path in targets.values() if path]


def _identity(path: str | Path) -> tuple[int, int] | str:
    """What two names of the same file have in common, hard links included."""
    try:
        status = os.stat(path)
        return status.st_dev, status.st_ino
    except OSError:
        return os.path.realpath(path)


def _print_changes(labels: dict[int, str], frame: "Frame", faces: Sequence["TrackedFace"]) -> None:
    """Print a line for every face that is new or has another label than its track's last one in `labels`."""
    for face in faces:
        if labels.get(face.track) != face.label:
            labels[face.track] = face.label
            place = "{},{} ({}x{})".format(*face.face.box)
            print(
                f"{frame.time:8.2f} s  face {face.track} at {place}"
                f"  {face.branch} > {face.label}  ({face.shares[face.label]:.2f})",
                flush=True,
            )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rate(task: "Task") -> float:
    """Frames per second so far."""
    return task.completed / (task.elapsed or 1e-9)
