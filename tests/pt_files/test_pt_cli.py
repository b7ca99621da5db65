"""`python -m pt_files` from training to an answer, with the flags and the manners of tf_model.py."""

import json
import sys

import pytest

import tf_model
from hierarchy import runs
from hierarchy.data import loading

pytest.importorskip("torch", reason="pip install -r requirements-torch.txt")

from pt_files import torch_backend  # noqa: E402


@pytest.fixture
def door(monkeypatch, capsys):
    def command(*words):
        monkeypatch.setattr(sys, "argv", ["pt_files", *map(str, words)])
        code = tf_model.main(torch_backend.TORCH_BACKEND)
        return code, *capsys.readouterr()

    return command


def test_from_training_to_an_answer(door, few_sketches, monkeypatch):
    monkeypatch.setattr(loading, "SKETCHES", len(few_sketches))
    settings = ("--set", "net.stages=[[4],[8]]", "--set", "fit.epochs=1", "--set", "warm_start.epochs=1")
    code, out, err = door("train", "--data", "sketch", "--recipe", "sketch", *settings)
    assert code == 0, err
    assert "next: python -m pt_files evaluate --run sketch" in out
    assert {net["file"] for net in runs.run("sketch").card()["nets"].values()} == {
        f"{node}.safetensors" for node in ("flat", "router", "positive", "negative")
    }
    assert door("evaluate", "--run", "sketch")[0] == 0
    code, out, _ = door("predict", "samples/sketch_happy.png", "--run", "sketch", "--json")
    assert code == 0 and sum(json.loads(out)["probabilities"].values()) == pytest.approx(1)
    code, _, err = door("train", "--data", "sketch", "--recipe", "sketch", *settings, "--resume")
    assert code == 0 and "run 'sketch' is finished" in err


def test_a_run_goes_on_in_the_framework_that_began_it(door, tiny_run, few_sketches):
    tiny_run.amend({"framework": "Keras"})
    code, _, err = door("train", "--run", "tiny", "--resume", "--data", "sketch", "--seed", "0")
    assert code == 2 and "framework Keras, not PyTorch" in err and "Traceback" not in err


def test_a_net_that_cannot_be_built_is_one_line(door):
    code, _, err = door("train", "--data", "sketch", "--recipe", "sketch", "--set", "net.crop=4")
    assert code == 2 and "error: net.crop=4: at most 48, and enough for" in err


def test_without_torch_its_install_line_is_told(door, monkeypatch):
    monkeypatch.setattr(torch_backend.importlib.util, "find_spec", lambda name: None)
    code, _, err = door("train", "--data", "sketch", "--recipe", "sketch")
    assert code == 2 and err.count("\n") == 1 and "pip install -r requirements-torch.txt" in err
