"""Frames come in order, at their times, unchanged; files that are not videos are refused."""

import os
import sys
import threading
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


def test_every_frame_comes_at_its_time_and_unchanged(tmp_path, pictures):
    source = film(tmp_path / "a.avi", pictures)
    with Video(source) as opened:
        assert (opened.rate, opened.size, opened.count, opened.live) == (10.0, SIZE, len(pictures), False)
        frames = list(opened)
    assert [frame.number for frame in frames] == list(range(len(pictures)))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(len(pictures)) / 10, atol=1e-3)
    assert all(np.array_equal(f.picture, p) for f, p in zip(frames, pictures, strict=True))


def test_a_frame_has_the_grey_values_of_the_same_image_file(tmp_path, pictures):
    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(pictures[0], cv2.COLOR_RGB2BGR))
    with Video(film(tmp_path / "a.avi", pictures)) as opened:
        frame = next(iter(opened))
    assert np.array_equal(images.luma(frame.picture), images.read(tmp_path / "a.png"))


def test_iteration_may_stop_before_the_end(tmp_path, pictures):
    with Video(film(tmp_path / "a.avi", np.concatenate([pictures] * 5))) as opened:
        assert len(list(islice(opened, 2))) == 2
    assert not opened.reader.is_alive()


def test_an_error_of_the_reader_is_raised(tmp_path, pictures, monkeypatch):
    def fail(*_):
        raise MemoryError("full")

    monkeypatch.setattr(Video, "_decoded", fail)
    with Video(film(tmp_path / "a.avi", pictures)) as opened, pytest.raises(MemoryError, match="full"):
        list(opened)


class Camera:
    """Stands in for OpenCV's camera: frames of one grey each; it meets the test before every tenth one."""

    meeting = threading.Barrier(2, timeout=60)

    def __init__(self, *source):
        self.frames = 0

    def isOpened(self):
        return True

    def get(self, name):
        return {cv2.CAP_PROP_FRAME_WIDTH: 8, cv2.CAP_PROP_FRAME_HEIGHT: 8}.get(name, 0.0)

    def read(self):
        if self.frames % 10 == 0 and 0 < self.frames < 60:
            self.meeting.wait()  # ten more frames are queued or dropped
            self.meeting.wait()  # the test has fetched the latest
        self.frames += 1
        return self.frames <= 60, np.full((8, 8, 3), self.frames, np.uint8)

    def release(self):
        pass


def test_a_camera_gives_its_latest_frame_and_drops_those_before(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with Video("0") as opened:
        assert opened.live and opened.count is None and opened.rate == video.DEFAULT_RATE
        frames = iter(opened)
        for latest in range(9, 59, 10):
            Camera.meeting.wait()
            frame = next(frames)
            assert frame.number == latest and frame.picture[0, 0, 0] == latest + 1
            Camera.meeting.wait()
        last = [frame.number for frame in frames]
    assert last == sorted(set(last)) and last[-1] == 59  # the end of the stream drops no frame


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("nowhere.mp4", False),
        ("folder", False),
        ("empty.mp4", False),
        ("text.mp4", False),
        ("cut.mp4", False),
        ("cut.avi", True),
    ],
)
def test_files_that_are_not_videos_are_refused_in_one_line(tmp_path, pictures, capfd, name, readable):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    for suffix, codec in ((".mp4", "mp4v"), (".avi", "png ")):
        whole = film(tmp_path / f"whole{suffix}", pictures, codec=codec)
        data = Path(whole).read_bytes()
        (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) // 2])
    if readable:  # the frames before the cut are read
        with Video(str(tmp_path / name)) as opened:
            assert 0 < len(list(opened)) < len(pictures)
    else:
        with pytest.raises(InputError, match=f"{name}: ") as caught:
            Video(str(tmp_path / name))
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_file_name_that_is_not_utf8_is_refused(tmp_path, pictures):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.avi")
    os.rename(film(tmp_path / "a.avi", pictures), odd)
    with pytest.raises(InputError, match="\\.avi: "):
        Video(odd)


@pytest.mark.parametrize("number", ["99", "9" * 30])
def test_a_missing_camera_is_named(capfd, number):
    with pytest.raises(InputError, match=f"camera {number}: "):
        Video(number)
    assert capfd.readouterr() == ("", "")


def test_a_url_without_response_is_named(capfd):
    with pytest.raises(InputError, match="http://127.0.0.1:9/a: "):
        Video("http://127.0.0.1:9/a")
    assert capfd.readouterr() == ("", "")


def test_a_video_without_frames_is_refused(tmp_path, pictures, monkeypatch):
    source = film(tmp_path / "a.avi", pictures)
    monkeypatch.setattr(Video, "_decoded", lambda self: None)
    with Video(source) as opened, pytest.raises(InputError, match="a.avi: "):
        list(opened)


def test_frames_that_are_too_large_are_refused(tmp_path, pictures, monkeypatch):
    source = film(tmp_path / "a.avi", pictures)
    monkeypatch.setattr(video, "MAX_PIXELS", 1000)
    with pytest.raises(InputError, match="a.avi: .*64x48"):
        Video(source)


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("size", [(64, 48), (33, 31)])
def test_written_frames_are_read_back(tmp_path, suffix, size):
    path = tmp_path / f"a{suffix}"
    with Writer(path, 10.0, size) as writer:
        for number in range(10):
            writer.add(np.full((size[1], size[0], 3), 20 * number, np.uint8), number / 10)
    with Video(str(path)) as opened:
        assert opened.size == tuple(side // 2 * 2 for side in size) and opened.rate == 10.0
        greys = [frame.picture.mean() for frame in opened]
    np.testing.assert_allclose(greys, 20 * np.arange(10), atol=8)


def test_a_late_frame_fills_the_time_before_it(tmp_path):
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
