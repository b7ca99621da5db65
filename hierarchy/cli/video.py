"""`video`: track the faces of a video or camera over time."""

import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hierarchy.cli.options import DETECTOR, ENGINE, ROI, RUN, classifier_of, detector_of

if TYPE_CHECKING:
    from rich.progress import Task

    from hierarchy.vision.tracker import TrackedFace
    from hierarchy.vision.video import Frame

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
) -> None:
    """Track the faces of a video or camera; print a line whenever a face appears or its label changes.

    Ctrl-C ends a camera regularly; of a file, the results until then are kept.
    """
    from hierarchy.errors import require

    require("av")
    from hierarchy.inference.video import follow
    from hierarchy.training.progress import bar
    from hierarchy.vision.detectors import MOVING
    from hierarchy.vision.tracker import Tracker
    from hierarchy.vision.video import Video

    targets = _targets(source, out, csv)
    find = detector_of(detector, roi, MOVING)
    opened = Video(source)
    model = classifier_of(context, run, engine)
    labels: dict[int, str] = {}
    with bar("{task.completed} frames", "frames/s", redirect_stdout=sys.stdout.isatty()) as progress:
        progress.add_task("", total=opened.count, rate=0.0)
        (task,) = progress.tasks
        interrupted = follow(
            opened,
            Tracker(find, model.predictions),
            model.tree_,
            out=out,
            table=csv,
            frame_step=frame_step,
            show=partial(_print_changes, labels),
            on_frame=lambda: progress.update(task.id, advance=1, rate=_rate(task)),
        )
        rate = _rate(task)
    if not labels:
        print(f"{source}  no face")
    for path in targets:
        print(path)
    frames = round(task.completed)
    stopped = interrupted and not opened.live
    if opened.count and frames < SHORT * opened.count and not stopped:
        log.info(f"{source}: ends after frame {frames:,} of {opened.count:,}; the rest is damaged or missing")
    log.info(f"{_counted(frames, 'frame')} at {rate:.1f} frames/s, {_counted(len(labels), 'face')}")
    if stopped:
        raise KeyboardInterrupt


def _targets(source: str, out: Path | None, csv: Path | None) -> list[Path]:
    """The files to be written, after checking that they are distinct and may be written.

    Raises:
        InputError: a wrong suffix, the same file twice, or a plot that is another image.
    """
    from hierarchy.errors import InputError
    from hierarchy.inference.video import PICTURE
    from hierarchy.vision import draw
    from hierarchy.vision.video import CODECS

    if out and out.suffix.lower() not in CODECS:
        raise InputError(f"{out}: expected a video file ending in {', '.join(CODECS)}")
    plot = csv and csv.with_suffix(PICTURE)
    targets = {"--out": out, "--csv": csv, "the timeline's plot": plot}
    taken = {Path(source).resolve(): "the video itself"}
    for name, path in targets.items():
        if path and (other := taken.setdefault(path.resolve(), name)) != name:
            raise InputError(f"{path}: is both {other} and {name}; choose another file")
    if plot and not draw.may_take(plot):
        raise InputError(f"{plot}: would be overwritten by the timeline's plot; choose another .csv file")
    return [path for path in targets.values() if path]


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
