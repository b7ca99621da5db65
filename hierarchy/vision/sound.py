"""The sound track of a video file, copied packet by packet into another one (PyAV)."""

import io
from contextlib import AbstractContextManager, ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hierarchy.errors import InputError
from hierarchy.vision import container

if TYPE_CHECKING:
    import av

FORMATS: Final = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm"}  # FFmpeg's names


class Sound(AbstractContextManager["Sound"]):
    """The best sound track of a video file; use it in a `with`. Nothing is decoded.

    Args:
        source: path of the file.

    Attributes:
        defect: why it ended early; else empty.

    Raises:
        InputError: it is a camera or stream, or has no sound track that can be read.
    """

    def __init__(self, source: str) -> None:

        if source.isdecimal() or "://" in source:
            raise InputError("cameras and streams are written without it")
        self.defect = ""
        self.waiting: Any = None  # read, but later than what was copied
        self.last: int | None = None  # time of the last packet
        self.target: Any = None
        with ExitStack() as stack:
            file = stack.enter_context(container.demuxed(source))
            self.stream: Any = file.streams.best("audio")
            picture = file.streams.best("video")
            if self.stream is None or picture is None:
                raise InputError("there is no sound track")
            self.start = (picture.start_time or 0) * (picture.time_base or Fraction(0))
            self.packets = file.demux(self.stream)
            self.opened = stack.pop_all()

    def __exit__(self, *_: object) -> None:
        self.opened.close()

    def enter(self, file: "av.container.OutputContainer", path: Path) -> None:
        """Add the track to a file before its first frame, after a trial: one that fails costs the video.

        Raises:
            InputError: a file of this kind cannot hold it.
        """
        import av

        try:
            self.waiting = self._next()
            with av.open(io.BytesIO(), "w", format=FORMATS[path.suffix.lower()]) as trial:
                stream = trial.add_stream_from_template(self.stream)
                if self.waiting is not None:
                    trial.mux(_copied(self.waiting, stream))
            self.target = file.add_stream_from_template(self.stream)
        except (av.error.FFmpegError, ValueError):
            codec = self.stream.codec_context.name if self.stream.codec_context else "its codec"
            raise InputError(f"{codec} cannot be copied into {path.suffix}, most codecs into .mkv") from None

    def copy(self, file: "av.container.OutputContainer", until: float) -> None:
        """Copy what begins before a time in seconds since the first frame; ends at what is damaged.

        Raises:
            OSError: it cannot be written.
        """
        import av

        if self.target is None or self.defect:
            return
        try:
            while (packet := self._next()) is not None:
                if packet.dts * packet.time_base >= until:
                    self.waiting = packet
                    return
                self.last, packet.stream = packet.dts, self.target
                file.mux(packet)
        except (av.error.InvalidDataError, ValueError):
            self.defect = f"damaged after {float((self.last or 0) * self.stream.time_base):.1f} s"

    def _next(self) -> Any:
        """The next packet, its times since the first frame; None at the end."""
        if self.waiting is not None:
            packet, self.waiting = self.waiting, None
            return packet
        with suppress(EOFError):
            for packet in self.packets:
                if packet.dts is None or packet.pts is None:
                    continue
                shift = round(self.start / packet.time_base)
                packet.dts, packet.pts = packet.dts - shift, packet.pts - shift
                if packet.dts >= 0 and (self.last is None or packet.dts > self.last):
                    return packet
        return None


def _copied(packet: Any, stream: Any) -> "av.Packet":
    """A packet of the same bytes and times for another stream."""
    import av

    copy = av.Packet(bytes(packet))
    copy.time_base, copy.pts, copy.dts, copy.duration = (
        packet.time_base,
        packet.pts,
        packet.dts,
        packet.duration,
    )
    copy.stream = stream
    return copy
