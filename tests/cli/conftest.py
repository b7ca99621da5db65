"""The fixture that runs a command in this process."""

import sys

import pytest
from commands import Command, Result

import tf_model


@pytest.fixture
def command(monkeypatch, capsys) -> Command:
    def run(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["tf_model.py", *map(str, words)])
        code = tf_model.main()
        return Result(code, *capsys.readouterr())

    return run
