"""A refusal is told with its place, and nothing else is touched."""

import pytest

from hierarchy.errors import InputError, error_context


def test_a_refusal_gets_its_place():
    with pytest.raises(InputError, match="^x.csv: line 3: too short$"), error_context("x.csv: line 3"):
        raise InputError("too short")


def test_faults_of_ours_and_results_pass_through():
    with error_context("x.csv"):
        result = 1
    assert result == 1
    with pytest.raises(KeyError, match="^'y'$"), error_context("x.csv"):
        raise KeyError("y")
