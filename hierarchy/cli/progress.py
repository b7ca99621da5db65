"""Progress of many images on stderr: a bar on a terminal, elsewhere a line every ten seconds."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Self, TextIO, TypeVar, cast

from hierarchy.errors import STDERR

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
EVERY: Final = 10.0  # seconds between lines where stderr is no terminal
MANY: Final = 64  # more paths than these are as a folder
log = logging.getLogger(__name__)


class ImageProgress(AbstractContextManager["ImageProgress"]):
    """Faces per second and time left; use it in a `with`.

    Args:
        count: number of images; it may take long, and runs in a thread of its own.
        shown: whether anything is shown at all.
    """

    def __init__(self, count: Callable[[], int], shown: bool = True) -> None:
        self.count, self.shown = count, shown
        self.images = self.faces = 0
        self.total: int | None = None
        self.bar = _bar() if shown and sys.stderr.isatty() else None
        self.started = self.printed = time.monotonic()

    def __enter__(self) -> Self:
        if self.shown:
            threading.Thread(target=self._count, daemon=True).start()
        if self.bar:
            self.bar.start()
            self.bar.add_task("", total=None, rate=0.0)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def read(self, files: Iterable[T]) -> Iterator[T]:
        """The files, each counted when the next is asked for."""
        for file in files:
            yield file
            self.images += 1

    def show(self, face: bool) -> None:
        """Count a prediction, of a face or of none, and show where that is due."""
        self.faces += face
        now = time.monotonic()
        rate = self.faces / max(now - self.started, 1e-9)
        if self.bar:
            self.bar.update(self.bar.task_ids[0], completed=self.images, total=self.total, rate=rate)
        elif self.shown and now - self.printed >= EVERY:
            self.printed = now
            log.info(self._line(rate, now - self.started))

    def _line(self, rate: float, seconds: float) -> str:
        if not (self.total and self.images):
            return f"{self.images:,} images, {rate:.0f} faces/s"
        left = max(self.total - self.images, 0) * seconds / self.images
        return f"{self.images:,} of {self.total:,} images, {rate:.0f} faces/s, {left:.0f} s left"

    def _count(self) -> None:
        self.total = self.count()


def wanted(paths: Iterable[str]) -> bool:
    """Whether these are folders or many files, and messages are not silenced."""
    named = list(paths)
    return log.isEnabledFor(logging.INFO) and (len(named) > MANY or any(map(os.path.isdir, named)))


class _Stderr:
    """stderr, whose users wait while libraries are kept from it."""

    def __init__(self) -> None:
        self.stream = sys.stderr  # rich puts another in its place

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        with STDERR:
            return self.stream.write(text)

    def flush(self) -> None:
        with STDERR:
            self.stream.flush()


def _bar() -> "Progress":
    """A bar that disappears at the end, on top of which results are printed."""
    import rich.console
    import rich.progress

    return rich.progress.Progress(
        "{task.completed:,} images",
        rich.progress.BarColumn(),
        "{task.fields[rate]:.0f} faces/s",
        rich.progress.TimeRemainingColumn(),
        # it is a terminal, also while it is not to be seen
        console=rich.console.Console(file=cast("TextIO", _Stderr()), force_terminal=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )
