"""A video or a camera, frame by frame, into lines, a timeline and a video with the answers on it."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hierarchy import engines, runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.fitting.framework import Framework
from hierarchy.fitting.progress import bar
from hierarchy.nets.framework import KERAS
from hierarchy.reports import report
from hierarchy.reports.listing import Say
from hierarchy.reports.plots import png
from hierarchy.reports.timeline import Timeline, drawn
from hierarchy.vision import draw
from hierarchy.vision.detect import AUTO, MOVING, finder
from hierarchy.vision.stream import Frame, Video, Writer, check_suffix
from hierarchy.vision.track import Seen, Tracker, watch

SHORT: Final = 0.98  # of the frames that a header promises; with fewer, something is wrong
PICTURE: Final = ".png"  # of the timeline's picture, beside its CSV file


def video(
    source: str,
    run: str,
    say: Say,
    *,
    out: Path | None = None,
    csv: Path | None = None,
    every: int = 1,
    faces: str = AUTO,
    framework: Framework = KERAS,
    engine: str = engines.AUTO,
) -> None:
    """Answer every face of a video; print a line whenever a face comes or its answer changes.

    Ctrl-C ends a camera as its end would, and of a file keeps what was answered until then.

    Args:
        source: path, number of a camera, or address.
        run: name of the run whose nets answer.
        say: takes what is not a result.
        out: video with the answers drawn on it; its suffix is one of CODECS.
        csv: timeline, a row a face and frame; a picture of it is put beside it.
        every: 2 looks at every second frame, and so on.
        faces: what finds them, see `vision.detect.finder`.
        framework: what opens the run's own nets.
        engine: what runs them, see `hierarchy.engines`.

    Raises:
        InputError: the source, the run or the detector cannot be used, or a file cannot be written.
        KeyboardInterrupt: a file was left before its end.
    """
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
    find = finder(faces, MOVING)
    opened = Video(source)
    model = HierarchicalClassifier.load(run, framework, engine)
    if report.sketched(model.run_.card()):
        say(f"SKETCH: run {run} learned from drawn faces; what it says of photographs means nothing")
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
        say(
            f"{source}: ends after frame {meter.frames:,} of {opened.count:,}; the rest is damaged or missing"
        )
    say(
        f"{_counted(meter.frames, 'frame')} at {meter.rate:.1f} frames/s, {_counted(len(lines.said), 'face')}"
    )
    if left:
        raise KeyboardInterrupt


def follow(
    opened: Video,
    tracker: Tracker,
    out: Path | None,
    csv: Path | None,
    every: int,
    show: Callable[[Frame, Sequence[Seen]], None],
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
        table = stack.enter_context(runs.atomic(csv)) if csv else None
        rows = Timeline(stack.enter_context(table.open("w", newline=""))) if table else None
        film = stack.enter_context(runs.atomic(out)) if out else None
        writer = stack.enter_context(Writer(film, opened.rate, opened.size)) if film else None
        try:
            with opened:
                for frame, seen, looked in watch(opened, tracker, every):
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
        runs.write_atomic(csv.with_suffix(PICTURE), png(drawn(csv, Path(opened.name).name), draw.SOFTWARE))
    if stopped:
        raise stopped


class _Lines:
    """Prints a line whenever a face comes or its answer changes."""

    def __init__(self) -> None:
        self.said: dict[int, str] = {}  # number of a track -> its last label

    def show(self, frame: Frame, seen: Sequence[Seen]) -> None:
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


def note(face: Seen) -> draw.Note:
    """What is drawn of a face."""
    title = f"{face.track}  {face.branch} > {face.label}"
    return draw.Note(face.face.box, title, face.label, face.shares)


class _Bar:
    """Frames a second and time left, on stderr; nothing where that is no terminal."""

    def __init__(self, total: int | None) -> None:
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
