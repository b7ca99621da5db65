"""Images of all kinds give the same numbers from path or bytes; anything else is refused in one line."""

import errno
import importlib.util
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from hierarchy.data import dataset, image_files, images
from hierarchy.errors import InputError, SkippedImage


def _grey(height: int = 60, width: int = 40) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


GREY = _grey()
PICTURE = Image.fromarray(GREY)
RGB = PICTURE.convert("RGB")
OTHER = [PICTURE.transpose(Image.Transpose.ROTATE_180)] * 3


def _bytes(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _png_header(width: int, height: int) -> bytes:
    """A PNG of any size in its header, without pixels."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    )
    body = (
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
        for tag, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


LOSSLESS = {
    "png": _bytes(PICTURE, "PNG"),
    "gif": _bytes(PICTURE, "GIF"),
    "bmp": _bytes(PICTURE, "BMP"),
    "tiff": _bytes(PICTURE, "TIFF"),
    "pgm": _bytes(PICTURE, "PPM"),
    "jpeg2000": _bytes(PICTURE, "JPEG2000"),
    "webp": _bytes(RGB, "WEBP", lossless=True),
    "colour": _bytes(RGB, "PNG"),
    "palette": _bytes(RGB.quantize(256), "PNG"),
    "alpha, opaque": _bytes(PICTURE.convert("RGBA"), "PNG"),
    "grey alpha, opaque": _bytes(PICTURE.convert("LA"), "PNG"),
    "cmyk": _bytes(RGB.convert("CMYK"), "TIFF"),
    "16 bit": _bytes(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"),
    "16 bit, shifted": _bytes(Image.fromarray(GREY.astype(np.uint16) << 8), "TIFF"),
    "16 bit pgm": cv2.imencode(".pgm", GREY.astype(np.uint16) * 257)[1].tobytes(),
    "16 bit colour": cv2.imencode(".png", np.dstack([GREY.astype(np.uint16) * 257] * 3))[1].tobytes(),
    "32 bit": _bytes(Image.fromarray(GREY.astype(np.int32) * 100_000), "TIFF"),
    "float to 1": _bytes(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"),
    "float to 255": _bytes(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
    "float below 0": _bytes(Image.fromarray(GREY.astype(np.float32) / 100 - 1), "TIFF"),
    "gif animation": _bytes(PICTURE, "GIF", save_all=True, append_images=OTHER),
    "apng animation": _bytes(PICTURE, "PNG", save_all=True, append_images=OTHER),
    "webp animation": _bytes(RGB, "WEBP", lossless=True, save_all=True, append_images=OTHER),
}
CLOSE = {
    "jpeg": _bytes(PICTURE, "JPEG", quality=95),
    "cmyk jpeg": _bytes(RGB.convert("CMYK"), "JPEG", quality=95),
    "avif": _bytes(RGB, "AVIF", quality=95),
    "lab": _bytes(RGB.convert("LAB"), "TIFF"),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_kinds_give_the_same_grey(kind: str) -> None:
    grey = images.read(LOSSLESS[kind])
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, GREY)


@pytest.mark.parametrize("kind", CLOSE)
def test_lossy_kinds_give_nearly_the_same_grey(kind: str) -> None:
    assert np.abs(images.read(CLOSE[kind]).astype(int) - GREY).max() <= 8


def test_path_and_bytes_give_the_same_numbers_whatever_the_suffix(tmp_path: Path) -> None:
    for kind, data in (LOSSLESS | CLOSE).items():
        file = tmp_path / "picture.png"
        file.write_bytes(data)
        for source in (file, str(file)):
            np.testing.assert_array_equal(images.read(source), images.read(data), err_msg=kind)


def test_48_by_48_grey_passes_bit_for_bit() -> None:
    face = _grey(48, 48)
    np.testing.assert_array_equal(images.crop(images.read(_bytes(Image.fromarray(face), "PNG"))), face)
    assert images.SIDE == dataset.SIDE


def test_one_bit_is_black_and_white() -> None:
    black_and_white = PICTURE.convert("1")
    np.testing.assert_array_equal(
        images.read(_bytes(black_and_white, "PNG")), np.array(black_and_white) * np.uint8(255)
    )


def test_colour_is_luma() -> None:
    np.testing.assert_array_equal(
        images.read(_bytes(Image.new("RGB", (2, 1), (255, 0, 0)), "PNG")), [[76, 76]]
    )


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparent_parts_are_white(mode: str) -> None:
    if mode in ("RGBA", "LA"):
        picture = PICTURE.convert(mode)
        picture.putalpha(0)
        data = _bytes(picture, "PNG")
    elif mode == "P":  # every palette entry has its own transparency
        data = _bytes(RGB.quantize(8), "PNG", transparency=bytes(8))
    else:
        data = _bytes(Image.new("L", (40, 60), 10), "PNG", transparency=10)
    assert (images.read(data) == 255).all()


def test_half_transparent_is_half_way_to_white() -> None:
    picture = Image.new("RGBA", (3, 3), (0, 0, 0, 128))
    assert (images.read(_bytes(picture, "PNG")) == 127).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_exif_orientation_is_applied(kind: str) -> None:
    dark_left_top = np.full((48, 32), 250, np.uint8)
    dark_left_top[:16, :8] = 0
    stored_as = {
        1: dark_left_top,
        2: dark_left_top[:, ::-1],
        3: dark_left_top[::-1, ::-1],
        4: dark_left_top[::-1],
        5: dark_left_top.T,
        6: np.rot90(dark_left_top),
        7: dark_left_top[::-1, ::-1].T,
        8: np.rot90(dark_left_top, -1),
    }
    for orientation, stored in stored_as.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = _bytes(
            Image.fromarray(np.ascontiguousarray(stored)).convert("RGB"), kind, exif=exif, quality=95
        )
        grey = images.read(data)
        assert grey.shape == dark_left_top.shape
        assert np.abs(grey.astype(int) - dark_left_top).mean() < 8, orientation


def test_damaged_exif_does_not_hide_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = bytearray(_bytes(PICTURE, "JPEG", exif=exif))
    start = bytes(data).index(b"Exif") + 6
    data[start : start + 14] = b"\xff" * 14
    assert images.read(bytes(data)).shape == GREY.shape


def _refusal(source: str | Path | bytes, name: str | None = None) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no decoder's warning may leak
        with pytest.raises(InputError) as caught:
            images.read(source, name)
    message = str(caught.value)
    assert "\n" not in message and "PNG, JPEG" in message and "50 megapixels" in message
    return message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_truncated_is_refused_by_name(kind: str, part: float, tmp_path: Path) -> None:
    data = _bytes(RGB.resize((400, 600)), kind)
    file = tmp_path / "cut.png"
    file.write_bytes(data[: int(len(data) * part)])
    assert _refusal(file).startswith(f"{file}: ")


def test_every_refusal_names_path_and_reason(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello " * 100)
    (tmp_path / "empty.jpg").touch()
    reasons = {_refusal(tmp_path / name).split("; ")[0] for name in ("none.png", "", "empty.jpg", "text.png")}
    assert len(reasons) == 4 and all(reason.startswith(f"{tmp_path}") for reason in reasons)
    assert _refusal(os.devnull).startswith(f"{os.devnull}: ")
    assert _refusal(b"", "face 3").startswith("face 3: ")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root and Windows may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "locked.png"
    file.write_bytes(LOSSLESS["png"])
    file.chmod(0)
    assert "Permission denied" in _refusal(file)


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_000, 10_000), (10_000, 5_001)])
def test_too_large_is_refused_from_the_header(size: tuple[int, int]) -> None:
    # the limit itself passes the header and fails at the pixels
    assert _refusal(_png_header(*size), "x") != _refusal(_png_header(10_000, 5_000), "x")


def test_warning_filters_of_the_caller_are_left_alone() -> None:
    before = list(warnings.filters)
    images.read(LOSSLESS["palette"])
    assert warnings.filters == before


def test_threads_decode_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    before, meeting, convert = list(warnings.filters), threading.Barrier(2, timeout=60), images._converted

    def converted(*arguments: Any) -> np.ndarray:
        meeting.wait()
        return convert(*arguments)

    monkeypatch.setattr(images, "_converted", converted)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(images.read, [LOSSLESS["png"]] * 2)
    np.testing.assert_array_equal(one, other)
    assert warnings.filters == before


def test_threads_together_decode_no_more_than_one_image_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, convert = list[int](), images._converted

    def converted(*arguments: Any) -> np.ndarray:
        at_once.append(len(images._DECODED))
        return convert(*arguments)

    monkeypatch.setattr(images, "_converted", converted)
    monkeypatch.setattr(images, "MAX_PIXELS", images.read(LOSSLESS["png"]).size)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(images.read, [LOSSLESS["png"]] * 20))) == 20
    assert set(at_once) == {1} and not images._DECODED


@pytest.mark.parametrize("kind", LOSSLESS)
def test_grey_and_colour_at_once_are_those_of_two_readings(kind: str) -> None:
    grey, colour = images.grey_and_colour(LOSSLESS[kind])
    np.testing.assert_array_equal(grey, images.read(LOSSLESS[kind]))
    np.testing.assert_array_equal(colour, images.read(LOSSLESS[kind], colour=True))


@pytest.mark.parametrize("shape", [(1, 1), (48, 48), (47, 49), (10, 5000), (5000, 10), (3000, 2000)])
def test_crop_keeps_a_flat_picture_flat(shape: tuple[int, int]) -> None:
    face = images.crop(np.full(shape, 77, np.uint8))
    assert face.shape == (48, 48) and face.dtype == np.uint8 and (face == 77).all()


def test_crop_averages_when_it_shrinks() -> None:
    blocks = np.kron(_grey(48, 48), np.ones((3, 5), np.uint8))
    np.testing.assert_array_equal(images.crop(blocks), _grey(48, 48))
    checks = (np.indices((480, 480)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.abs(images.crop(checks).astype(int) - 127.5).max() < 1


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "b.png",
        "a.JPG",
        "notes.txt",
        "album/2.png",
        "album/deep/1.webp",
        "album/.hidden/3.png",
        "album/._2.png",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("empty").mkdir()
    return tmp_path


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders called deep are such that nobody may list them, root included."""
    listdir = os.listdir

    def refusing(folder: str) -> list[str]:
        if os.path.basename(folder) == "deep":
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refusing)


def _found(*paths: str) -> list[str]:
    files = list(image_files.find(paths))
    assert all(isinstance(file, Path) for file in files)
    return [file.as_posix() for file in files]


def test_find_expands_in_the_order_given_and_without_repeats(album: Path) -> None:
    assert _found("notes.txt", "album", "b.png") == ["notes.txt", "album/2.png", "album/deep/1.webp", "b.png"]
    assert _found("*.png", "a.JPG", "./b.png", str(album / "a.JPG")) == ["b.png", "a.JPG"]
    assert _found("al*") == ["album/2.png", "album/deep/1.webp"]
    assert _found("**/*.webp") == ["album/deep/1.webp"]
    assert _found(".") == ["a.JPG", "album/2.png", "album/deep/1.webp", "b.png"]


def test_find_complains_and_goes_on(album: Path) -> None:
    found = list(image_files.find(["none.png", "b.png", "empty", "*.bmp", "a.JPG"]))
    assert [each.name for each in found if isinstance(each, Path)] == ["b.png", "a.JPG"]
    messages = [str(each) for each in found if isinstance(each, InputError)]
    assert [message.split(": ")[0] for message in messages] == ["none.png", "empty", "*.bmp"]
    assert not any("\n" in message for message in messages)


def test_a_folder_that_cannot_be_read_is_named(album: Path, locked: None) -> None:
    found = list(image_files.find(["."]))
    assert [each.as_posix() for each in found if isinstance(each, Path)] == ["a.JPG", "album/2.png", "b.png"]
    (refused,) = (each for each in found if isinstance(each, SkippedImage))
    assert refused.path == "./album/deep" and str(refused).startswith("./album/deep: ")
    assert "Permission denied" in str(refused)


def test_a_file_whose_name_looks_like_a_glob_is_found(album: Path) -> None:
    Path("face[1].png").touch()
    assert _found("face[1].png") == ["face[1].png"]


def test_import_does_not_load_the_decoder() -> None:
    code = "import sys, hierarchy.data.images; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("size", [(1, images.MAX_SIDE + 1), (images.MAX_SIDE + 1, 1)])
def test_too_thin_is_refused_from_the_header(size: tuple[int, int]) -> None:
    assert "too large" in _refusal(_png_header(*size))
    with pytest.raises(InputError, match="too large"):
        images.grey(Image.new("1", size))


def test_heic_is_read_where_the_library_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pip install -r requirements-heic.txt")
    heif.register_heif_opener()
    upright = RGB.resize((80, 64))
    data = _bytes(upright, "HEIF", quality=95)
    assert ".heic" in images.suffixes()
    assert np.abs(images.read(data).astype(int) - np.array(upright.convert("L"))).max() <= 10
    assert images.read(data, colour=True).shape == (64, 80, 3)
    assert "truncated" in _refusal(data[: len(data) // 2])


def test_heic_without_its_library_is_refused_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    images._heif.cache_clear()
    assert "pip install" in _refusal(b"\0\0\0\x1cftypheic" + bytes(100))
    assert ".heic" not in images.suffixes()
    images._heif.cache_clear()


def test_nothing_is_printed_about_a_damaged_tiff(capfd: pytest.CaptureFixture[str]) -> None:
    """libtiff writes to the process' stderr."""
    for compression in ("tiff_lzw", "tiff_deflate", "group4"):
        data = bytearray(
            _bytes(RGB.convert("1") if compression == "group4" else RGB, "TIFF", compression=compression)
        )
        data[len(data) // 3 : len(data) // 2] = b"\xa5" * (len(data) // 2 - len(data) // 3)
        with suppress(InputError):
            images.read(bytes(data))
    assert capfd.readouterr() == ("", "")


def tiff(*tags: tuple[int, int, int]) -> bytes:
    """A grey TIFF of 48x48 pixels with tags (number, type, value)."""
    tags = ((256, 4, 48), (257, 4, 48), (258, 3, 8), (262, 3, 1), *tags)
    entries = b"".join(struct.pack("<HHII", number, kind, 1, value) for number, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4 + 2400)


def test_tiles_beyond_the_largest_image_are_refused_before_they_are_allocated() -> None:
    huge = tiff((259, 3, 8), (277, 3, 1), (322, 4, 65536), (323, 4, 32752), (324, 4, 134), (325, 4, 1000))
    with pytest.raises(InputError, match="too large"):
        images.read(huge)


def test_scans_of_a_jpeg_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    file = BytesIO()
    Image.new("L", (64, 64), 128).save(file, "JPEG", progressive=True)
    whole = file.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    monkeypatch.setattr(images, "SCANS", 20 * 64**2 / images.MAX_PIXELS)
    assert images.read(whole).shape == (64, 64)
    with pytest.raises(InputError, match="scans"):
        images.read(whole[:-2] + 20 * last + whole[-2:])


def test_a_jpeg_that_pillow_decoded_before_is_read() -> None:
    file = BytesIO()
    Image.new("L", (64, 64), 128).save(file, "JPEG")
    picture = Image.open(file)
    picture.load()  # Pillow lets go of the file
    assert np.array_equal(images.grey(picture, "a"), np.full((64, 64), 128))


def test_pillow_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    many = tiff((259, 3, 1), (273, 4, 130), (277, 3, 65535), (278, 4, 48), (279, 4, 2304))
    with pytest.raises(InputError):
        images.read(many)
    assert capfd.readouterr().err == ""
