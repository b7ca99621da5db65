"""The frames of video files, cameras and network streams, decoded in a thread."""

import itertools
import logging
import queue
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from hierarchy.errors import InputError, error_context
from hierarchy.vision import container
from hierarchy.vision.capture import Camera, Capture

TIMEOUT: Final = 10.0  # seconds for a network stream to respond, and for the reader thread to end
RECONNECT: Final = 30.0  # seconds; see Video, and `video --reconnect`
PAUSE: Final = 0.5  # seconds before a lost source is opened again; doubled each time, up to TIMEOUT
JUMP: Final = 60.0  # seconds between two frames of a file; more is no time, but a clock that jumps
AHEAD: Final = 8  # frames of a file that are decoded in advance
AHEAD_PIXELS: Final = 8_847_360  # of these together (4096x2160); from then on no more are decoded in advance
log = logging.getLogger(__name__)


class SourceLost(InputError):
    """A camera or stream that ended or stalled, and could not be opened again."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        number: counted from 0, dropped frames of a camera included.
        time: seconds since the first frame.
        picture: uint8[H,W,3], RGB.
        gap: (from, to) in seconds, while a camera or stream was lost before this frame; else None.
    """

    number: int
    time: float
    picture: np.ndarray
    gap: tuple[float, float] | None = None


class _Waiting(queue.Queue["Frame | Exception | None"]):
    """A queue that is full when it holds `maxsize` frames, or frames of AHEAD_PIXELS pixels in all."""

    def _qsize(self) -> int:
        return self.maxsize if pixels(self.queue) >= AHEAD_PIXELS else len(self.queue)


def pixels(frames: Iterable[object]) -> int:
    """The number of pixels of all frames among them."""
    return sum(frame.picture.size // 3 for frame in frames if isinstance(frame, Frame))


class Clock:
    """Seconds since the start: where a file's clock is missing, jumps or returns, the last step is repeated.

    Args:
        step: seconds, before two frames are known.
    """

    def __init__(self, step: float) -> None:
        self.step, self.now, self.start, self.jumps = step, -step, 0.0, 0

    def __call__(self, seconds: float | None) -> float:
        """The time of the next frame, later than that of the last one by at most JUMP.

        Args:
            seconds: by the file's clock; None: unknown.
        """
        now = self.now + self.step if seconds is None else seconds - self.start
        if 0 < now - self.now <= JUMP:
            self.step = now - self.now
        else:
            now = self.now + self.step
            self.start = (seconds or 0.0) - now
            self.jumps += seconds is not None
        self.now = now
        return now


class Video:
    """The frames of a file, a camera or a stream, decoded in a thread; use it in a `with`.

    No frame of a file is dropped. A camera gives its latest frame and drops those before it; if it is lost,
    it is opened again.

    Args:
        source: a path, a camera number, or a URL such as rtsp://...
        name: for errors and plots; default: the source, without a password.
        reconnect: seconds for which a lost camera or stream is opened again, in growing pauses.
        timeout: seconds without a frame after which a stream is lost.

    Attributes:
        live: whether it is a camera or a stream without end.
        rate: frames per second.
        size: (width, height) in pixels of the first frame.
        ahead: number of frames that are decoded in advance; 1 of a live source, the latest one.
        count: number of frames according to the file's header; None: unknown.
        defect: why a file could not be read to its end; else empty.

    Raises:
        InputError: it does not exist, or cannot be decoded.
    """

    def __init__(
        self, source: str, name: str | None = None, reconnect: float = RECONNECT, timeout: float = TIMEOUT
    ) -> None:
        self.source, self.name = source, name or re.sub("//[^/@]*@", "//", source)
        self.place = f"camera {source}" if source.isdecimal() else self.name
        self.reconnect, self.timeout, self.defect = reconnect, timeout, ""
        self.capture = self._opened()
        self.live, self.rate = self.capture.live, self.capture.rate
        self.size, self.count = self.capture.size, self.capture.count
        most = 1 if self.live else AHEAD
        self.ahead = max(1, min(most, AHEAD_PIXELS // (self.size[0] * self.size[1])))
        self.waiting = _Waiting(self.ahead)
        self.ended = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self.reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.reader.join(TIMEOUT)

    def __iter__(self) -> Iterator[Frame]:
        """The frames.

        Raises:
            SourceLost: the camera or stream was lost; the frames until then have been given.
        """
        while (frame := self.waiting.get()) is not None:
            if isinstance(frame, Exception):
                raise frame
            yield frame

    @property
    def damaged(self) -> int:
        """Number of packets so far that could not be decoded."""
        return self.capture.damaged

    def _opened(self) -> Capture:
        with error_context(self.place):
            if self.source.isascii() and self.source.isdecimal():
                return Camera(self.source)
            return container.opened(self.source, self.timeout)

    def _read(self) -> None:
        """Decode until the end, then close the source; runs in the thread."""
        end: Exception | None = None
        try:
            for frame in self._live() if self.live else self._stored():
                self._put(frame)
                if self.ended.is_set():
                    break
        except Exception as error:  # raised in the thread that iterates
            end = error
        finally:
            self.capture.close()
        self._put(end)

    def _stored(self) -> Iterator[Frame]:
        """The frames of a file, by its clock."""
        clock = Clock(1 / self.rate)
        try:
            for number, (seconds, picture) in enumerate(self.capture.pictures):
                frame = Frame(number, clock(seconds), picture)
                if clock.jumps:
                    self.count = None  # it followed from the clock
                yield frame
        except OSError as error:
            self.defect = str(error)

    def _live(self) -> Iterator[Frame]:
        """The frames of a camera or stream, by our clock; it is opened again where it is lost."""
        numbers, began, last, lost = itertools.count(), time.monotonic(), 0.0, False
        while not self.ended.is_set():
            reason = "it ended"
            try:
                for _, picture in self.capture.pictures:
                    now = time.monotonic() - began
                    yield Frame(next(numbers), now, picture, (last, now) if lost else None)
                    last, lost = now, False
            except OSError as error:
                reason = str(error)
            if not self.ended.is_set():
                self._reopen(reason)
            lost = True

    def _reopen(self, reason: str) -> None:
        """Open a lost source again.

        Raises:
            SourceLost: it cannot be opened within the time given.
        """
        self.capture.close()
        log.warning(f"{self.place}: lost ({reason}); opened again for {self.reconnect:g} s")
        began, pause = time.monotonic(), PAUSE
        while (left := began + self.reconnect - time.monotonic()) > 0 and not self.ended.wait(
            min(pause, left)
        ):
            pause = min(2 * pause, TIMEOUT)
            with suppress(InputError):
                self.capture = self._opened()
                log.warning(f"{self.place}: back after {time.monotonic() - began:.1f} s")
                return
        raise SourceLost(f"{self.place}: lost ({reason}), and not back within {self.reconnect:g} s")

    def _put(self, frame: Frame | Exception | None) -> None:
        """Queue a frame; a camera's replaces one that was not fetched, but the end replaces none."""
        while not self.ended.is_set():
            if self.live and isinstance(frame, Frame) and self.waiting.full():
                with suppress(queue.Empty):
                    dropped = self.waiting.get_nowait()
                    if isinstance(dropped, Frame) and dropped.gap:
                        frame = replace(frame, gap=dropped.gap)
            with suppress(queue.Full):
                return self.waiting.put(frame, timeout=0.1)
