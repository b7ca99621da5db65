"""What all commands share: version, loudness, file of options, completion; and progress, regions, schema."""

import errno
import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import typer.main
from commands import Result
from PIL import Image

import hierarchy
import tf_model
from hierarchy.cli import application, progress
from hierarchy.cli.shared import SHARED
from hierarchy.errors import DISTRIBUTION
from hierarchy.inference.output_schema import face_schema
from hierarchy.inference.predictor import FacePrediction

MAIN = Path(tf_model.__file__)
SAMPLES = MAIN.parent / "samples"
PORTRAIT = SAMPLES / "portrait.jpg"
LONG = "a" * 300  # more bytes than a name may have


@pytest.fixture(autouse=True)
def shipped(own_home, monkeypatch):
    """The shipped runs; read only."""
    monkeypatch.setenv("HIERARCHY_HOME", str(MAIN.parent))


@pytest.fixture
def config(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "options.toml"
        file.write_text(text)
        return file

    return write


def refused(result: Result, *parts: str) -> None:
    (line,) = result.err.splitlines()
    assert result.code == 2 and line.startswith("error: ") and all(part in line for part in parts), line


def every_command() -> list[str]:
    group = typer.main.get_command(application.application())
    return [
        f"{name} {below}".strip()
        for name, command in group.commands.items()
        for below in (getattr(command, "commands", None) or ("",))
    ]


@pytest.mark.parametrize("words", ["--version", "-q --version"])
def test_the_version_is_printed(command, words):
    result = command(*words.split())
    assert result.code == 0 and not result.err
    assert result.out == f"{DISTRIBUTION} {hierarchy.__version__}\n"


def test_the_version_needs_no_command_line():
    script = "import sys; sys.argv[1:] = ['--version']; from hierarchy.cli.main import main; main(); "
    names = "print([name for name in sys.modules if name in ('typer', 'typing', 'hierarchy.errors')])"
    done = subprocess.run([sys.executable, "-S", "-c", script + names], cwd=MAIN.parent, capture_output=True)
    assert done.stdout.decode().splitlines()[1:] == ["[]"], done.stderr


def test_no_folder_for_temporary_files_is_no_fault_of_ours(logged):
    reason = "No usable temporary directory found"
    assert application._failed(FileNotFoundError(errno.ENOENT, reason)) == 2 and reason in logged.text


@pytest.mark.parametrize(("code", "ends"), [(130, True), (143, True), (2, False)])
def test_after_a_signal_no_thread_is_waited_for(code, ends):
    script = f"""
import atexit, os, threading
from hierarchy.cli import main
held = threading.Lock()
held.acquire()
threading.Thread(target=held.acquire).start()
atexit.register(print, "cleaned")
threading.Thread(target=lambda: held.release() if {not ends} else None).start()
main.end({code})
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=MAIN.parent, capture_output=True, timeout=100)
    assert (done.returncode, done.stdout) == (code, b"cleaned\n")


@pytest.mark.parametrize("words", every_command())
def test_every_command_has_the_shared_options(command, words):
    text = command(*words.split(), "--help").out
    assert all(f"--{name}" in text for name in SHARED)


@pytest.mark.parametrize("before", [True, False])
def test_quiet_and_verbose_change_the_messages(command, before):
    def run(flag: str) -> Result:
        return command(*([flag, "predict", PORTRAIT] if before else ["predict", PORTRAIT, flag]))

    usual, loud, quiet = command("predict", PORTRAIT), run("--verbose"), run("-q")
    assert usual.out == loud.out == quiet.out
    assert "engine" in loud.err and not quiet.err and not usual.err
    level = logging.getLogger("hierarchy").level
    assert level == logging.WARNING
    assert command("-q", "predict", "nowhere.png").err.startswith("error: ")


def test_options_come_from_a_file_and_the_command_line_wins(command, config):
    file = config('engine = "onnx-float16"\n[predict]\njson = true\nmin_confidence = 1\n[train]\nbogus = 1\n')
    assert json.loads(command("predict", PORTRAIT, "--config", file).out)["label"] is None
    (line,) = command("predict", PORTRAIT, "--config", file, "--min-confidence", "0").out.splitlines()
    assert json.loads(line)["label"]


def test_lists_and_tables_of_groups_come_from_a_file(command, config, own_home, monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(own_home))
    file = config('[train]\nset = ["fit.epoch=1"]\ndata = "sketch"\n[data.audit]\ndata = "nowhere"\n')
    refused(command("train", "--config", file), "'fit.epoch'")
    refused(command("data", "audit", "--config", file), "nowhere")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bogus = 1", "bogus"),
        ("[predict]\nbogus = 1", "bogus"),
        ("[predict]\npaths = 'a.png'", "paths"),
        ("[predict]\nconfig = 'a.toml'", "config"),
        ("[predict.json]\na = 1", "json"),
        ("[paint]\nbogus = 1", "[paint]"),
        ("json = 3", "json"),
        ("run = true", "run"),
        ("run = ['a', 'b']", "run"),
        ("run = 1979-05-27", "run"),
        ("min-confidence = 2", "--min-confidence"),
        ("min-confidence = 'much'", "--min-confidence"),
        ("x = ", "TOML"),
        ("run = 'nope'", "'nope'"),
        ('csv = "a\\u0000.csv"', "csv"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(command, config, text, part):
    refused(command("predict", PORTRAIT, "--config", config(text)), part)


@pytest.mark.parametrize("name", ["none.toml", ".", "fifo", "/dev/zero", "a" * 300])
def test_a_file_that_cannot_be_read_is_named(command, tmp_path, name):
    os.mkfifo(tmp_path / "fifo")
    refused(command("predict", PORTRAIT, "--config", tmp_path / name), str(tmp_path / name))


@pytest.mark.parametrize(
    "words",
    [
        ("predict", LONG),
        ("predict", PORTRAIT, "--save", LONG),
        ("predict", PORTRAIT, "--csv", f"{LONG}.csv"),
        ("predict", PORTRAIT, "--csv", f"{PORTRAIT}/x.csv"),
        ("batch", PORTRAIT, "--out", LONG),
        ("video", SAMPLES / "clip.mp4", "--csv", f"{LONG}.csv"),
        ("train", "--data", LONG),
        ("tune", "--node", "flat", "--data", "sketch", "--storage", LONG),
        ("serve", "--token-file", LONG),
    ],
)
def test_a_path_that_cannot_be_is_named(command, words):
    refused(command(*words), str(words[-1]).removesuffix(".csv"))


@pytest.mark.parametrize("words", [("predict", PORTRAIT), ("runs", "list"), ("evaluate",)])
def test_a_home_that_cannot_be_is_named(command, monkeypatch, words):
    monkeypatch.setenv("HIERARCHY_HOME", LONG)
    refused(command(*words), LONG)


def test_a_long_key_gives_no_long_line(command, config):
    result = command("predict", PORTRAIT, "--config", config(f"{'k' * 20_000} = 1"))
    refused(result, "kkk", "json-schema")
    assert len(result.err) < 10_000


def test_shells_complete_commands_and_options():
    script = "import sys; sys.argv = ['two-tier']; from hierarchy.cli.main import main; main()"
    for typed, word in (("two-tier pre", "predict"), ("two-tier predict --json-s", "--json-schema")):
        environment = {"_TWO_TIER_COMPLETE": "complete_bash", "COMP_WORDS": typed}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **environment, "COMP_CWORD": str(len(typed.split()) - 1)},
            cwd=MAIN.parent,
            capture_output=True,
            text=True,
        )
        assert done.stdout.split() == [word], done.stderr


@pytest.fixture
def blank(tmp_path) -> Path:
    """A picture without a face."""
    file = tmp_path / "blank.png"
    Image.new("L", (200, 150), 128).save(file)
    return file


def test_the_schema_is_that_of_the_lines(command, blank):
    schema = json.loads(command("predict", "--json-schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    faces = [PORTRAIT, SAMPLES / "sketch_happy.png", blank]
    lines = command("predict", *faces, "--json").out.splitlines()
    lines += command("predict", *faces, "--json", "--top1-only").out.splitlines()
    lines += command("predict", *faces, "--json", "--min-confidence", 1).out.splitlines()
    for line in lines:
        jsonschema.validate(json.loads(line), schema)
        assert list(json.loads(line)) == schema["required"]
    (none,) = {line for line in lines if str(blank) in line}
    assert json.loads(none)["face"] is json.loads(none)["confidence"] is None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(lines[0]), "confidence": "high"}, schema)


def test_the_documentation_holds_the_schema_and_a_file_of_options(command, config):
    page = (MAIN.parent / "docs" / "command-line.md").read_text()
    assert json.loads(re.search(r"```json\n(.*?)```", page, re.S)[1]) == face_schema()
    file = config(re.search(r"```toml\n(.*?)```", page, re.S)[1])
    (example,) = re.findall(r"python tf_model.py (predict .+)", page)
    (line,) = command(*example.replace("samples/", f"{SAMPLES}/").split(), "--config", file).out.splitlines()
    assert json.loads(line)["label"]


def test_the_schema_has_every_field_of_a_prediction():
    assert set(face_schema()["properties"]) == set(FacePrediction.__dataclass_fields__) - {
        "crop",
        "none",
        "landmarks",
    }


def test_a_video_is_referred_to_its_command_and_the_others_are_predicted(command):
    result = command("predict", SAMPLES / "clip.mp4", PORTRAIT)
    assert result.code == 2 and str(PORTRAIT) in result.out
    (line,) = result.err.splitlines()
    assert f"{SAMPLES / 'clip.mp4'}: " in line and "video" in line


def test_a_region_is_searched_only_and_boxes_are_of_the_whole_image(command, tmp_path):
    whole = json.loads(command("predict", PORTRAIT, "--json").out)
    left, top, width, height = whole["face"]
    around = f"{left - 60},{top - 60},{width + 120},{height + 120}"
    inside = json.loads(command("predict", PORTRAIT, "--json", "--roi", around).out)
    assert all(abs(a - b) < 25 for a, b in zip(inside["face"], whole["face"], strict=True))
    assert json.loads(command("predict", PORTRAIT, "--json", "--roi", "0,0,120,110").out)["face"] is None


@pytest.mark.parametrize("roi", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,0,5", "0,0,5,0", "-1,0,5,5", ""])
def test_what_is_no_region_is_refused(command, roi):
    refused(command("predict", PORTRAIT, f"--roi={roi}"), f"--roi {roi}")
    refused(command("video", SAMPLES / "clip.mp4", f"--roi={roi}"), f"--roi {roi}")


def test_a_region_outside_is_refused_with_the_image(command, tmp_path):
    refused(command("predict", PORTRAIT, "--roi", "0,0,9000,10"), f"{PORTRAIT}: ", "--roi")
    out = tmp_path / "out.csv"
    refused(command("video", SAMPLES / "clip.mp4", "--roi", "0,0,9000,10", "--csv", out), "--roi")
    assert not list(tmp_path.iterdir())


def test_the_region_of_a_video_is_searched_only(command):
    assert "no face" in command("video", SAMPLES / "clip.mp4", "--roi", "0,0,101,101", "--frame-step", 20).out


@pytest.fixture
def folder(tmp_path, few_sketches) -> Path:
    for number, pixels in enumerate(few_sketches.pixels[:20]):
        Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
    return tmp_path


def test_folders_have_lines_of_progress_where_stderr_is_no_terminal(command, folder, monkeypatch):
    assert not command("predict", folder).err  # it is over before the first line is due
    monkeypatch.setattr(progress, "EVERY", 0.0)
    lines = command("predict", folder).err.splitlines()
    assert lines and all("images, " in line and "faces/s" in line for line in lines)
    assert not command("predict", folder, "--quiet").err and not command("predict", PORTRAIT).err


def test_time_left_is_said_when_the_number_is_known():
    with progress.ImageProgress(lambda: 30) as counted:
        counted.total = 30
        assert list(counted.read(range(10))) == list(range(10))
        assert "10 of 30 images" in counted._line(5.0, 2.0) and "4 s left" in counted._line(5.0, 2.0)


def test_folders_have_a_bar_on_a_terminal_and_results_are_unchanged(folder):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb") as terminal:
        done = subprocess.run(
            [sys.executable, MAIN, "predict", folder],
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )
        assert done.returncode == 0 and len(done.stdout.splitlines()) == 20
        shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "faces/s" in shown and "\n\n" not in done.stdout
