"""`video` on a real clip: lines as labels change, a timeline and its plot, an annotated video."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import typer
from rich.progress import Progress

import hierarchy
from hierarchy import routing
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.cli import video
from hierarchy.errors import InputError
from hierarchy.inference import timeline
from hierarchy.inference.video import follow
from hierarchy.taxonomy import VALENCE, colour
from hierarchy.vision.align import DetectedFace
from hierarchy.vision.detectors import create_detector
from hierarchy.vision.tracker import Tracker
from hierarchy.vision.video import Frame, SourceLost, Video
from hierarchy.vision.video_writer import CODECS, Writer

CLIP = Path(hierarchy.__file__).parent.parent / "samples" / "clip.mp4"
FRAMES = 50
LEAVES = VALENCE.leaves


@pytest.fixture
def watch(tiny_run, logged):
    """The command, with the nets of a tiny run; returns its log messages."""

    def run(source=CLIP, **options):
        video.video(SimpleNamespace(obj=None), str(source), tiny_run.name, **options)
        return logged.messages

    return run


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A video of ten times the clip's frames."""
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    with Video(str(CLIP)) as clip, Writer(path, clip.rate, clip.size) as film:
        for number, frame in enumerate(list(clip) * 10):
            film.add(frame.picture, number / clip.rate)
    return path


def rows(path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_both_faces_are_followed_through_the_clip(watch, tmp_path, capsys):
    target = tmp_path / "new" / "t.csv"
    messages = watch(csv=target)
    table = rows(target)
    assert Counter(row["track"] for row in table) == {"1": FRAMES, "2": FRAMES}
    assert tuple(table[0]) == timeline.columns(VALENCE)
    for row in table:
        shares = [float(row[leaf]) for leaf in LEAVES]
        assert sum(shares) == pytest.approx(1) and row["label"] == LEAVES[int(np.argmax(shares))]
        assert row["branch"] == VALENCE.branch_of(row["label"])
        assert float(row["time"]) == pytest.approx(int(row["frame"]) / 25, abs=1e-3)
    out = capsys.readouterr().out.splitlines()
    assert "face 1" in out[0] and out[-2:] == [str(target), str(target.with_suffix(".png"))]
    assert messages[-1].startswith(f"{FRAMES} frames at ") and messages[-1].endswith(" frames/s, 2 faces")
    assert {path.name for path in target.parent.iterdir()} == {"t.csv", "t.png"}


@pytest.mark.parametrize("suffix", CODECS)
def test_the_annotated_video_is_as_long_as_the_source(watch, tmp_path, suffix):
    watch(out=tmp_path / f"o{suffix}", frame_step=10)
    with Video(str(tmp_path / f"o{suffix}")) as drawn, Video(str(CLIP)) as source:
        assert drawn.size == source.size and drawn.rate == pytest.approx(source.rate)
        pairs = list(zip(drawn, source, strict=True))
    assert len(pairs) == FRAMES
    assert all(np.abs(a.picture.astype(int) - b.picture).max() > 100 for a, b in pairs)


def test_every_tenth_frame_is_processed(watch, tmp_path):
    watch(csv=tmp_path / "t.csv", frame_step=10)
    assert {int(row["frame"]) for row in rows(tmp_path / "t.csv")} == set(range(0, FRAMES, 10))


def test_a_video_without_faces_gives_an_empty_timeline(watch, tmp_path, capsys):
    source = tmp_path / "grey.avi"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"MJPG"), 25, (200, 160))
    for _ in range(5):
        writer.write(np.full((160, 200, 3), 90, np.uint8))
    writer.release()
    watch(source, csv=tmp_path / "t.csv", out=tmp_path / "o.mkv")
    assert f"{source}  no face" in capsys.readouterr().out
    assert rows(tmp_path / "t.csv") == [] and (tmp_path / "t.png").is_file()


def test_an_image_of_the_plots_name_is_not_overwritten(watch, tmp_path):
    photograph = tmp_path / "holiday.png"
    cv2.imwrite(str(photograph), np.zeros((8, 8), np.uint8))
    before = photograph.read_bytes()
    with pytest.raises(InputError, match="holiday.png: "):
        watch(csv=tmp_path / "holiday.csv")
    assert photograph.read_bytes() == before and list(tmp_path.iterdir()) == [photograph]
    for _ in range(2):
        watch(csv=tmp_path / "t.csv", frame_step=25)


def test_a_file_name_is_not_a_formula(watch, tmp_path):
    source = tmp_path / "a$_{b$.mp4"
    shutil.copy(CLIP, source)
    watch(source, csv=tmp_path / "t.csv", frame_step=25)
    assert (tmp_path / "t.png").is_file()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"out": "o.gif"}, "o.gif: "),
        ({"csv": "t.png"}, "t.png: "),
        ({"csv": "portrait.jpg"}, "portrait.jpg: "),
        ({"out": CLIP}, "clip.mp4: "),
        ({"csv": CLIP}, "clip.mp4: "),
        ({"out": "same.mp4"}, "same.mp4: .*the video itself"),
        ({"csv": "link.csv"}, "link.csv: .*the video itself"),
        ({"out": "o.mp4", "csv": "o.csv"}, "o.csv: .*--out"),
        ({"detector": "nothing"}, "--detector nothing: "),
        ({"out": "file/o.mp4"}, "file/o.mp4: "),
    ],
)
def test_invalid_options_are_refused_before_anything_is_written(watch, tmp_path, monkeypatch, options, part):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    os.link(CLIP, "same.mp4")
    os.symlink(CLIP, "link.csv")
    os.symlink("o.mp4", "o.csv")
    names, before = set(os.listdir()), CLIP.stat().st_mtime_ns
    with pytest.raises(InputError, match=part):
        watch(**{name: value if name == "detector" else Path(value) for name, value in options.items()})
    assert set(os.listdir()) == names and CLIP.stat().st_mtime_ns == before


def test_a_video_that_ends_early_is_reported(watch, tmp_path):
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    with Video(str(CLIP)) as clip, Writer(whole, clip.rate, clip.size) as film:
        for frame in clip:
            film.add(frame.picture, frame.time)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    lines = watch(cut)
    assert str(cut) in lines[-2] and f"of {FRAMES}" in lines[-2]
    before = len(lines)
    assert not any(str(whole) in line for line in watch(whole)[before:])


def interrupt_after(monkeypatch, frames):
    update = Progress.update

    def interrupted(self, task, **changes):
        update(self, task, **changes)
        if self.tasks[task].completed == frames:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "update", interrupted)


def test_ctrl_c_keeps_the_results_until_then(watch, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 7)
    with pytest.raises(KeyboardInterrupt):
        watch(csv=tmp_path / "t.csv", out=tmp_path / "o.mp4")
    assert {int(row["frame"]) for row in rows(tmp_path / "t.csv")} == set(range(7))
    with Video(str(tmp_path / "o.mp4")) as drawn:
        assert len(list(drawn)) == 7


def test_ctrl_c_ends_a_camera_regularly(watch, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 7)
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: capture(str(CLIP)))
    watch("0", csv=tmp_path / "t.csv")
    assert rows(tmp_path / "t.csv") and (tmp_path / "t.png").is_file()


def test_the_loss_of_a_camera_is_exit_1_and_keeps_the_results(watch, tmp_path, monkeypatch, logged):
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: capture(str(CLIP)))
    with pytest.raises(typer.Exit) as caught:
        watch("0", csv=tmp_path / "t.csv", reconnect=0)
    assert caught.value.exit_code == 1 and "camera 0: " in logged.messages[-1]
    assert rows(tmp_path / "t.csv") and (tmp_path / "t.png").is_file()


class LostTwice:
    """A source that is lost from second 1 to 5, and at its end."""

    rate, size, name, source, ahead = 10.0, (64, 48), "camera", "0", 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        picture = np.zeros((48, 64, 3), np.uint8)
        yield Frame(0, 1.0, picture)
        yield Frame(7, 5.0, picture, (1.0, 5.0))
        raise SourceLost("camera")


def test_the_timeline_marks_a_gap(tmp_path, other_tree):
    face = DetectedFace([0, 0, 40, 40], 0.9, np.zeros((48, 48), np.uint8))
    joint = np.full((1, len(other_tree.leaves)), 1 / len(other_tree.leaves))
    tracker = Tracker(lambda grey: [face], lambda pixels: routing.from_flat(other_tree, joint))
    table = tmp_path / "t.csv"
    end = follow(LostTwice(), tracker, other_tree, out=tmp_path / "o.mp4", table=table)
    assert isinstance(end, SourceLost)
    read = [(row["frame"], row["time"], row["track"], row["label"]) for row in rows(table)]
    label = read[0][-1]
    lost = [("7", "1.0", "", timeline.GAP), ("7", "5.0", "", timeline.GAP)]
    assert read == [("0", "1.0", "1", label), *lost, ("7", "5.0", "2", label)]
    (axes, _) = timeline.drawn(table, "camera").axes
    assert [patch.get_x() for patch in axes.patches] == [1.0]
    with Video(str(tmp_path / "o.mp4")) as drawn:
        assert len(list(drawn)) == 2


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_keeps_the_results_until_then_and_leaves_nothing_else(tmp_path, long, end):
    program = Path(hierarchy.__file__).parent.parent / "tf_model.py"
    command = [sys.executable, program, "video", long, "--out", "o.mp4", "--csv", "t.csv"]
    env = {name: value for name, value in os.environ.items() if name != "HIERARCHY_HOME"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout.readline()  # the first face
        child.send_signal(end)
        _, errors = child.communicate()
    assert child.returncode == 128 + end and b"Traceback" not in errors
    assert {path.name for path in tmp_path.iterdir()} == {"o.mp4", "t.csv", "t.png"}
    with Video(str(tmp_path / "o.mp4")) as drawn:
        assert 0 < len(list(drawn)) < 10 * FRAMES


def test_a_long_timeline_shows_the_longest_tracks(tmp_path, other_tree):
    path, leaves = tmp_path / "t.csv", other_tree.leaves
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, timeline.columns(other_tree))
        writer.writeheader()
        for number in range(3000):
            shares = dict.fromkeys(leaves, 0.1) | {leaves[0]: 0.5}
            writer.writerow({"frame": number, "time": number / 25, "track": number // 300 + 1, **shares})
    figure = timeline.drawn(path, "film")
    assert f"{timeline.SHOWN} faces" in figure.get_suptitle() and "of 10" in figure.get_suptitle()
    assert len(figure.axes) == timeline.SHOWN
    lines = figure.axes[0].get_lines()
    assert [(line.get_label(), line.get_color()) for line in lines] == [
        (leaf, colour(leaf)) for leaf in leaves
    ]
    line = lines[0]
    np.testing.assert_allclose(line.get_ydata(), 0.5)
    assert len(line.get_xdata()) <= timeline.POINTS


def test_in_python_frames_and_faces_come_together(tiny_run):
    model = HierarchicalClassifier.load(tiny_run.name)
    frames = list(model.predict_video(CLIP))
    assert len(frames) == FRAMES and all(len(faces) == 2 for _, faces in frames)
    assert [frame.number for frame, _ in frames] == list(range(FRAMES))


def test_a_timeline_has_the_columns_of_the_tree(tmp_path, other_tree):
    def predictions(pixels):
        joint = np.full((len(pixels), len(other_tree.leaves)), 1 / len(other_tree.leaves))
        return routing.from_flat(other_tree, joint)

    target = tmp_path / "t.csv"
    tracker = Tracker(create_detector(), predictions)
    follow(Video(str(CLIP)), tracker, other_tree, out=tmp_path / "o.mp4", table=target, frame_step=25)
    assert tuple(rows(target)[0]) == timeline.columns(other_tree) and len(rows(target)) == 4
    assert {row["branch"] for row in rows(target)} <= set(other_tree.branches)
    assert target.with_suffix(".png").is_file() and (tmp_path / "o.mp4").is_file()
