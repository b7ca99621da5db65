"""Writing video files frame by frame (PyAV)."""

from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from hierarchy.errors import InputError, first_line
from hierarchy.vision.sound import Sound

if TYPE_CHECKING:
    import av

LARGE: Final = 8_847_360  # pixels (4096x2160); larger frames are written in this size
SIDE: Final = 8192  # pixels, longest side
CODECS: Final = {  # the file's clock in ticks a second, FFmpeg's name of the codec, options for speed
    ".mp4": (90_000, "libx264", {"preset": "veryfast"}),
    ".mkv": (1000, "libx264", {"preset": "veryfast"}),
    ".webm": (1000, "libvpx", {"deadline": "realtime", "cpu-used": "8", "b": "2M"}),
}


class Writer(AbstractContextManager["Writer"]):
    """A video file that is written frame by frame, each with its own time; use it in a `with`.

    PyAV encodes: none of OpenCV's codecs plays both in browsers and from a .mp4, and OpenCV hides full disks.

    Args:
        path: of the file; its suffix, one of CODECS, determines the codec.
        rate: frames per second, for the header and the duration of the last frame.
        size: (width, height) in pixels, rounded down to even numbers; above LARGE or SIDE it is reduced.
        sound: to be copied along with the frames; its `defect` says why where it is not.

    Raises:
        OSError: it cannot be written.
        InputError: its frames cannot be encoded.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int], sound: Sound | None = None) -> None:
        import av

        self.ticks, codec, options = CODECS[path.suffix.lower()]
        scale = min(1.0, (LARGE / (size[0] * size[1])) ** 0.5, SIDE / max(size))
        self.width, self.height = (max(int(side * scale) // 2 * 2, 2) for side in size)
        self.file = av.open(str(path), "w")
        exact = Fraction(rate).limit_denominator(1001)
        self.stream = cast("av.VideoStream", self.file.add_stream(codec, exact, dict(options)))
        self.stream.width, self.stream.height = self.width, self.height
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = Fraction(1, self.ticks)
        self.step, self.next, self.sound = round(self.ticks / rate), 0, sound
        if sound:
            try:
                sound.enter(self.file, path)
            except InputError as error:
                sound.defect = str(error)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.next:
            self._write(None)
            self._copy_sound()
        self.file.close()

    def add(self, picture: np.ndarray, now: float) -> None:
        """Show an image uint8[H,W,3], RGB, from time `now` in seconds until the next one."""
        import av

        height, width = picture.shape[:2]
        if 0 <= height - self.height <= 1 and 0 <= width - self.width <= 1:
            picture = picture[: self.height, : self.width]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        if (frame.width, frame.height) != (self.width, self.height):
            frame = frame.reformat(self.width, self.height)
        frame.pts, frame.time_base = max(round(now * self.ticks), self.next), Fraction(1, self.ticks)
        frame.duration = self.step
        self.next = frame.pts + 1
        self._write(frame)
        self._copy_sound()

    def _copy_sound(self) -> None:
        """As far as the last frame lasts."""
        if self.sound:
            self.sound.copy(self.file, (self.next - 1 + self.step) / self.ticks)

    def _write(self, frame: "av.VideoFrame | None") -> None:
        import av

        try:
            self.file.mux(self.stream.encode(frame))
        except OSError:
            raise
        except av.error.FFmpegError as error:
            size = f"{self.width}x{self.height}"
            raise InputError(f"frames of {size} pixels cannot be encoded ({first_line(error)})") from None
