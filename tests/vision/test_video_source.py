"""Frames come in order, at their times, unchanged; files that are not videos are refused."""

import os
import sys
import threading
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from hierarchy.data import images
from hierarchy.errors import InputError
from hierarchy.vision import capture, container, video, video_writer
from hierarchy.vision.video import JUMP, Clock, SourceLost, Video
from hierarchy.vision.video_writer import CODECS, Writer

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

    monkeypatch.setattr(Clock, "__call__", fail)
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
    with Video("0", reconnect=0) as opened:
        assert opened.live and opened.count is None and opened.rate == capture.DEFAULT_RATE
        frames = iter(opened)
        for latest in range(9, 59, 10):
            Camera.meeting.wait()
            frame = next(frames)
            assert frame.number == latest and frame.picture[0, 0, 0] == latest + 1
            Camera.meeting.wait()
        last = []
        with pytest.raises(SourceLost, match="camera 0: "):
            last.extend(frame.number for frame in frames)
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


def test_a_position_before_the_file_is_none(tmp_path):
    (tmp_path / "x.wmv").write_bytes(bytes(9))
    with container._file(str(tmp_path / "x.wmv")) as file:
        assert file.seek(4) == 4
        assert file.seek(-5) == -1  # as the index of a damaged WMV asks for


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_file_name_need_not_be_utf8(tmp_path, pictures):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff%03d.avi")
    os.rename(film(tmp_path / "a.avi", pictures), odd)
    with Video(odd) as opened:
        assert len(list(opened)) == len(pictures)


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
    monkeypatch.setattr(container.Container, "_frames", lambda self, packet: [])
    with pytest.raises(InputError, match="a.avi: "):
        Video(source)


@pytest.mark.parametrize("codec", ["png ", "mp4v"])
def test_frames_that_are_too_large_are_refused(tmp_path, pictures, monkeypatch, codec):
    source = film(tmp_path / "a.avi", pictures, codec=codec)
    monkeypatch.setattr(container, "MAX_PIXELS", 1000)
    with pytest.raises(InputError, match="a.avi: .*megapixels"):
        Video(source)


def test_frames_that_grow_are_not_read_far_ahead():
    waiting = video._Waiting(8)
    for _ in range(3):
        waiting.put_nowait(video.Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8)))
    waiting.put_nowait(video.Frame(0, 0.0, np.broadcast_to(np.uint8(0), (3000, 3000, 3))))
    assert waiting.full()
    assert [waiting.get_nowait().picture.shape[0] for _ in range(4)] == [48, 48, 48, 3000]
    waiting.put_nowait(None)
    assert not waiting.full() and waiting.get_nowait() is None


def test_frames_of_another_size_keep_it_and_too_large_ones_are_left_out(tmp_path, rng, monkeypatch):
    def png(side):
        picture = rng.integers(0, 256, (side, side, 3), np.uint8)
        return cv2.imencode(".png", picture)[1].tobytes()

    monkeypatch.setattr(container, "MAX_PIXELS", 3000)
    (tmp_path / "a.png").write_bytes(png(16) + png(80) + png(24))  # FFmpeg reads them as a stream
    with Video(str(tmp_path / "a.png")) as opened, Writer(tmp_path / "b.mp4", 10.0, opened.size) as writer:
        sides = []
        for frame in opened:
            sides.append(frame.picture.shape[0])
            writer.add(frame.picture, frame.time)
    assert (sides, opened.size, opened.damaged) == ([16, 24], (16, 16), 1)
    with Video(str(tmp_path / "b.mp4")) as written:
        assert [frame.picture.shape for frame in written] == [(16, 16, 3)] * 2


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([0, 0.5, 1, 3600, 3600.25, 3601], [0, 0.5, 1, 1.5, 1.75, 2.5]),
        ([0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 4, 5]),
        ([0, 2, 2, 2], [0, 2, 4, 6]),
        ([0, JUMP, 1e300, -1e300, None], [0, JUMP, 2 * JUMP, 3 * JUMP, 4 * JUMP]),
        ([None, None, None], [0, 0.1, 0.2]),
        ([5, 6], [5, 6]),
    ],
)
def test_where_a_clock_jumps_or_returns_time_goes_on_by_the_last_step(stamps, times):
    np.testing.assert_allclose(list(map(Clock(0.1), stamps)), times)


def test_two_recordings_in_one_file_follow_each_other(tmp_path, pictures):
    with av.open(str(tmp_path / "a.ts"), "w") as target:
        stream = target.add_stream("mpeg4", 25)
        stream.width, stream.height = SIZE
        for picture in pictures:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        target.mux(stream.encode())
    data = (tmp_path / "a.ts").read_bytes()
    (tmp_path / "a.ts").write_bytes(data + data)
    with Video(str(tmp_path / "a.ts")) as opened:
        times = [frame.time for frame in opened]
    np.testing.assert_allclose(times, np.arange(2 * len(pictures)) / 25, atol=1e-3)


def test_a_file_that_names_others_opens_none(tmp_path, pictures):
    film(tmp_path / "a.avi", pictures)
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/a.avi\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile a.avi\n")
    for name in ("list.m3u8", "list.ffconcat"):
        with pytest.raises(InputError, match=f"{name}: "):
            Video(str(tmp_path / name))


def test_a_device_or_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("/dev/zero", str(tmp_path / "pipe"), "file:///dev/zero", "x" * 300, "\0"):
        with pytest.raises(InputError):
            Video(name)


def test_a_password_is_not_shown():
    with pytest.raises(InputError) as caught:
        Video("http://user:secret@127.0.0.1:9/a")
    assert "secret" not in str(caught.value)


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


@pytest.mark.parametrize("suffix", CODECS)
def test_every_frame_is_written_once_at_its_time(tmp_path, suffix):
    with Writer(tmp_path / f"a{suffix}", 10.0, SIZE) as writer:
        for now in (0.0, 0.1, 0.5, 50.0, 50.0, 50.0001):
            writer.add(np.zeros((48, 64, 3), np.uint8), now)
    with Video(str(tmp_path / f"a{suffix}")) as opened:
        times = [frame.time for frame in opened]
    np.testing.assert_allclose(times, [0.0, 0.1, 0.5, 50.0, 50.0, 50.0], atol=2e-3)
    with av.open(str(tmp_path / f"a{suffix}")) as file:
        stamps = [packet.pts for packet in file.demux() if packet.pts is not None]
    assert len(set(stamps)) == len(stamps) == 6


@pytest.mark.parametrize("size", [(1, 1), (3, 20_000), (5000, 3000)])
def test_any_size_can_be_written(tmp_path, size):
    with Writer(tmp_path / "a.mp4", 10.0, size) as writer:
        writer.add(np.zeros((size[1], size[0], 3), np.uint8), 0.0)
    with Video(str(tmp_path / "a.mp4")) as opened:
        assert opened.size[0] * opened.size[1] <= video_writer.LARGE and max(opened.size) <= video_writer.SIDE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_a_full_disk_is_an_error(rng, tmp_path):
    (tmp_path / "a.mp4").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"), Writer(tmp_path / "a.mp4", 10.0, SIZE) as writer:
        for number in range(100):
            writer.add(rng.integers(0, 256, (48, 64, 3), np.uint8), number / 10)
