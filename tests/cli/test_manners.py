"""The command line's manners: nothing of the user's is overwritten, names are escaped, ends are clean."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import Result
from PIL import Image

import tf_model
from hierarchy.data import download
from hierarchy.inference import annotate

MAIN = Path(tf_model.__file__)


@pytest.fixture
def pictures(tmp_path, few_sketches) -> list[Path]:
    """Three crops."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    files = [folder / name for name in ("a.png", "b.png", "c.png")]
    for file, pixels in zip(files, few_sketches.pixels, strict=False):
        Image.fromarray(pixels).save(file)
    return files


def errors_of(result: Result) -> list[str]:
    """Lines on stderr without that on the drawn faces of the run."""
    return [line for line in result.err.splitlines() if not line.startswith("SKETCH: run tiny")]


def refused(result: Result, *parts: str) -> None:
    """One line of error with all parts in it, and nothing else."""
    assert result.code == 2 and result.out == ""
    (line,) = errors_of(result)
    assert line.startswith("error: ") and all(part in line for part in parts)


@pytest.mark.parametrize("made", ["link", "hard link", "glob", "folder"])
def test_no_name_of_an_input_is_taken_for_the_csv(command, tiny_run, pictures, made):
    before = {path: path.read_bytes() for path in pictures}
    target = pictures[0].with_suffix(".csv")
    paths = [pictures[0].parent / "*.png" if made == "glob" else pictures[0].parent]
    target.symlink_to(pictures[0]) if made == "link" else target.hardlink_to(pictures[0])
    refused(command("predict", *paths, "--run", "tiny", "--csv", target), f"--csv {target}: ")
    refused(
        command("predict", *paths, "--run", "tiny", "--csv", pictures[1]), f"--csv {pictures[1]}: ", ".csv"
    )
    assert {path: path.read_bytes() for path in pictures} == before


def test_what_is_left_out_is_the_last_line(command, tiny_run, pictures):
    for name in ("a.mov", "b.mov", "notes"):
        (pictures[0].parent / name).touch()
    result = command("predict", pictures[0].parent, "--run", "tiny")
    assert result.code == 0 and "(.mov 2, no suffix 1)" in result.err.splitlines()[-1]


def test_a_fault_is_one_line_and_has_exit_code_1(command, tiny_run, pictures, monkeypatch):
    monkeypatch.setattr(annotate, "_draw", lambda *_: 1 / 0)
    words = ("predict", *pictures, "--run", "tiny", "--save", pictures[0].parent / "drawn")
    result = command(*words)
    assert result.code == 1 and len(result.out.splitlines()) == len(pictures)
    assert [line.split(": ")[:2] for line in errors_of(result)] == [["error", str(path)] for path in pictures]
    assert "Traceback" in command(*words, "--debug").err
    monkeypatch.setattr(download, "get", lambda _: 1 / 0)
    result = command("data", "get")
    assert result.code == 1 and len(result.err.splitlines()) == 1
    result = command("--debug", "data", "get")
    assert result.code == 1 and "Traceback" in result.err and "ZeroDivisionError" in result.err


def test_a_clock_that_archives_cannot_store_is_named(command, own_home, monkeypatch):
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(0))
    refused(command("train", "--data", "sketch"), "clock", "1980")
    assert not list(own_home.iterdir())


def test_names_in_errors_are_escaped(command, tiny_run, tmp_path):
    bad = tmp_path / "a\x1b[31m\n\u202e.png"
    bad.touch()
    refused(command("predict", bad, "--run", "tiny"), r"a\x1b[31m\n\u202e.png")


@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "-1"])
def test_the_minimum_confidence_is_a_number(command, tiny_run, pictures, value):
    refused(command("predict", pictures[0], "--run", "tiny", "--min-confidence", value), "--min-confidence")


@pytest.mark.parametrize("roi", ["9" * 5000 + ",0,1,1", "0,0,0,0", "-1,0,5,5", "1e3,0,1,1", "nan,0,1,1"])
def test_a_rectangle_that_is_none_is_refused(command, tiny_run, pictures, roi):
    refused(command("predict", pictures[0], "--run", "tiny", "--roi", roi), "--roi")


WAITING = f"""
import sys
sys.path.insert(0, {str(MAIN.parent)!r})
import tf_model
from hierarchy.data import images

def read(*_):
    print("ready", flush=True)
    sys.stdin.read()
    raise images.InputError("closed")

images.read = read
sys.exit(tf_model.main())
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGHUP")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_signals_leave_no_temporary_file(tiny_run, pictures, tmp_path, number, code):
    target = tmp_path / "out" / "a.csv"
    child = subprocess.Popen(
        [sys.executable, "-c", WAITING, "predict", *pictures, "--run", "tiny", "--csv", target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"ready\n" and len(list(target.parent.iterdir())) == 1
    for _ in range(1 if number == signal.SIGINT else 3):  # the others do not disturb its cleaning up
        child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == code and b"Traceback" not in err
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("words", ["--help", "--version", "predict --json-schema", "train --recipe list"])
def test_a_closed_stdout_ends_quietly(words):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, MAIN, *words.split()],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, "")


def child(script: str, *words: object, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A command line of the shell, with the words as its arguments."""
    line = ["sh", "-c", script, "sh", *map(str, words)]
    variables = {**os.environ, **env}
    return subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["predict samples/portrait.jpg", "video samples/clip.mp4 --csv a.csv"])
def test_without_a_stderr_faces_are_answered(words, tmp_path):
    (tmp_path / "samples").symlink_to(MAIN.with_name("samples"))
    command = (sys.executable, MAIN, *words.split())
    done = child('"$@" 2>&-', *command, folder=tmp_path, HIERARCHY_HOME=str(MAIN.parent))
    assert done.returncode == 0 and ("face at" in done.stdout or (tmp_path / "a.csv").stat().st_size)


def test_a_working_folder_that_is_gone_is_named(tmp_path):
    (tmp_path / "gone").mkdir()
    portrait, home = MAIN.with_name("samples") / "portrait.jpg", str(MAIN.parent)
    words = ("predict", portrait, "--csv", "out.csv")
    script = 'cd gone && rmdir ../gone && "$@"'
    done = child(script, sys.executable, MAIN, *words, folder=tmp_path, HIERARCHY_HOME=home)
    assert done.returncode == 2 and "out.csv" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_home_folder_whose_name_is_too_long_is_refused(command, pictures, monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", "a" * 5000)
    result = command("predict", pictures[0])
    refused(result, "$HIERARCHY_HOME")
    assert len(result.err) < 200


def test_only_names_that_a_run_can_have_are_listed(command, tiny_run, own_home):
    odd = own_home / "results" / "\033[31mred\nname"
    odd.mkdir()
    (odd / "recipe.json").write_text("{}")
    assert command("runs", "list").out == "tiny\n"


def test_a_seed_is_a_short_number(command):
    refused(command("train", "--data", "sketch", "--run", "x", "--seed", "9" * 5000), "--seed")
    usage = command("tune", "--node", "flat", "--trials", "9" * 5000)  # the message is click's
    refused(usage, "--trials")
    assert len(usage.err) < 4100
