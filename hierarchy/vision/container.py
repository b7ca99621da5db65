"""Decoding video files and network streams, by FFmpeg (PyAV)."""

import io
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from hierarchy.errors import InputError, first_line
from hierarchy.vision.capture import EXPECTED, MAX_PIXELS, MAX_RATE, Capture

if TYPE_CHECKING:
    import av

DEFECTS: Final = 4096  # damaged packets in succession, after which a source ends
THREADS: Final = 4  # of a decoder
SCHEMES: Final = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "rtp", "tcp", "srt")


class Container(Capture):
    """A file, or a stream of the network, read by FFmpeg.

    Args:
        source: an open file, or a URL.
        timeout: seconds for a stream to respond.

    Raises:
        InputError: it contains no video, or its frames are too large.
        OSError, av.error.FFmpegError: it cannot be opened.
    """

    def __init__(self, source: "_File | str", timeout: float) -> None:
        remote = isinstance(source, str)
        self.timeout = timeout if remote else float("inf")
        with ExitStack() as stack:
            if not isinstance(source, str):
                stack.enter_context(source)
            self.file = _demuxer(source, timeout)
            stack.enter_context(self.file)
            self.stream = self._video()
            seconds, rate = (self.file.duration or 0) / 10**6, float(self.stream.guessed_rate or 0)
            frames = self.stream.frames or (seconds * rate if rate <= MAX_RATE else 0)
            super().__init__(remote and seconds <= 0, rate, frames)
            self.opened = stack.pop_all()

    def _video(self) -> "av.VideoStream":
        """The best video stream, its decoder with bounds; a record's cover is no video."""
        import av

        stream: Any = self.file.streams.best("video")
        if stream is None or stream.disposition & av.stream.Disposition.attached_pic:
            raise InputError(f"contains no video; {EXPECTED}")
        decoder = stream.codec_context
        if decoder is None:
            raise InputError("its codec is unknown")
        if decoder.width * decoder.height > MAX_PIXELS:
            size = f"{decoder.width}x{decoder.height}"
            raise InputError(f"frames of {size} pixels; at most {MAX_PIXELS // 10**6} megapixels")
        decoder.options = {"max_pixels": str(MAX_PIXELS)}  # a later frame may be larger
        decoder.thread_type, decoder.thread_count = "SLICE", THREADS  # "FRAME" loses frames beside a damage
        return stream

    def decoded(self) -> Iterator[tuple[float | None, np.ndarray]]:
        """See `Capture.decoded`; damaged packets and frames above MAX_PIXELS are left out and counted."""
        start, base = self.stream.start_time or 0, self.stream.time_base or 0
        seen, damaged = time.monotonic(), 0  # of the last frame
        for packet in self._packets():
            for frame in self._frames(packet):
                yield None if frame.pts is None else float((frame.pts - start) * base), _upright(frame)
                seen, damaged = time.monotonic(), self.damaged
            if time.monotonic() - seen > self.timeout:
                raise TimeoutError(f"no frame for {self.timeout:.0f} s")
            if self.damaged - damaged > DEFECTS:
                return

    def _packets(self) -> Iterator["av.Packet | None"]:
        """The packets of all streams; None for a damaged one.

        Raises:
            OSError: the connection or the disk fails.
        """
        import av

        packets = self.file.demux()
        while True:
            try:
                yield next(packets)
            except (StopIteration, EOFError):
                return
            except av.error.InvalidDataError:
                self.damaged += 1
                packets = self.file.demux()  # where the last one stopped
                yield None
            except av.error.FFmpegError as error:
                raise OSError(_reason(error)) from None

    def _frames(self, packet: "av.Packet | None") -> "list[Any]":
        """The frames of a packet of the video."""
        import av

        if packet and packet.stream.index == self.stream.index:
            with suppress(EOFError):
                try:
                    return list(packet.decode())
                except av.error.FFmpegError:
                    self.damaged += 1
        return []

    def close(self) -> None:
        """Close the file or connection."""
        self.opened.close()


class _File(io.BufferedReader):
    """An open file of no name: FFmpeg reads folders and numbers out of names, and they may not be UTF-8."""

    name = "video"

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """The new position, or -1 where there is none: PyAV would print an exception's traceback."""
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError):
            return -1


def opened(source: str, timeout: float) -> Container:
    """The container at a path or URL.

    Args:
        source: as on the command line.
        timeout: seconds for a stream to respond.

    Raises:
        InputError: it does not exist, or is no video; does not name the source.
    """
    scheme, _, remote = source.partition("://")
    if remote and scheme.lower() not in SCHEMES:
        raise InputError(f"expected a URL of one of {', '.join(SCHEMES)}")
    with _refused("no response, or not a video" if remote else "not a valid video"):
        return Container(source if remote else _file(source), timeout)


@contextmanager
def demuxed(path: str) -> "Iterator[av.container.InputContainer]":
    """The streams of a file, closed at the end.

    Raises:
        InputError: it cannot be opened.
    """
    with _refused("not a valid video"):
        file = _file(path)
    with file, _refused("not a valid video"), _demuxer(file) as streams:
        yield streams


def _demuxer(source: "_File | str", timeout: float | None = None) -> "av.container.InputContainer":
    """FFmpeg on a file, or on a URL with seconds for it to respond."""
    import av

    remote = isinstance(source, str)
    options = {"max_pixels": str(MAX_PIXELS)}
    # a playlist that is a file opens nothing else; FFmpeg lets that of a server open no local file
    options |= {"rtsp_transport": "tcp"} if remote else {"protocol_whitelist": "none"}
    return av.open(
        source,
        "r",
        options=options,
        metadata_errors="replace",
        timeout=timeout if remote else None,
        io_open=None if remote else _refuse,
    )


@contextmanager
def _refused(reason: str) -> Iterator[None]:
    """Turn errors of FFmpeg into an InputError."""
    import av

    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"{reason} ({_reason(error)}); {EXPECTED}") from None


def _file(path: str) -> _File:
    """Open a file; a device, or a pipe that nobody writes to, is not opened."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"not a file; {EXPECTED}")
        if not status.st_size:
            raise InputError(f"empty (0 bytes); {EXPECTED}")
        return _File(io.FileIO(path))
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a NUL in the name
        raise InputError(f"cannot be opened ({_reason(error)}); {EXPECTED}") from None


def _reason(error: Exception) -> str:
    """An error in words, without the number and name that FFmpeg adds."""
    return str(getattr(error, "strerror", None) or first_line(error))


def _refuse(url: str, *_: object) -> NoReturn:
    raise PermissionError(f"names another file, {url}")


def _upright(frame: "av.VideoFrame") -> np.ndarray:
    """A frame as uint8[H,W,3], RGB; BGR is FFmpeg's exact conversion from 10 bits."""
    import cv2

    bgr = frame.reformat(format="bgr24", interpolation="BICUBIC").to_ndarray()
    turns = round(frame.rotation / 90) if frame.rotation % 90 == 0 else 0
    # a tenth of the time of NumPy's [..., ::-1]
    return cv2.cvtColor(np.ascontiguousarray(np.rot90(bgr, turns)), cv2.COLOR_BGR2RGB)
