"""`python -m pt_files` from training to predictions, with the options of tf_model.py."""

import importlib.util
import json
import sys

import pytest

from hierarchy import runs
from hierarchy.cli.main import main
from hierarchy.data import loading

pytest.importorskip("torch", reason="pip install -r requirements-torch.txt")

from pt_files import torch_backend  # noqa: E402


@pytest.fixture
def command_line(monkeypatch, capsys):
    def command(*words):
        monkeypatch.setattr(sys, "argv", ["pt_files", *map(str, words)])
        code = main(torch_backend.TORCH_BACKEND)
        return code, *capsys.readouterr()

    return command


def test_from_training_to_a_prediction(command_line, few_sketches, monkeypatch):
    monkeypatch.setattr(loading, "SKETCHES", len(few_sketches))
    settings = ("--set", "net.stages=[[4],[8]]", "--set", "fit.epochs=1", "--set", "warm_start.epochs=1")
    code, out, err = command_line("train", "--data", "sketch", "--recipe", "sketch", *settings)
    assert code == 0, err
    assert "python -m pt_files evaluate --run sketch" in out + err
    assert {net.file for net in runs.run("sketch").manifest().nets.values()} == {
        f"{node}.safetensors" for node in ("flat", "router", "positive", "negative")
    }
    assert command_line("evaluate", "--run", "sketch")[0] == 0
    code, out, _ = command_line("predict", "samples/sketch_happy.png", "--run", "sketch", "--json")
    assert code == 0 and sum(json.loads(out)["probabilities"].values()) == pytest.approx(1)
    code, _, err = command_line("train", "--data", "sketch", "--recipe", "sketch", *settings, "--resume")
    assert code == 0 and "'sketch'" in err


def test_a_run_is_resumed_only_in_its_own_framework(command_line, tiny_run, few_sketches):
    tiny_run.amend({"framework": "Keras"})
    code, _, err = command_line("train", "--run", "tiny", "--resume", "--data", "sketch", "--seed", "0")
    assert code == 2 and "Keras" in err and "PyTorch" in err and "Traceback" not in err


def test_a_net_that_cannot_be_built_is_one_line(command_line):
    code, _, err = command_line("train", "--data", "sketch", "--recipe", "sketch", "--set", "net.crop=4")
    assert code == 2 and err.splitlines()[-1].startswith("error: net.crop=4: ")


def test_without_torch_the_error_names_the_requirements(command_line, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = command_line("train", "--data", "sketch", "--recipe", "sketch")
    assert code == 2 and err.splitlines()[-1].startswith("error: torch") and "requirements-torch.txt" in err
