"""Small videos, good and broken, made by program."""

import io
import struct
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Final

import av
import numpy as np

SIZE: Final = (64, 48)
CONTAINERS: Final = {
    ".mp4": "libx264",
    ".mkv": "libx264",
    ".webm": "libvpx",
    ".avi": "mpeg4",
    ".ts": "mpeg2video",
    ".gif": "gif",
}


def film(path: Path, codec: str, times: list[float], size: tuple[int, int] = SIZE) -> Path:
    """A video whose frames are at `times`, in seconds."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, 25)
        stream.width, stream.height = size
        stream.pix_fmt = {"gif": "rgb8", "ffv1": "gray"}.get(codec, "yuv420p")
        for number, seconds in enumerate(times):
            grey = np.full((size[1], size[0]), 20 * number % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, "gray")
            frame.pts = round(25 * seconds)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return path


@cache
def whole(suffix: str) -> bytes:
    """A good video of a container."""
    with tempfile.TemporaryDirectory() as folder:
        times = [number / 25 for number in range(12)]
        return film(Path(folder) / f"a{suffix}", CONTAINERS[suffix], times).read_bytes()


def mutated(suffix: str, seed: int, make: Callable[[str], bytes] = whole) -> bytes:
    """A video with some bytes changed, a piece removed or repeated, or numbers made large."""
    rng = np.random.default_rng(seed)
    data = bytearray(make(suffix))
    places = rng.integers(0, len(data) if seed % 2 else min(len(data), 1500), 1 + seed % 9)
    match seed % 4:
        case 0:
            for place in places:
                data[place] = rng.integers(256)
        case 1:
            for place in places:
                data[place : place + 4] = b"\xff\xff\xff\xff" if place % 2 else b"\x7f\xff\xff\xff"
        case 2:
            begin = int(places[0])
            del data[begin : begin + int(rng.integers(1, 400))]
        case _:
            begin = int(places[0])
            data[begin:begin] = data[begin : begin + int(rng.integers(1, 4000))]
    return bytes(data)


def promising(name: bytes, offset: int, value: bytes, suffix: str = ".mp4") -> bytes:
    """A good video with a number in a header replaced: `value` at `offset` behind the last box `name`."""
    data = bytearray(whole(suffix))
    place = data.rindex(name) + len(name) + offset
    data[place : place + len(value)] = value
    return bytes(data)


def headers() -> dict[str, Callable[[], bytes]]:
    """MP4 headers with enormous numbers."""
    most, half = b"\xff" * 4, b"\x7f\xff\xff\xff"
    fields = {
        "mvhd timescale": (b"mvhd", 12),
        "mvhd duration": (b"mvhd", 16),
        "tkhd duration": (b"tkhd", 20),
        "mdhd timescale": (b"mdhd", 12),
        "mdhd duration": (b"mdhd", 16),
        "stts entries": (b"stts", 4),
        "stts samples": (b"stts", 8),
        "stts step": (b"stts", 12),
        "stsz size": (b"stsz", 4),
        "stsz count": (b"stsz", 8),
        "stsc count": (b"stsc", 4),
        "stsc samples": (b"stsc", 12),
        "stco count": (b"stco", 4),
        "stco place": (b"stco", 8),
        "matrix a": (b"tkhd", 40),
        "matrix b": (b"tkhd", 44),
        "matrix d": (b"tkhd", 56),
        "width": (b"tkhd", 76),
        "height": (b"tkhd", 80),
        "size": (b"avc1", 24),
    }
    return {
        f"{field} {value.hex()}": partial(promising, name, offset, value)
        for field, (name, offset) in fields.items()
        for value in (most, half, b"\0\0\0\0", b"\0\0\0\1")
    }


def made(suffix: str, codec: str, times: list[float], size: tuple[int, int] = SIZE) -> bytes:
    """The bytes of `film`."""
    with tempfile.TemporaryDirectory() as folder:
        return film(Path(folder) / f"a{suffix}", codec, times, size).read_bytes()


def sizes(sides: list[int]) -> bytes:
    """JPEG frames of changing size."""
    from PIL import Image

    out = io.BytesIO()
    for side in sides:
        Image.new("L", (side, side), 90).save(out, "JPEG")
    return out.getvalue()


def streams(count: int) -> bytes:
    """An MP4 file with its track repeated."""
    data = whole(".mp4")
    moov, track = data.index(b"moov") - 4, data.index(b"trak") - 4
    size = int.from_bytes(data[track : track + 4])
    more = data[track : track + size] * count
    head = struct.pack(">I", int.from_bytes(data[moov : moov + 4]) + len(more))
    return data[:moov] + head + data[moov + 4 : track + size] + more + data[track + size :]


@cache
def sounding(suffix: str, tracks: int = 1) -> bytes:
    """Two seconds of frames with sound tracks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        with av.open(str(path), "w") as target:
            video = target.add_stream("libx264", 25)
            video.width, video.height = SIZE
            sounds = [target.add_stream("aac", 8000, layout="mono") for _ in range(tracks)]
            for number in range(50):
                target.mux(
                    video.encode(av.VideoFrame.from_ndarray(np.full(SIZE[::-1], number, np.uint8), "gray"))
                )
                for sound in sounds:
                    frame = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.float32), "fltp", "mono")
                    frame.sample_rate, frame.pts = 8000, 320 * number
                    target.mux(sound.encode(frame))
            for stream in (video, *sounds):
                target.mux(stream.encode(None))
        return path.read_bytes()


def wave() -> bytes:
    """A sound without a picture."""
    out = io.BytesIO()
    with av.open(out, "w", format="wav") as target:
        stream = target.add_stream("pcm_s16le", 8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        target.mux(stream.encode(frame))
    return out.getvalue()
