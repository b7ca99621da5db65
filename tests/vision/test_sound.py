"""The sound of a video stays beside its drawn frames; a track that cannot be copied costs no frame."""

from fractions import Fraction

import av
import numpy as np
import pytest

from hierarchy.errors import InputError
from hierarchy.inference.video import follow
from hierarchy.taxonomy import VALENCE
from hierarchy.vision.sound import Sound
from hierarchy.vision.tracker import Tracker
from hierarchy.vision.video import Video

RATE, FRAMES = 48_000, 25


def film(path, codec="aac", late=0.0):
    """A second of grey frames, with a tone where a codec is given; `late` is seconds before both."""
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", 25, {"bf": "0"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = file.add_stream(codec, RATE, layout="mono") if codec else None
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 8 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = round(1000 * (number / 25 + late)), Fraction(1, 1000)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if audio:
            tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
            frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], "s16", "mono")
            frame.sample_rate, frame.pts = RATE, round(RATE * late)
            form = audio.codec_context.format
            resampler = av.AudioResampler(form, "mono", RATE, audio.codec_context.frame_size or 1024)
            for part in (*resampler.resample(frame), *resampler.resample(None)):
                file.mux(audio.encode(part))
            file.mux(audio.encode(None))
    return path


def drawn(source, out):
    """The number of frames of `--out`."""
    nobody = Tracker(lambda grey: [], None)
    follow(Video(str(source)), nobody, VALENCE, out=out)
    with av.open(str(out)) as file:
        return sum(1 for _ in file.decode(video=0))


def sound(out):
    """When the sound of a video begins, and its length, in seconds."""
    with av.open(str(out)) as file:
        begins, samples = None, 0
        for frame in file.decode(audio=0):
            begins = float(frame.time) if begins is None else begins
            samples += frame.samples
    return begins, samples / RATE


@pytest.mark.parametrize(
    ("source", "codec", "out"),
    [
        ("a.mp4", "aac", "o.mp4"),
        ("a.ts", "aac", "o.mkv"),
        ("a.mkv", "pcm_s16le", "o.mkv"),
        ("a.mkv", "libopus", "o.webm"),
        ("a.mkv", "libmp3lame", "o.mp4"),
    ],
)
def test_the_sound_is_kept(tmp_path, logged, source, codec, out):
    assert drawn(film(tmp_path / source, codec), tmp_path / out) == FRAMES and not logged.messages
    begins, seconds = sound(tmp_path / out)
    assert begins == pytest.approx(0, abs=0.05) and seconds == pytest.approx(1, abs=0.08)


def test_frames_and_sound_begin_together_whatever_the_clock_of_the_file(tmp_path):
    assert drawn(film(tmp_path / "a.mkv", late=7.0), tmp_path / "o.mkv") == FRAMES
    begins, seconds = sound(tmp_path / "o.mkv")
    assert begins == pytest.approx(0, abs=0.05) and seconds == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize(("codec", "out"), [(None, "o.mp4"), ("aac", "o.webm"), ("flac", "o.webm")])
def test_a_track_that_is_missing_or_has_no_place_is_one_line(tmp_path, logged, codec, out):
    source = film(tmp_path / "a.mkv", codec)
    assert drawn(source, tmp_path / out) == FRAMES
    with av.open(str(tmp_path / out)) as file:
        assert not file.streams.audio
    (line,) = logged.messages
    assert str(source) in line and "sound" in line


@pytest.mark.parametrize("kind", ["a.ts", "a.mkv"])
def test_a_broken_track_costs_no_frame(tmp_path, logged, rng, kind):
    source = film(tmp_path / kind)
    data = bytearray(source.read_bytes())
    places = [place for place in range(len(data) // 2, len(data) - 188, 47)]  # the sound comes last
    for place in places:
        data[place : place + 24] = rng.bytes(24)
    source.write_bytes(data)
    whole = len(list_frames(source))
    assert drawn(source, tmp_path / "o.mp4") == whole > 0 and len(logged.messages) <= 1


def list_frames(source):
    with Video(str(source)) as video:
        return list(video)


def test_a_failing_copy_ends_the_sound_only(tmp_path, logged, monkeypatch):
    packets = Sound._next

    def broken(self):
        if self.last is not None and self.last > 10_000:
            raise av.error.InvalidDataError(1, "broken")
        return packets(self)

    monkeypatch.setattr(Sound, "_next", broken)
    assert drawn(film(tmp_path / "a.mp4"), tmp_path / "o.mp4") == FRAMES
    assert 0.1 < sound(tmp_path / "o.mp4")[1] < 0.5
    assert len(logged.messages) == 1 and str(tmp_path / "a.mp4") in logged.messages[0]


@pytest.mark.parametrize("source", ["0", "rtsp://127.0.0.1/camera", "nowhere.mp4"])
def test_cameras_and_streams_have_none(source):
    with pytest.raises(InputError):
        Sound(source)
