"""From a video file, a camera or a network stream to its frames, and back to a video file.

OpenCV decodes and encodes, with the FFmpeg that it brings.
"""

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from hierarchy.errors import InputError
from hierarchy.images import MAX_PIXELS

PATIENCE: Final = 10  # seconds that a network stream may take to answer
AHEAD: Final = 4  # frames of a file decoded while others are answered
STEADY: Final = 25.0  # frames a second of a camera that does not say
FASTEST: Final = 240.0  # frames a second; a header that says more is not believed
CODECS: Final = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
os.environ.setdefault(
    "OPENCV_FFMPEG_LOGLEVEL", "-8"
)  # read once, at the first video; what is wrong is said here
ALLOWED: Final = "allowed are video files, the number of a camera (0), and addresses (rtsp://, http://)"


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        number: counted from 0; frames of a camera that nobody had time for are counted too.
        time: seconds since the first frame.
        picture: uint8[H,W,3], RGB.
    """

    number: int
    time: float
    picture: np.ndarray


class Video:
    """The frames of a file, a camera or a stream, decoded in a thread of their own; use it in a `with`.

    A file waits for its reader. A camera does not: of the frames that came meanwhile the latest is given.

    Args:
        source: a path, the number of a camera, or an address such as rtsp://...

    Attributes:
        live: whether it is a camera or a stream.
        rate: frames a second.
        size: (width, height) in pixels.
        count: frames, as the file's header says; None: not known.

    Raises:
        InputError: nothing there, or nothing that can be decoded.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.live = source.isdecimal() or "://" in source
        self.capture = self._opened()
        self.size = self._size()
        rate = self._asked("FPS")
        self.rate = rate if 0 < rate <= FASTEST else STEADY
        count = round(self._asked("FRAME_COUNT"))
        self.count = count if 0 < count < 10**9 and not self.live else None
        self.waiting: queue.Queue[Frame | InputError | None] = queue.Queue(1 if self.live else AHEAD)
        self.ended = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self.reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.reader.join(PATIENCE)

    def __iter__(self) -> Iterator[Frame]:
        """The frames.

        Raises:
            InputError: there is not one that can be decoded.
        """
        while (frame := self.waiting.get()) is not None:
            if isinstance(frame, InputError):
                raise frame
            yield frame

    def _opened(self) -> Any:
        import cv2

        cv2.utils.logging.setLogLevel(0)
        if self.source.isdecimal():
            capture = cv2.VideoCapture(int(self.source))
            wrong = f"camera {self.source}: not there, or another program has it"
        elif self.live:
            limit = 1000 * PATIENCE
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
            capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG, limits)
            wrong = f"{self.source}: no answer, or not a video"
        else:
            if not os.path.isfile(self.source):
                there = "not a file" if os.path.exists(self.source) else "no such file"
                raise InputError(f"{self.source}: {there}; {ALLOWED}")
            capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG)
            empty = os.path.getsize(self.source) == 0
            wrong = f"{self.source}: {'empty (0 bytes)' if empty else 'not a video, or a damaged one'}"
        if not capture.isOpened():
            raise InputError(f"{wrong}; {ALLOWED}")
        return capture

    def _asked(self, what: str) -> float:
        import cv2

        return float(self.capture.get(getattr(cv2, f"CAP_PROP_{what}")))

    def _size(self) -> tuple[int, int]:
        width, height = round(self._asked("FRAME_WIDTH")), round(self._asked("FRAME_HEIGHT"))
        if width * height > MAX_PIXELS:
            most = MAX_PIXELS // 10**6
            raise InputError(
                f"{self.source}: frames of {width}x{height} pixels; allowed are {most} megapixels"
            )
        return width, height

    def _read(self) -> None:
        """What the thread does: it decodes until the end, and closes the source."""
        started = time.monotonic()
        number, now = 0, 0.0
        try:
            while not self.ended.is_set() and (picture := self._decoded()) is not None:
                now = time.monotonic() - started if self.live else self._when(number, now)
                self._give(Frame(number, now, picture))
                number += 1
            nothing = InputError(f"{self.source}: no frame that can be decoded; {ALLOWED}")
            self._give(None if number else nothing)
        finally:
            self.capture.release()

    def _decoded(self) -> np.ndarray | None:
        import cv2

        with suppress(cv2.error):
            there, picture = self.capture.read()
            if there:
                return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return None

    def _when(self, number: int, before: float) -> float:
        """Seconds at which a file shows the frame just read; never earlier than the one before."""
        said = self._asked("POS_MSEC") / 1000
        return max(said if said > 0 else number / self.rate, before)

    def _give(self, frame: Frame | InputError | None) -> None:
        """Hand a frame over; a camera's takes the place of one that nobody fetched, the end never does."""
        while not self.ended.is_set():
            if self.live and frame is not None and self.waiting.full():
                with suppress(queue.Empty):
                    self.waiting.get_nowait()
            with suppress(queue.Full):
                return self.waiting.put(frame, timeout=0.1)


class Writer:
    """A video file that grows frame by frame, in time with the frames' own times.

    Args:
        path: where the file will be; its suffix, one of CODECS, says how it is encoded.
        rate: frames a second.
        size: (width, height); odd ones lose a pixel.

    Raises:
        InputError: it cannot be written.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        import cv2

        cv2.utils.logging.setLogLevel(0)
        self.path, self.rate, self.size = path, rate, (size[0] // 2 * 2, size[1] // 2 * 2)
        codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self.writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, rate, self.size)
        self.written = 0
        if not self.writer.isOpened():
            raise InputError(f"{path}: cannot be written as a video of {size[0]}x{size[1]} pixels")

    def add(self, picture: np.ndarray, now: float) -> None:
        """A picture uint8[H,W,3], RGB, that is shown from `now`, in seconds; skipped frames repeat it."""
        import cv2

        shown = cv2.cvtColor(picture[: self.size[1], : self.size[0]], cv2.COLOR_RGB2BGR)
        while self.written <= round(now * self.rate):
            self.writer.write(shown)
            self.written += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            InputError: it lacks frames, as where the disk is full; OpenCV does not say so itself.
        """
        import cv2

        self.writer.release()
        kept = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FRAME_COUNT)
        if kept < self.written:
            raise InputError(f"{self.path}: cannot be written whole; is the disk full?")


def check_suffix(path: Path) -> None:
    """Refuse a name of a video file that says no known codec.

    Raises:
        InputError: it does not end in one of CODECS.
    """
    if path.suffix.lower() not in CODECS:
        raise InputError(f"{path}: a video's name ends in {', '.join(CODECS)}")
