"""From a video file, a camera or a network stream to its frames, and back to a video file.

OpenCV reads, which knows cameras too; PyAV writes.
"""

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np

from hierarchy.data.images import MAX_PIXELS
from hierarchy.errors import InputError

if TYPE_CHECKING:
    import av

LAST_CAMERA: Final = 2**31 - 1  # by the numbers that OpenCV knows
PATIENCE: Final = 10  # seconds that a network stream may take to answer
AHEAD: Final = 4  # frames of a file decoded while others are answered
STEADY: Final = 25.0  # frames a second of a camera that does not say
FASTEST: Final = 240.0  # frames a second; a header that says more is not believed
CODECS: Final = {  # FFmpeg's names, and what makes them quick
    ".mp4": ("libx264", {"preset": "veryfast"}),
    ".mkv": ("libx264", {"preset": "veryfast"}),
    ".webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "b": "2M"}),
}
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
        name: what to call it in errors and pictures; the source itself where none is given.

    Attributes:
        live: whether it is a camera or a stream.
        rate: frames a second.
        size: (width, height) in pixels.
        count: frames, as the file's header says; None: not known.

    Raises:
        InputError: nothing there, or nothing that can be decoded.
    """

    def __init__(self, source: str, name: str | None = None) -> None:
        self.source, self.name = source, name or source
        self.live = source.isdecimal() or "://" in source
        self.capture = self._opened()
        self.size = self._size()
        rate = self._asked("FPS")
        self.rate = rate if 0 < rate <= FASTEST else STEADY
        count = round(self._asked("FRAME_COUNT"))
        self.count = count if 0 < count < 10**9 and not self.live else None
        self.waiting: queue.Queue[Frame | Exception | None] = queue.Queue(1 if self.live else AHEAD)
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
            if isinstance(frame, Exception):
                raise frame
            yield frame

    def _opened(self) -> Any:
        import cv2

        cv2.utils.logging.setLogLevel(0)
        if self.source.isdecimal():
            capture = cv2.VideoCapture(min(int(self.source), LAST_CAMERA))
            wrong = f"camera {self.source}: not there, or another program has it"
        elif self.live:
            limit = 1000 * PATIENCE
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
            capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG, limits)
            wrong = f"{self.source}: no answer, or not a video"
        else:
            if not os.path.isfile(self.source):
                there = "not a file" if os.path.exists(self.source) else "no such file"
                raise InputError(f"{self.name}: {there}; {ALLOWED}")
            try:
                self.source.encode()
            except UnicodeEncodeError:  # OpenCV does not survive it
                raise InputError(f"{self.name}: its name is no text; rename it; {ALLOWED}") from None
            capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG)
            empty = os.path.getsize(self.source) == 0
            wrong = f"{self.name}: {'empty (0 bytes)' if empty else 'not a video, or a damaged one'}"
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
            raise InputError(f"{self.name}: frames of {width}x{height} pixels; allowed are {most} megapixels")
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
            nothing = InputError(f"{self.name}: no frame that can be decoded; {ALLOWED}")
            self._give(None if number else nothing)
        except Exception as error:  # whoever waits for a frame is told
            self._give(error)
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

    def _give(self, frame: Frame | Exception | None) -> None:
        """Hand a frame over; a camera's takes the place of one that nobody fetched, the end never does."""
        while not self.ended.is_set():
            if self.live and frame is not None and self.waiting.full():
                with suppress(queue.Empty):
                    self.waiting.get_nowait()
            with suppress(queue.Full):
                return self.waiting.put(frame, timeout=0.1)


class Writer:
    """A video file that grows frame by frame, in time with the frames' own times; use it in a `with`.

    PyAV encodes: of OpenCV's own codecs none plays both in browsers and from a .mp4, and it hides full disks.

    Args:
        path: of the file; its suffix, one of CODECS, says how it is encoded.
        rate: frames a second.
        size: (width, height) in pixels; odd ones lose one.

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.written:
            self.file.mux(self.stream.encode())
        self.file.close()

    def add(self, picture: np.ndarray, now: float) -> None:
        """A picture uint8[H,W,3], RGB, that is shown from `now`, in seconds; skipped frames repeat it."""
        import av

        width, height = self.size
        while self.written <= round(now * self.rate):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
            self.file.mux(self.stream.encode(frame))
            self.written += 1


def check_suffix(path: Path) -> None:
    """Refuse a name of a video file that says no known codec.

    Raises:
        InputError: it does not end in one of CODECS.
    """
    if path.suffix.lower() not in CODECS:
        raise InputError(f"{path}: a video's name ends in {', '.join(CODECS)}")
