"""Frames come in their order, at their times, and as the pictures they are; what is no video is refused."""

import os
import sys
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from hierarchy.data import images
from hierarchy.errors import InputError
from hierarchy.vision import video
from hierarchy.vision.video import CODECS, Video, Writer

SIZE = (64, 48)  # width, height


def film(path, pictures, rate=10.0, codec="png "):
    """A video whose frames come back bit for bit."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, SIZE)
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return str(path)


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 256, (12, SIZE[1], SIZE[0], 3), np.uint8)


def test_every_frame_comes_at_its_time_and_as_it_is(tmp_path, pictures):
    source = film(tmp_path / "a.avi", pictures)
    with Video(source) as opened:
        assert (opened.rate, opened.size, opened.count, opened.live) == (10.0, SIZE, len(pictures), False)
        frames = list(opened)
    assert [frame.number for frame in frames] == list(range(len(pictures)))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(len(pictures)) / 10, atol=1e-3)
    assert all(np.array_equal(f.picture, p) for f, p in zip(frames, pictures, strict=True))


def test_a_frame_is_as_grey_as_the_same_picture_in_a_file(tmp_path, pictures):
    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(pictures[0], cv2.COLOR_RGB2BGR))
    with Video(film(tmp_path / "a.avi", pictures)) as opened:
        frame = next(iter(opened))
    assert np.array_equal(images.luma(frame.picture), images.read(tmp_path / "a.png"))


def test_a_reader_may_leave_before_the_end(tmp_path, pictures):
    with Video(film(tmp_path / "a.avi", np.concatenate([pictures] * 5))) as opened:
        assert len(list(islice(opened, 2))) == 2
    assert not opened.reader.is_alive()


def test_a_reader_that_fails_is_not_waited_for(tmp_path, pictures, monkeypatch):
    def fail(*_):
        raise MemoryError("full")

    monkeypatch.setattr(Video, "_when", fail)
    with Video(film(tmp_path / "a.avi", pictures)) as opened, pytest.raises(MemoryError, match="full"):
        list(opened)


class Camera:
    """Stands in for OpenCV's camera: a frame every hundredth of a second, each of one grey."""

    def __init__(self, *where):
        self.frames = 0

    def isOpened(self):
        return True

    def get(self, what):
        return {cv2.CAP_PROP_FRAME_WIDTH: 8, cv2.CAP_PROP_FRAME_HEIGHT: 8}.get(what, 0.0)

    def read(self):
        time.sleep(0.01)
        self.frames += 1
        return self.frames <= 60, np.full((8, 8, 3), self.frames, np.uint8)

    def release(self):
        pass


def test_a_camera_does_not_wait_and_its_latest_frame_is_given(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with Video("0") as opened:
        assert opened.live and opened.count is None and opened.rate == video.STEADY
        numbers = []
        for frame in opened:
            assert frame.picture[0, 0, 0] == frame.number + 1
            numbers.append(frame.number)
            time.sleep(0.1)  # of ten frames, one is looked at
    assert numbers == sorted(set(numbers)) and 3 <= len(numbers) < 30


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.mp4", "no such file"),
        ("folder", "not a file"),
        ("empty.mp4", "empty"),
        ("text.mp4", "not a video"),
        ("cut.mp4", "not a video, or a damaged one"),
        ("cut.avi", None),
    ],
)
def test_what_is_no_video_is_refused_in_a_line(tmp_path, pictures, capfd, name, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    for suffix, codec in ((".mp4", "mp4v"), (".avi", "png ")):
        whole = film(tmp_path / f"whole{suffix}", pictures, codec=codec)
        data = Path(whole).read_bytes()
        (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) // 2])
    if said is None:  # what is there of a cut file is given
        with Video(str(tmp_path / name)) as opened:
            assert 0 < len(list(opened)) < len(pictures)
    else:
        with pytest.raises(InputError, match=f"{name}: {said}.*; allowed are video files") as caught:
            Video(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_name_that_is_no_text_is_refused(tmp_path, pictures):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.avi")
    os.rename(film(tmp_path / "a.avi", pictures), odd)
    with pytest.raises(InputError, match="its name is no text; rename it"):
        Video(odd)


@pytest.mark.parametrize("number", ["99", "9" * 30])
def test_a_camera_that_is_not_there_is_named(capfd, number):
    with pytest.raises(InputError, match=f"camera {number}: not there"):
        Video(number)
    assert capfd.readouterr() == ("", "")


def test_an_address_without_an_answer_is_named(capfd):
    with pytest.raises(InputError, match="http://127.0.0.1:9/a: no answer"):
        Video("http://127.0.0.1:9/a")
    assert capfd.readouterr() == ("", "")


def test_a_video_without_frames_is_refused(tmp_path, pictures, monkeypatch):
    source = film(tmp_path / "a.avi", pictures)
    monkeypatch.setattr(Video, "_decoded", lambda self: None)
    with Video(source) as opened, pytest.raises(InputError, match="no frame that can be decoded"):
        list(opened)


def test_frames_that_are_too_large_are_refused(tmp_path, pictures, monkeypatch):
    source = film(tmp_path / "a.avi", pictures)
    monkeypatch.setattr(video, "MAX_PIXELS", 1000)
    with pytest.raises(InputError, match="frames of 64x48 pixels"):
        Video(source)


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("size", [(64, 48), (33, 31)])
def test_what_is_written_is_read_again(tmp_path, suffix, size):
    path = tmp_path / f"a{suffix}"
    with Writer(path, 10.0, size) as writer:
        for number in range(10):
            writer.add(np.full((size[1], size[0], 3), 20 * number, np.uint8), number / 10)
    with Video(str(path)) as opened:
        assert opened.size == tuple(side // 2 * 2 for side in size) and opened.rate == 10.0
        greys = [frame.picture.mean() for frame in opened]
    np.testing.assert_allclose(greys, 20 * np.arange(10), atol=8)


def test_a_late_frame_is_shown_for_as_long_as_it_lasted(tmp_path):
    with Writer(tmp_path / "a.mp4", 10.0, SIZE) as writer:
        for now in (0.0, 0.1, 0.5):
            writer.add(np.zeros((48, 64, 3), np.uint8), now)
    with Video(str(tmp_path / "a.mp4")) as opened:
        assert len(list(opened)) == 6


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_a_full_disk_is_an_error(rng, tmp_path):
    (tmp_path / "a.mp4").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"), Writer(tmp_path / "a.mp4", 10.0, SIZE) as writer:
        for number in range(100):
            writer.add(rng.integers(0, 256, (48, 64, 3), np.uint8), number / 10)


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(InputError, match="ends in .mp4, .mkv, .webm"):
        video.check_suffix(tmp_path / "a.gif")
    video.check_suffix(tmp_path / "a.MP4")
