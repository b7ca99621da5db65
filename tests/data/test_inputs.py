"""The same pixels give the same numbers by every door; what is not a picture is refused with its row."""

import base64
import io
import os
import re
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hierarchy.data import images, inputs
from hierarchy.data.inputs import Options
from hierarchy.errors import InputError

SIZE = (30, 50)
COLOURS = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
GREY = images.luma(COLOURS)
OPAQUE = np.dstack([COLOURS, np.full(SIZE, 255, np.uint8)])
TRANSPARENT = np.dstack([COLOURS, np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)])
PLAIN = Options()
WIDE = Options(value_range=(0, 255))
BGR = Options(colour="bgr")


def png(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


def read(source: object, options: Options = PLAIN) -> np.ndarray:
    """The only picture of a source."""
    (picture,) = inputs.pictures(source, options)
    return picture.grey


def file_of(data: bytes, folder: Path) -> Path:
    path = folder / "face.png"
    path.write_bytes(data)
    return path


@dataclass
class Tensor:
    """An array of another library."""

    values: np.ndarray

    def __array__(self, dtype=None, copy=None):
        return self.values


class Stream(io.RawIOBase):
    """A file that cannot be rewound."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def read(self, size=-1):
        return self.data.read(size)


COLOURED = {
    "uint8": (COLOURS, PLAIN),
    "bgr": (COLOURS[..., ::-1], BGR),
    "opaque": (OPAQUE, PLAIN),
    "opaque bgr": (OPAQUE[..., [2, 1, 0, 3]], BGR),
    "float64": (COLOURS / 255, PLAIN),
    "float32": ((COLOURS / 255).astype(np.float32), PLAIN),
    "float16": ((COLOURS / 255).astype(np.float16), PLAIN),
    "float to 255": (COLOURS.astype(np.float32), WIDE),
    "int64": (COLOURS.astype(np.int64), PLAIN),
    "tensor": (Tensor(COLOURS), PLAIN),
    "list": ([COLOURS], PLAIN),
    "batch": (COLOURS[None], PLAIN),
    "image": (Image.fromarray(COLOURS), PLAIN),
}
DULL = {
    "uint8": (GREY, PLAIN),
    "one channel": (GREY[..., None], PLAIN),
    "bgr": (GREY[..., None], BGR),
    "float": (GREY / 255, PLAIN),
    "float to 255": (GREY.astype(float), WIDE),
    "batch": (GREY[None], PLAIN),
    "batch of one channel": (GREY[None, ..., None], PLAIN),
    "image": (Image.fromarray(GREY), PLAIN),
}


@pytest.mark.parametrize("source, options", [*COLOURED.values(), *DULL.values()], ids=[*COLOURED, *DULL])
def test_arrays_and_images_of_the_same_pixels(source, options):
    np.testing.assert_array_equal(read(source, options), GREY)


def test_files_of_the_same_pixels(tmp_path):
    data = png(COLOURS)
    path = file_of(data, tmp_path)
    text = base64.b64encode(data).decode()
    with path.open("rb") as file, Image.open(path) as image:
        sources = [str(path), path, data, bytearray(data), memoryview(data), file, io.BytesIO(data), image]
        sources += [Stream(data), text, base64.urlsafe_b64encode(data).decode().rstrip("=")]
        sources += ["\n".join(re.findall(".{1,76}", text)), f"data:image/png;base64,{text}"]
        sources += [f"data:image/png,{''.join(f'%{byte:02x}' for byte in data)}"]
        for source in sources:
            np.testing.assert_array_equal(read(source), GREY)


def test_transparent_arrays_are_read_as_their_files():
    assert (read(TRANSPARENT) != GREY).any()
    np.testing.assert_array_equal(read(TRANSPARENT), read(png(TRANSPARENT)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F"])
def test_images_of_all_modes(mode):
    assert read(Image.fromarray(COLOURS).convert(mode)).shape == SIZE


def test_an_image_is_turned_as_its_file_is_and_left_as_it_was():
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    with Image.open(io.BytesIO(png(COLOURS, exif=exif))) as image:
        assert read(image).shape == SIZE[::-1] == read(png(COLOURS, exif=exif)).shape
        assert image.size == SIZE[::-1] and image.getexif()[0x0112] == 6


def test_a_file_is_read_from_its_start_again_and_again():
    file = io.BytesIO(png(COLOURS))
    file.seek(0, io.SEEK_END)
    for _ in range(2):
        np.testing.assert_array_equal(read(file), GREY)


@pytest.mark.parametrize("several", [list, tuple, iter, lambda items: (item for item in items)])
def test_several_pictures_are_read_one_by_one(several, tmp_path):
    path = file_of(png(COLOURS), tmp_path)
    found = list(inputs.pictures(several([path, str(path), png(COLOURS), GREY, COLOURS / 255]), PLAIN))
    assert [each.name for each in found] == [str(path), str(path), "row 2", "row 3", "row 4"]
    assert found[0].place == f"row 0: {path}" and found[3].place == "row 3"
    assert all((each.grey == GREY).all() for each in found)


def test_an_array_of_paths_is_a_list_of_them(tmp_path):
    path = file_of(png(COLOURS), tmp_path)
    assert len(list(inputs.pictures(np.array([str(path)] * 3), PLAIN))) == 3


def test_an_iterator_is_read_no_further_than_needed():
    def endless():
        while True:
            yield GREY

    pictures = inputs.pictures(endless(), PLAIN)
    assert [next(pictures).name for _ in range(3)] == ["row 0", "row 1", "row 2"]


def test_a_picture_depends_on_itself_only():
    dark, bright = np.full((2, *SIZE), [[[0.001]], [[1.0]]])
    alone = read(dark)
    together = [each.grey for each in inputs.pictures(np.stack([dark, bright]), PLAIN)]
    np.testing.assert_array_equal(together[0], alone)


def test_a_file_goes_before_base64_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("A" * 64).write_bytes(png(COLOURS))
    np.testing.assert_array_equal(read("A" * 64), GREY)


class Numbered(os.PathLike):
    def __fspath__(self):
        return 3


WRONG = {
    "dict": {"pixels": 1},
    "number": 3,
    "scalar": np.uint8(3),
    "nothing": None,
    "set": {"a.png"},
    "class": np.ndarray,
    "nested": [[1, 2], [3, 4]],
    "objects": np.array([{}, None], object),
    "bool": np.zeros(SIZE, bool),
    "complex": np.zeros(SIZE, complex),
    "text": np.array([["a", "b"]]),
    "record": np.zeros(SIZE, [("a", np.uint8)]),
    "above 255": np.full(SIZE, 256),
    "below 0": np.full(SIZE, -1),
    "NaN": np.full(SIZE, np.nan),
    "infinite": np.full(SIZE, np.inf),
    "above 1": np.full(SIZE, 1.001),
    "one axis": np.zeros(5, np.uint8),
    "five axes": np.zeros((1, 1, 2, 2, 3), np.uint8),
    "two channels": np.zeros((1, *SIZE, 2), np.uint8),
    "no pixels": np.zeros((0, 5), np.uint8),
    "no bytes": b"",
    "no text": "",
    "no picture": b"hello",
    "missing": "missing.png",
    "missing path": Path("missing.png"),
    "impossible": "a\0.png",
    "address": "https://example.org/a.png",
    "another address": "ftp://example.org/a.png",
    "data": "data:image/png;base64",
    "data, damaged": "data:image/png;base64,A*==",
    "base64": "QUJD" * 40,
    "base64, cut": "A" * 65,
    "text file": io.StringIO("hello"),
    "empty file": io.BytesIO(),
    "empty image": Image.new("L", (0, 5)),
    "list in a list": [GREY],
    "path of a number": Numbered(),
}


def test_floats_take_no_memory_of_their_own_number():
    """One value repeated: what is measured is what reading takes."""
    floats = np.broadcast_to(np.array([0.0, 0.2, 0.4, 1.0]), (2000, 1000, 4))
    tracemalloc.start()
    read(floats)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * floats.size  # one byte for each, and the picture


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_no_picture_is_refused_in_one_line_with_its_row(wrong):
    with pytest.raises(InputError, match="^row 1: ") as caught:
        list(inputs.pictures([GREY, wrong], PLAIN))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("empty", [[], (), iter([]), np.zeros((0, *SIZE)), np.array([], str)])
def test_no_pictures_are_refused(empty):
    with pytest.raises(InputError):
        list(inputs.pictures(empty, PLAIN))


def test_a_row_of_an_array_is_refused_by_itself():
    batch = np.zeros((3, *SIZE))
    batch[2, 0, 0] = 2
    pictures = inputs.pictures(batch, PLAIN)
    assert [next(pictures).name, next(pictures).name] == ["row 0", "row 1"]
    with pytest.raises(InputError, match="^row 2: "):
        next(pictures)


@pytest.mark.parametrize("long", [{"key": "x" * 10_000}, "x/" * 10_000, "x*" * 10_000, list(range(10_000))])
def test_a_refused_value_is_cut(long):
    with pytest.raises(InputError) as caught:
        list(inputs.pictures([long], PLAIN))
    assert len(str(caught.value)) < 300
    assert len(inputs.shown(long)) <= inputs.SHOWN


def test_a_closed_file_and_one_too_large_are_refused(tmp_path, monkeypatch):
    with file_of(png(COLOURS), tmp_path).open("rb") as file:
        pass
    with pytest.raises(InputError, match=re.escape(file.name)):
        read(file)
    released = memoryview(png(COLOURS))
    released.release()
    with pytest.raises(InputError, match="image: .*released"):
        read(released)
    monkeypatch.setattr(inputs, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="image: "):
        read(io.BytesIO(png(COLOURS)))


def test_a_picture_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", GREY.size - 1)
    for source in (GREY, COLOURS / 255, Image.fromarray(COLOURS), png(COLOURS)):
        with pytest.raises(InputError, match="image: "):
            read(source)


@pytest.mark.parametrize(
    "options, key",
    [
        (Options(value_range=(0, 2)), "value_range"),
        (Options(value_range="auto"), "value_range"),
        (Options(value_range=1), "value_range"),
        (Options(colour="grb"), "colour"),
        (Options(colour=None), "colour"),
    ],
)
def test_unknown_options_are_refused(options, key):
    with pytest.raises(InputError, match=f"^{key} "):
        inputs.pictures(GREY, options)
