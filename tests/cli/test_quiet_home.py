"""Commands talk to nobody, need no home folder, and no library writes on stderr."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tf_model

WATCH = """
import sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        print("talked:", event, arguments, file=sys.stderr)

sys.addaudithook(watch)
"""
ROOT = Path(tf_model.__file__).parent
TRAINING = (
    *("train", "--data", "sketch", "--node", "flat", "--run", "x", "--recipe", "sketch"),
    *("--set", "fit.epochs=1", "--set", "fit.samples_per_class=8", "--set", "net.stages=[[2]]"),
)
COMMANDS = {
    "predict": ("predict", ROOT / "samples" / "astronaut.jpg"),
    "plot": ("video", ROOT / "samples" / "clip.mp4", "--csv", "faces.csv", "--frame-step", "20"),
    "runs": ("runs", "list"),
    "train": TRAINING,
    "mirror": TRAINING,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_connects_to_nobody_and_needs_no_home_folder(tmp_path, own_home, name):
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    own = ("XDG_", "KERAS_", "MPL", "TORCH")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    (temporary := tmp_path / "tmp").mkdir()
    places = {"HOME": f"{os.devnull}/home", "TMPDIR": str(temporary)}
    program = ["-m", "pt_files"] if name == "mirror" else [tf_model.__file__]
    (own_home / "results").mkdir()
    (own_home / "results" / "fer2013").symlink_to(ROOT / "results" / "fer2013")
    done = subprocess.run(
        [sys.executable, *program, *map(str, COMMANDS[name])],
        env={**kept, **places, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "talked:" not in done.stderr
    assert [*temporary.iterdir()] == []
    assert not any(word in done.stderr for word in ("INFO:", "WARNING", "Matplotlib", "cuda", "XNNPACK"))
