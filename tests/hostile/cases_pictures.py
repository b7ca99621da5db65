"""Pictures: damaged, huge, thin and odd files for the decoder, the detectors and the drawings."""

import functools
import random
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from harness import ROOT, Case, command, complaint
from PIL import Image

sys.path.insert(0, str(ROOT))

from hierarchy.data import images  # noqa: E402
from hierarchy.errors import InputError  # noqa: E402
from hierarchy.vision import draw  # noqa: E402
from hierarchy.vision.detectors import create_detector  # noqa: E402

KINDS: Final = {
    "png": ("PNG", {}),
    "jpeg": ("JPEG", {}),
    "gif": ("GIF", {}),
    "webp": ("WEBP", {}),
    "bmp": ("BMP", {}),
    "ppm": ("PPM", {}),
    "jpeg2000": ("JPEG2000", {}),
    "avif": ("AVIF", {}),
    "tiff lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff deflate": ("TIFF", {"compression": "tiff_deflate"}),
    "tiff jpeg": ("TIFF", {"compression": "jpeg"}),
    "tiff packbits": ("TIFF", {"compression": "packbits"}),
}
SAMPLES: Final = ROOT / "samples"
MUTATIONS: Final = 24  # of each kind
# thin, wide, at the limits and beyond; the nets see the whole of those that are decoded
SIDES: Final = ((1, 4_000_000), (1, 50_000_000), (50_000_000, 1), (1, 65_535), (65_535, 1), (65_500, 763))
LIMITED: Final = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
sys.argv[0] = "tf_model.py"
sys.path.insert(0, {root!r})
import tf_model
sys.exit(tf_model.main())
"""


@functools.cache
def _file(kind: str) -> bytes:
    name, options = KINDS[kind]
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, name, **options)
    return out.getvalue()


def _mutated(kind: str, seed: int) -> bytes:
    chance, data = random.Random(f"{kind} {seed}"), bytearray(_file(kind))
    for _ in range(chance.choice([1, 3, 30])):
        data[chance.randrange(len(data) if seed % 2 else min(len(data), 100))] = chance.randrange(256)
    return bytes(data[: chance.randrange(len(data))] if seed % 4 == 0 else data)


def _read(data: bytes) -> str | None:
    """A picture within the limits, or one line."""
    try:
        grey = images.read(data, "picture")
    except InputError as error:
        return None if str(error).startswith("picture: ") and "\n" not in str(error) else f"line {error}"
    return None if grey.dtype == np.uint8 and 0 < grey.size <= images.MAX_PIXELS else f"{grey.shape}"


def _png(width: int, height: int, depth: int = 8, kind: int = 0) -> bytes:
    """The header of a PNG without pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    body = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _headers() -> Iterator[tuple[str, bytes]]:
    """Files whose header promises more than there is."""
    for side in (0, 1, 2**16, 10**6, 2**31 - 1, 2**31, 2**32 - 1):
        yield f"png {side}", _png(side, side)
        yield f"png 1x{side}", _png(1, side, 16, 6)
        yield f"ppm {side}", b"P6 %d %d 255\n" % (side, side) + bytes(30)
        yield f"plain ppm {side}", b"P3 %d 1 255\n" % side + b"1 " * 30
        yield f"gif {side}", b"GIF89a" + struct.pack("<HH", side % 2**16, side % 2**16) + bytes(30)
        bmp = struct.pack("<IiiHHIIiiII", 40, side - 2**31, side - 2**31, 1, 24, 0, 0, 0, 0, 0, 0)
        yield f"bmp {side}", b"BM" + struct.pack("<IHHI", 99, 0, 0, 54) + bmp
        ifd = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, side), (257, side)))
        yield f"tiff {side}", b"II*\0" + struct.pack("<IH", 8, 2) + ifd + struct.pack("<I", 8)  # a loop
        size = struct.pack(">HH", side % 2**16, side % 2**16)
        yield f"jpeg {side}", b"\xff\xd8\xff\xc0\0\x0b\x08" + size + b"\x01\x01\x11\0" + bytes(9)
        brand = struct.pack(">I", side) + b"ftyp"
        yield f"heic {side}", brand + b"heic" + bytes(40)
        yield f"avif {side}", brand + b"avif" + bytes(40)
        yield f"webp {side}", b"RIFF" + struct.pack("<I", side) + b"WEBPVP8X" + bytes(40)


def _predicted(size: tuple[int, int], words: tuple[str, ...], mode: str, folder: Path) -> str | None:
    """The next picture is answered, within a limited address space."""
    Image.new(mode, size, 0).save(folder / "a.png")
    Image.new("L", (48, 48), 90).save(folder / "b.png")
    script = LIMITED.format(root=str(ROOT))
    outcome = command("predict", "a.png", "b.png", *words, folder=folder, program=("-c", script), seconds=120)
    refused = max(size) > images.MAX_SIDE
    names = ["a.png"] if refused else []
    return complaint(outcome, codes=(2 if refused else 0,), names=names, answers=1 if refused else 2, lines=1)


def _drawn(shape: tuple[int, int], faces: int) -> str | None:
    shares = {"a": 0.5, "b": 0.5}
    notes = [draw.Note((-5, row, 10**6, row % 7), "a", "a", shares) for row in range(faces)]
    page = draw.annotated(np.zeros((*shape, 3), np.uint8), notes)
    return None if page.height <= draw.LARGEST and page.width < 2 * draw.LARGEST else f"{page.size}"


def _searched(name: str, shape: tuple[int, int]) -> str | None:
    grey = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for face in create_detector(name)(grey):
        if face.pixels.shape != (48, 48):
            return f"crop of {face.pixels.shape}"
    return None


def _without_folder(check: Callable[[], str | None]) -> Callable[[Path], str | None]:
    return lambda folder: check()


def _damaged_detector(data: bytes, names: tuple[str, ...], folder: Path) -> str | None:
    for name in names:
        (folder / name).write_bytes(data)
    Image.new("L", (300, 200), 90).save(folder / "a.png")
    outcome = command("predict", "a.png", "--detector", ",".join(names), folder=folder)
    return complaint(outcome, codes=(2,), names=names[:1], answers=0, lines=1)


def _option(words: tuple[str, ...], codes: tuple[int, ...], folder: Path) -> str | None:
    """An option of the search, for a picture and for a video."""
    for source in (("predict", SAMPLES / "portrait.jpg"), ("video", SAMPLES / "clip.mp4")):
        outcome = command(*source, *words, folder=folder, seconds=120)
        names = (words[0].strip("-").replace("-", "_").partition("_")[0],) if codes == (2,) else ()
        if text := complaint(outcome, codes=codes, names=names, lines=1 if names else None, seconds=120):
            return f"{source[0]}: {text}"
    return None


def _crowd(columns: int, rows: int, folder: Path) -> str | None:
    """A picture of many faces: nearly all are found and answered, and the drawing is bounded."""
    face = Image.open(SAMPLES / "portrait.jpg").convert("RGB").resize((96, 96))
    picture = Image.new("RGB", (96 * columns, 96 * rows))
    for number in range(columns * rows):
        picture.paste(face, (96 * (number % columns), 96 * (number // columns)))
    picture.save(folder / "a.png")
    outcome = command("predict", "a.png", "--save", "out", folder=folder, seconds=180)
    if text := complaint(outcome, codes=(0,), seconds=180):
        return text
    if (number := len(outcome.out.splitlines())) < 0.9 * columns * rows:
        return f"{number} of {columns * rows} faces"
    drawn = Image.open(next((folder / "out").iterdir()))
    return None if drawn.height <= draw.LARGEST and drawn.width < 2 * draw.LARGEST else f"{drawn.size}"


def _noise(words: tuple[str, ...], folder: Path) -> str | None:
    """50 megapixels of noise, which look like faces nowhere, or everywhere."""
    grey = np.random.default_rng(0).integers(0, 256, (7000, 7142), np.uint8)
    Image.fromarray(grey).save(folder / "a.png", compress_level=1)
    outcome = command("predict", "a.png", *words, folder=folder, seconds=180)
    return complaint(outcome, codes=(0,), seconds=180)


def cases() -> Iterator[Case]:
    """Damaged bytes, headers, sides, drawings and detectors."""
    for kind in KINDS:
        for seed in range(MUTATIONS):
            read = functools.partial(_read, _mutated(kind, seed))
            yield Case("damaged picture", f"{kind} {seed}", _without_folder(read))
    for name, data in _headers():
        yield Case("header of a picture", name, _without_folder(functools.partial(_read, data)))
    for size in SIDES:
        for words in (
            (),
            ("--save", "out"),
            ("--detector", "whole"),
            ("--detector", "haar", "--save", "out"),
        ):
            mode = "RGBA" if size == (1, 4_000_000) else "L"
            check = functools.partial(_predicted, size, words, mode)
            yield Case("sides of a picture", f"{mode} {size} {' '.join(words)}", check)
    for shape in ((1, 1), (1, 60_000), (60_000, 1), (763, 60_000), (48, 48), (7_000, 7_000)):
        for faces in (0, 1, 1_000):
            check = functools.partial(_drawn, shape, faces)
            yield Case("drawing", f"{shape} {faces} faces", _without_folder(check))
        for detector in ("auto", "whole", "yunet", "haar") if max(shape) != 7_000 else ("auto", "yunet"):
            check = functools.partial(_searched, detector, shape)
            yield Case("detector", f"{detector} {shape}", _without_folder(check))
    for value in ("0", "-1", "nan", "inf", "1e3", "", "x", "9" * 5000):
        check = functools.partial(_option, ("--min-face", value), (0, 2) if len(value) > 9 else (2,))
        yield Case("options of the search", f"--min-face {value[:9]}", check)
    for value in ("", "x", "AUTO", "90", "auto,off", "\x1b[2J"):
        check = functools.partial(_option, ("--rotate", value), (2,))
        yield Case("options of the search", f"--rotate {value!r}", check)
    for words in (("--min-face", "9"), ("--min-face", "999999999"), ("--rotate", "off")):
        yield Case("options of the search", " ".join(words), functools.partial(_option, words, (0,)))
    for words in ((), ("--save", "out"), ("--min-face", "1"), ("--detector", "haar")):
        yield Case("50 megapixels of noise", " ".join(words), functools.partial(_noise, words))
    yield Case("many faces", "500", functools.partial(_crowd, 25, 20))
    for data in (b"", b"\0" * 1000, b"garbage {", b"\xff" * 5000):
        for names in (("a.onnx",), ("a.prototxt", "a.caffemodel"), ("a.txt",)):
            check = functools.partial(_damaged_detector, data, names)
            yield Case("damaged detector", f"{names} {data[:9]!r}", check)
