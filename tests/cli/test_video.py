"""`video` on a real clip: lines as faces change, a timeline and its picture, a video with the answers."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

import hierarchy
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.cli import video
from hierarchy.errors import InputError
from hierarchy.inference import timeline
from hierarchy.taxonomy import LEAVES, branch_of
from hierarchy.vision.video import CODECS, Video, Writer

CLIP = Path(hierarchy.__file__).parent.parent / "samples" / "clip.mp4"
FRAMES = 50


@pytest.fixture
def watch(tiny_run, logged):
    """The command, with the nets of a tiny run; gives what it said on the side."""

    def run(source=CLIP, **more):
        video.watch_video(str(source), tiny_run.name, **more)
        return logged.messages

    return run


def rows(path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_both_faces_are_followed_through_the_clip(watch, tmp_path, capsys):
    target = tmp_path / "new" / "t.csv"
    said = watch(csv=target)
    found = rows(target)
    assert Counter(row["track"] for row in found) == {"1": FRAMES, "2": FRAMES}
    assert list(found[0]) == list(timeline.COLUMNS)
    for row in found:
        shares = [float(row[leaf]) for leaf in LEAVES]
        assert sum(shares) == pytest.approx(1) and row["label"] == LEAVES[int(np.argmax(shares))]
        assert row["branch"] == branch_of(row["label"])
        assert float(row["time"]) == pytest.approx(int(row["frame"]) / 25, abs=1e-3)
    out = capsys.readouterr().out.splitlines()
    assert "face 1" in out[0] and out[-2:] == [str(target), str(target.with_suffix(".png"))]
    assert said[-1].startswith(f"{FRAMES} frames at ") and said[-1].endswith(" frames/s, 2 faces")
    assert {path.name for path in target.parent.iterdir()} == {"t.csv", "t.png"}


@pytest.mark.parametrize("suffix", CODECS)
def test_the_answers_are_drawn_on_a_video_as_long_as_the_source(watch, tmp_path, suffix):
    watch(out=tmp_path / f"o{suffix}", every=10)
    with Video(str(tmp_path / f"o{suffix}")) as drawn, Video(str(CLIP)) as source:
        assert drawn.size == source.size and drawn.rate == pytest.approx(source.rate)
        pairs = list(zip(drawn, source, strict=True))
    assert len(pairs) == FRAMES
    assert all(np.abs(a.picture.astype(int) - b.picture).max() > 100 for a, b in pairs)


def test_every_tenth_frame_is_looked_at(watch, tmp_path):
    watch(csv=tmp_path / "t.csv", every=10)
    assert {int(row["frame"]) for row in rows(tmp_path / "t.csv")} == set(range(0, FRAMES, 10))


def test_frames_of_nobody_are_no_fault(watch, tmp_path, capsys):
    source = tmp_path / "grey.avi"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"MJPG"), 25, (200, 160))
    for _ in range(5):
        writer.write(np.full((160, 200, 3), 90, np.uint8))
    writer.release()
    watch(source, csv=tmp_path / "t.csv", out=tmp_path / "o.mkv")
    assert f"{source}  no face" in capsys.readouterr().out
    assert rows(tmp_path / "t.csv") == [] and (tmp_path / "t.png").is_file()


def test_a_picture_of_the_timelines_name_stays(watch, tmp_path):
    photograph = tmp_path / "holiday.png"
    cv2.imwrite(str(photograph), np.zeros((8, 8), np.uint8))
    before = photograph.read_bytes()
    with pytest.raises(InputError, match="holiday.png: would be the timeline's picture and is another"):
        watch(csv=tmp_path / "holiday.csv")
    assert photograph.read_bytes() == before and list(tmp_path.iterdir()) == [photograph]
    for _ in range(2):
        watch(csv=tmp_path / "t.csv", every=25)


def test_a_name_is_no_formula(watch, tmp_path):
    source = tmp_path / "a$_{b$.mp4"
    shutil.copy(CLIP, source)
    watch(source, csv=tmp_path / "t.csv", every=25)
    assert (tmp_path / "t.png").is_file()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"out": "o.gif"}, "ends in .mp4"),
        ({"csv": "t.png"}, "name a .csv file"),
        ({"out": CLIP}, "is the video itself"),
        ({"csv": CLIP}, "is the video itself"),
        ({"out": "v.mp4", "csv": "v.mp4"}, "v.mp4: is --out"),
        ({"faces": "nothing"}, "no such detector"),
        ({"out": "file/o.mp4"}, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_is_begun(watch, tmp_path, monkeypatch, more, said):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    before = CLIP.stat().st_mtime_ns
    with pytest.raises(InputError, match=said):
        watch(**{name: Path(value) if name != "faces" else value for name, value in more.items()})
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and CLIP.stat().st_mtime_ns == before


def test_a_video_that_ends_early_is_said_to_be_damaged(watch, tmp_path):
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    with Video(str(CLIP)) as clip, Writer(whole, clip.rate, clip.size) as film:
        for frame in clip:
            film.add(frame.picture, frame.time)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    said = watch(cut)
    assert f"of {FRAMES}; the rest is damaged or missing" in said[-2]
    assert not any("damaged" in line for line in watch(whole)[2:])


def leave_after(monkeypatch, frames):
    step = video._Bar.step

    def interrupted(self):
        step(self)
        if self.frames == frames:
            raise KeyboardInterrupt

    monkeypatch.setattr(video._Bar, "step", interrupted)


def test_ctrl_c_keeps_what_was_answered(watch, tmp_path, monkeypatch):
    leave_after(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        watch(csv=tmp_path / "t.csv", out=tmp_path / "o.mp4")
    assert {int(row["frame"]) for row in rows(tmp_path / "t.csv")} == set(range(7))
    with Video(str(tmp_path / "o.mp4")) as drawn:
        assert len(list(drawn)) == 7


def test_ctrl_c_is_how_a_camera_ends(watch, tmp_path, monkeypatch):
    leave_after(monkeypatch, 7)
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: capture(str(CLIP)))
    watch("0", csv=tmp_path / "t.csv")
    assert rows(tmp_path / "t.csv") and (tmp_path / "t.png").is_file()


def test_a_long_timeline_is_drawn_with_those_seen_longest(tmp_path):
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, timeline.COLUMNS)
        writer.writeheader()
        for number in range(3000):
            shares = dict.fromkeys(LEAVES, 0.1) | {LEAVES[0]: 0.5}
            writer.writerow({"frame": number, "time": number / 25, "track": number // 300 + 1, **shares})
    figure = timeline.drawn(path, "film")
    assert f"the {timeline.SHOWN} faces seen longest, of 10" in figure.get_suptitle()
    assert len(figure.axes) == timeline.SHOWN
    line = figure.axes[0].get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), 0.5)
    assert len(line.get_xdata()) <= timeline.POINTS


def test_in_python_frames_and_faces_come_together(tiny_run):
    model = HierarchicalClassifier.load(tiny_run.name)
    told = list(model.predict_video(CLIP))
    assert len(told) == FRAMES and all(len(seen) == 2 for _, seen in told)
    assert [frame.number for frame, _ in told] == list(range(FRAMES))
