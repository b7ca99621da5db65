"""Intervals and tests give the published and the hand-computed numbers."""

import numpy as np
import pytest

from hierarchy.evaluation import statistics


def test_wilson_interval_is_the_published_example():
    found = statistics.share(np.arange(263) < 81)  # Newcombe 1998, table I
    assert found["n"] == 263
    assert found["ci95"] == pytest.approx([0.2553, 0.3662], abs=5e-5)


def test_mcnemar_by_hand():
    ours = np.array([True] * 5 + [False] + [True] * 20)
    theirs = np.array([False] * 5 + [True] + [True] * 20)
    assert statistics.mcnemar(ours, theirs) == pytest.approx(2 * (1 + 6) / 2**6)
    assert statistics.mcnemar(theirs, ours) == statistics.mcnemar(ours, theirs)
    assert statistics.mcnemar(ours, ours) == 1


def test_the_interval_of_several_systems_holds_their_mean():
    right = np.random.default_rng(0).random((3, 500)) < 0.7
    score = statistics.mean_accuracy(right)
    assert score["accuracy"] == pytest.approx(right.mean())
    assert score["ci95"][0] < score["accuracy"] < score["ci95"][1]
    assert score["spread"] == pytest.approx(right.mean(axis=1).std(ddof=1))
    alone = statistics.mean_accuracy(right[:1])
    assert alone["spread"] is None and np.ptp(alone["ci95"]) > np.ptp(score["ci95"])
    # one system: the normal approximation, a bootstrap's limit
    assert np.ptp(alone["ci95"]) == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 500), rel=0.1)


def test_systems_apart_are_told_apart():
    right = np.random.default_rng(0).random((3, 500)) < 0.7
    same = statistics.paired_difference(right, right)
    assert (same["difference"], same["ci95"]) == (0.0, None)
    assert same["mcnemar_p"] == [statistics.mcnemar(each, right[0]) for each in right]
    worse = statistics.paired_difference(right & (np.arange(500) % 5 > 0), right)
    assert worse["ci95"][1] < 0 and worse["mcnemar_p"][0] < 0.001
