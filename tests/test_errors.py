"""Input errors name their place; other exceptions pass unchanged."""

import pytest

from hierarchy.errors import InputError, error_context


def test_an_input_error_gets_its_place():
    with pytest.raises(InputError, match="^x.csv: line 3: too short$"), error_context("x.csv: line 3"):
        raise InputError("too short")


def test_bugs_and_results_pass_through():
    with error_context("x.csv"):
        result = 1
    assert result == 1
    with pytest.raises(KeyError, match="^'y'$"), error_context("x.csv"):
        raise KeyError("y")
