"""`video`: follow the faces of a video or camera over time."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer

from hierarchy.cli.options import DETECTOR, ENGINE, RUN, backend_of

if TYPE_CHECKING:
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
    """Track the faces of a video or camera and report their expressions over time."""
    from hierarchy import runs

    watch_video(
        source,
        run or runs.DEFAULT_RUN,
        out=out,
        csv=csv,
        every=frame_step,
        faces=detector,
        framework=backend_of(context),
        engine=engine,
    )


def watch_video(
    source: str,
    run: str,
    *,
    out: Path | None = None,
    csv: Path | None = None,
    every: int = 1,
    faces: str = "auto",
    framework: "Backend | None" = None,
    engine: str = "auto",
) -> None:
    """Answer every face of a video; print a line whenever a face comes or its answer changes.

    Ctrl-C ends a camera as its end would, and of a file keeps what was answered until then.

    Args:
        source: path, number of a camera, or address.
        run: name of the run whose nets answer.
        out: video with the answers drawn on it; its suffix is one of CODECS.
        csv: timeline, a row a face and frame; a picture of it is put beside it.
        every: 2 looks at every second frame, and so on.
        faces: what finds them, see `vision.detect.create_detector`.
        framework: what opens the run's own nets.
        engine: what runs them, see `hierarchy.engines`.

    Raises:
        InputError: the source, the run or the detector cannot be used, or a file cannot be written.
        KeyboardInterrupt: a file was left before its end.
    """
    from hierarchy import runs
    from hierarchy.classifier import HierarchicalClassifier
    from hierarchy.errors import InputError
    from hierarchy.inference.video import PICTURE, follow
    from hierarchy.models.keras_backend import KERAS_BACKEND
    from hierarchy.vision import draw
    from hierarchy.vision.detectors import MOVING, create_detector
    from hierarchy.vision.tracker import Tracker
    from hierarchy.vision.video import Video, check_suffix

    if out:
        check_suffix(out)
    if csv and csv.suffix == PICTURE:
        raise InputError(f"{csv}: the timeline's picture has that name; name a .csv file")
    taken = {Path(source).resolve(): "the video itself"}
    picture = csv and csv.with_suffix(PICTURE)
    for path, what in ((out, "--out"), (csv, "--csv"), (picture, "the timeline's picture")):
        if path and (other := taken.setdefault(path.resolve(), what)) != what:
            raise InputError(f"{path}: is {other}; name another file")
    if picture and not draw.may_take(picture):
        raise InputError(f"{picture}: would be the timeline's picture and is another; name another .csv file")
    find = create_detector(faces, MOVING)
    opened = Video(source)
    model = HierarchicalClassifier.load(run, framework or KERAS_BACKEND, engine)
    if runs.sketched(model.run_.card()):
        log.info(f"SKETCH: run {run} was trained on drawn faces; its predictions on photographs mean nothing")
    lines, meter = _Lines(), _Bar(opened.count)
    try:
        with meter:
            follow(opened, Tracker(find, model.predictions), out, csv, every, lines.show, meter.step)
        left = False
    except KeyboardInterrupt:
        left = not opened.live
    if not lines.said:
        print(f"{source}  no face")
    for path in (out, csv, picture):
        if path:
            print(path)
    if opened.count and meter.frames < SHORT * opened.count and not left:
        log.info(
            f"{source}: ends after frame {meter.frames:,} of {opened.count:,}; the rest is damaged or missing"
        )
    log.info(
        f"{_counted(meter.frames, 'frame')} at {meter.rate:.1f} frames/s, {_counted(len(lines.said), 'face')}"
    )
    if left:
        raise KeyboardInterrupt


class _Lines:
    """Prints a line whenever a face comes or its answer changes."""

    def __init__(self) -> None:
        self.said: dict[int, str] = {}  # number of a track -> its last label

    def show(self, frame: "Frame", seen: Sequence["TrackedFace"]) -> None:
        for face in seen:
            if self.said.get(face.track) != face.label:
                self.said[face.track] = face.label
                place = "{},{} ({}x{})".format(*face.face.box)
                print(
                    f"{frame.time:8.2f} s  face {face.track} at {place}"
                    f"  {face.branch} > {face.label}  ({face.shares[face.label]:.2f})",
                    flush=True,
                )


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


class _Bar:
    """Frames a second and time left, on stderr; nothing where that is no terminal."""

    def __init__(self, total: int | None) -> None:
        from hierarchy.training.progress import bar

        self.bar = bar("{task.completed} frames", "frames/s", redirect_stdout=sys.stdout.isatty())
        self.task = self.bar.add_task("", total=total, rate=0.0)
        self.frames, self.started = 0, time.perf_counter()

    def __enter__(self) -> Self:
        self.bar.start()
        self.started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    @property
    def rate(self) -> float:
        return self.frames / max(time.perf_counter() - self.started, 1e-9)

    def step(self) -> None:
        self.frames += 1
        self.bar.update(self.task, advance=1, rate=self.rate)
