"""`video`: track the faces of a video or camera over time."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hierarchy.cli.options import DETECTOR, ENGINE, RUN, backend_of

if TYPE_CHECKING:
    from hierarchy.vision.tracker import TrackedFace
    from hierarchy.vision.video import Frame

log = logging.getLogger(__name__)

SHORT: Final = 0.98  # warn below this fraction of the frames that the header promises


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("video")(video)


def video(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Video file, camera number (0), or URL (rtsp://).")],
    run: Annotated[str | None, RUN] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Video with the predictions drawn on it: .mp4, .mkv or .webm."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Timeline, one row per face and frame; its plot is put beside it."),
    ] = None,
    frame_step: Annotated[int, typer.Option("--frame-step", min=1, help="Process every N-th frame.")] = 1,
    detector: Annotated[str, DETECTOR] = "auto",
    engine: Annotated[str, ENGINE] = "auto",
) -> None:
    """Track the faces of a video or camera; print a line whenever a face appears or its label changes.

    Ctrl-C ends a camera regularly; of a file, the results until then are kept.
    """
    from hierarchy import runs
    from hierarchy.classifier import HierarchicalClassifier
    from hierarchy.inference.video import follow
    from hierarchy.vision.detectors import MOVING, create_detector
    from hierarchy.vision.tracker import Tracker
    from hierarchy.vision.video import Video

    targets = _targets(source, out, csv)
    find = create_detector(detector, MOVING)
    opened = Video(source)
    name = run or runs.DEFAULT_RUN
    model = HierarchicalClassifier.load(name, backend_of(context), engine)
    if runs.sketched(model.run_.manifest()):
        log.info(
            f"SKETCH: run {name} was trained on drawn faces; its predictions on photographs mean nothing"
        )
    lines, meter = _Lines(), _Meter(opened.count)
    interrupted = False
    try:
        with meter.bar:
            follow(
                opened,
                Tracker(find, model.predictions),
                model.tree_,
                out=out,
                csv=csv,
                frame_step=frame_step,
                show=lines.show,
                on_frame=meter.step,
            )
    except KeyboardInterrupt:
        interrupted = not opened.live
    if not lines.labels:
        print(f"{source}  no face")
    for path in targets:
        print(path)
    if opened.count and meter.frames < SHORT * opened.count and not interrupted:
        log.info(
            f"{source}: ends after frame {meter.frames:,} of {opened.count:,}; the rest is damaged or missing"
        )
    frames, faces = _counted(meter.frames, "frame"), _counted(len(lines.labels), "face")
    log.info(f"{frames} at {meter.rate:.1f} frames/s, {faces}")
    if interrupted:
        raise KeyboardInterrupt


def _targets(source: str, out: Path | None, csv: Path | None) -> list[Path]:
    """The files to be written, after checking that they are distinct and may be written.

    Raises:
        InputError: a wrong suffix, the same file twice, or a plot that is another image.
    """
    from hierarchy.errors import InputError
    from hierarchy.inference.video import PICTURE
    from hierarchy.vision import draw
    from hierarchy.vision.video import check_suffix

    if out:
        check_suffix(out)
    if csv and csv.suffix == PICTURE:
        raise InputError(f"{csv}: is the name of the timeline's plot; choose a .csv file")
    plot = csv and csv.with_suffix(PICTURE)
    targets = [(path, name) for path, name in ((out, "--out"), (csv, "--csv"), (plot, "the plot")) if path]
    taken = {Path(source).resolve(): "the video itself"}
    for path, name in targets:
        if (other := taken.setdefault(path.resolve(), name)) != name:
            raise InputError(f"{path}: is {other}; choose another file")
    if plot and not draw.may_take(plot):
        raise InputError(f"{plot}: would be overwritten by the timeline's plot; choose another .csv file")
    return [path for path, _ in targets]


class _Lines:
    """Prints a line whenever a face appears or its label changes."""

    def __init__(self) -> None:
        self.labels: dict[int, str] = {}  # number of a track -> its last label

    def show(self, frame: "Frame", faces: Sequence["TrackedFace"]) -> None:
        for face in faces:
            if self.labels.get(face.track) != face.label:
                self.labels[face.track] = face.label
                place = "{},{} ({}x{})".format(*face.face.box)
                print(
                    f"{frame.time:8.2f} s  face {face.track} at {place}"
                    f"  {face.branch} > {face.label}  ({face.shares[face.label]:.2f})",
                    flush=True,
                )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class _Meter:
    """A progress bar with frames per second and time left, on stderr if that is a terminal."""

    def __init__(self, total: int | None) -> None:
        from hierarchy.training.progress import bar

        self.bar = bar("{task.completed} frames", "frames/s", redirect_stdout=sys.stdout.isatty())
        self.task = self.bar.add_task("", total=total, rate=0.0)
        self.frames, self.started = 0, time.perf_counter()

    @property
    def rate(self) -> float:
        return self.frames / max(time.perf_counter() - self.started, 1e-9)

    def step(self) -> None:
        self.frames += 1
        self.bar.update(self.task, advance=1, rate=self.rate)
