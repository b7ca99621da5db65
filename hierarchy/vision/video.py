"""Reading frames of video files, cameras and network streams (OpenCV), and writing video files (PyAV)."""

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np

from hierarchy.data.images import MAX_PIXELS
from hierarchy.errors import InputError

if TYPE_CHECKING:
    import av

LAST_CAMERA: Final = 2**31 - 1  # OpenCV's camera numbers are int32
TIMEOUT: Final = 10  # seconds for a network stream to respond, and for the reader thread to end
AHEAD: Final = 4  # frames of a file decoded in advance
DEFAULT_RATE: Final = 25.0  # frames per second of a camera without a valid rate
MAX_RATE: Final = 240.0  # frames per second; a higher rate in a header is invalid
CODECS: Final = {  # FFmpeg's names, with options for speed
    ".mp4": ("libx264", {"preset": "veryfast"}),
    ".mkv": ("libx264", {"preset": "veryfast"}),
    ".webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "b": "2M"}),
}
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, at the first video; errors are ours
EXPECTED: Final = "expected a video file, a camera number (0), or a URL (rtsp://, http://)"


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Attributes:
        number: counted from 0, dropped frames of a camera included.
        time: seconds since the first frame.
        picture: uint8[H,W,3], RGB.
    """

    number: int
    time: float
    picture: np.ndarray


class Video:
    """The frames of a file, a camera or a stream, decoded in a thread; use it in a `with`.

    No frame of a file is dropped. A camera gives its latest frame and drops those before it.

    Args:
        source: a path, a camera number, or a URL such as rtsp://...
        name: for errors and plots; default: the source.

    Attributes:
        live: whether it is a camera or a stream.
        rate: frames per second.
        size: (width, height) in pixels.
        count: number of frames according to the file's header; None: unknown.

    Raises:
        InputError: it does not exist, or cannot be decoded.
    """

    def __init__(self, source: str, name: str | None = None) -> None:
        self.source, self.name = source, name or source
        self.live = source.isdecimal() or "://" in source
        self.capture = self._opened()
        width, height = round(self._property("FRAME_WIDTH")), round(self._property("FRAME_HEIGHT"))
        if width * height > MAX_PIXELS:
            limit = MAX_PIXELS // 10**6
            raise InputError(f"{self.name}: frames of {width}x{height} pixels; at most {limit} megapixels")
        self.size = width, height
        rate = self._property("FPS")
        self.rate = rate if 0 < rate <= MAX_RATE else DEFAULT_RATE
        count = round(self._property("FRAME_COUNT"))
        self.count = count if 0 < count < 10**9 and not self.live else None
        self.waiting: queue.Queue[Frame | Exception | None] = queue.Queue(1 if self.live else AHEAD)
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
            InputError: no frame can be decoded.
        """
        while (frame := self.waiting.get()) is not None:
            if isinstance(frame, Exception):
                raise frame
            yield frame

    def _opened(self) -> Any:
        import cv2

        cv2.utils.logging.setLogLevel(0)
        if self.source.isdecimal():
            capture = cv2.VideoCapture(min(int(self.source), LAST_CAMERA))
            reason = f"camera {self.source}: not found, or in use by another program"
        else:
            reason = f"{self.name}: {'no response, or not a video' if self.live else self._defect()}"
            limit = 1000 * TIMEOUT
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
            capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            raise InputError(f"{reason}; {EXPECTED}")
        return capture

    def _defect(self) -> str:
        """What is wrong with a file that OpenCV cannot open.

        Raises:
            InputError: its name is not valid UTF-8; OpenCV crashes.
        """
        try:
            self.source.encode()
        except UnicodeEncodeError:
            raise InputError(f"{self.name}: file name is not valid UTF-8; rename the file") from None
        if os.path.isfile(self.source):
            return "not a valid video" if os.path.getsize(self.source) else "empty (0 bytes)"
        return "not a file" if os.path.exists(self.source) else "no such file"

    def _property(self, name: str) -> float:
        import cv2

        return float(self.capture.get(getattr(cv2, f"CAP_PROP_{name}")))

    def _read(self) -> None:
        """Decode until the end, then close the source; runs in the thread."""
        started = time.monotonic()
        number, now = 0, 0.0
        try:
            while not self.ended.is_set() and (picture := self._decoded()) is not None:
                if self.live:
                    now = time.monotonic() - started
                else:  # files without times give 0
                    seconds = self._property("POS_MSEC") / 1000
                    now = max(seconds if seconds > 0 else number / self.rate, now)
                self._put(Frame(number, now, picture))
                number += 1
            empty = InputError(f"{self.name}: no frame can be decoded; {EXPECTED}")
            self._put(None if number else empty)
        except Exception as error:  # raised in the thread that iterates
            self._put(error)
        finally:
            self.capture.release()

    def _decoded(self) -> np.ndarray | None:
        import cv2

        with suppress(cv2.error):
            success, picture = self.capture.read()
            if success:
                return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return None

    def _put(self, frame: Frame | Exception | None) -> None:
        """Queue a frame; a camera's replaces one that was not fetched, but the end replaces none."""
        while not self.ended.is_set():
            if self.live and frame is not None and self.waiting.full():
                with suppress(queue.Empty):
                    self.waiting.get_nowait()
            with suppress(queue.Full):
                return self.waiting.put(frame, timeout=0.1)


class Writer(AbstractContextManager["Writer"]):
    """A video file of constant rate that is written frame by frame; use it in a `with`.

    PyAV encodes: none of OpenCV's codecs plays both in browsers and from a .mp4, and OpenCV hides full disks.

    Args:
        path: of the file; its suffix, one of CODECS, determines the codec.
        rate: frames per second.
        size: (width, height) in pixels, rounded down to even numbers.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        import av

        codec, options = CODECS[path.suffix.lower()]
        self.rate, self.size = rate, (max(size[0] // 2 * 2, 2), max(size[1] // 2 * 2, 2))
        self.file = av.open(str(path), "w")
        exact = Fraction(rate).limit_denominator(1001)
        self.stream = cast("av.VideoStream", self.file.add_stream(codec, exact, dict(options)))
        self.stream.width, self.stream.height = self.size
        self.stream.pix_fmt = "yuv420p"
        self.written = 0

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.written:
            self.file.mux(self.stream.encode())
        self.file.close()

    def add(self, picture: np.ndarray, now: float) -> None:
        """Show an image uint8[H,W,3], RGB, up to time `now` in seconds, repeating it as often as needed."""
        import av

        width, height = self.size
        while self.written <= round(now * self.rate):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
            self.file.mux(self.stream.encode(frame))
            self.written += 1
