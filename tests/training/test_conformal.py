"""Prediction sets hold the true leaf as often as asked for, within each branch, whatever the distribution."""

import math

import numpy as np
import pytest
from scipy import stats

from hierarchy import routing
from hierarchy.manifest import LEVELS, UNCALIBRATED, Calibration
from hierarchy.taxonomy import FLAT
from hierarchy.training import conformal

SURE = 0.9999  # of the intervals: the draws are seeded


def drawn(rng, tree, rows):
    """Overconfident logits of every net for leaves drawn from the sharpest of them, and the leaves."""
    leaf = rng.integers(len(tree.leaves), size=rows)
    logits = {}
    for node in tree.nets:
        target = np.array([tree.class_index(node, name) for name in tree.leaves])[leaf]
        values = rng.normal(scale=3, size=(rows, len(tree.classes_of(node))))
        values[np.flatnonzero(target >= 0), target[target >= 0]] += 3
        logits[node] = values.astype(np.float32)
    return logits, leaf


@pytest.mark.parametrize("coverage", [0.25, 0.5, 0.9, 0.975])
def test_a_new_score_is_below_the_threshold_as_often_as_asked(rng, coverage):
    """With 39 scores, a coverage of k / 40 is held exactly: one new score for each of many calibrations."""
    scores = rng.beta(0.3, 2, size=(4000, 40))
    level = math.ceil(coverage * LEVELS) - 1
    hits = sum(each[0] <= conformal.quantiles(each[1:]).quantiles[level] for each in scores)
    low, high = stats.binom(len(scores), coverage).interval(SURE)
    assert low <= hits <= high


@pytest.mark.parametrize("without", [(), "tree"], ids=["tree", "flat net only"])
def test_sets_hold_the_leaf_in_every_branch(rng, other_tree, without):
    """The hits among new faces follow a beta-binomial distribution, given the calibration faces."""
    nodes = (FLAT,) if without else other_tree.nets
    calibration = dict.fromkeys(nodes, UNCALIBRATED)
    (logits, leaf), (new, truth) = drawn(rng, other_tree, 6001), drawn(rng, other_tree, 4000)
    logits, new = {node: logits[node] for node in nodes}, {node: new[node] for node in nodes}
    fitted = conformal.fit(other_tree, logits, leaf, calibration)
    assert fitted.calibration.keys() == set(nodes)
    branch = np.array(other_tree.branch_of_leaf)[truth]
    for coverage in (0.8, 0.9, 0.99):
        sets = routing.prediction_sets(other_tree, new, fitted, coverage)
        assert sets.any(axis=1).all()
        hits = sets[np.arange(len(truth)), truth]
        for code, name in enumerate(other_tree.branches):
            n, rows = fitted.branches[name].n, branch == code
            rank = math.ceil((n + 1) * coverage)
            low, _ = stats.betabinom(rows.sum(), rank, n + 1 - rank).interval(SURE)
            assert low <= hits[rows].sum()  # more where the likeliest leaf is added
        if coverage > 0.95:
            assert sets.sum(axis=1).mean() < len(other_tree.leaves)


def test_one_half_fits_temperatures_and_the_other_scores(rng, other_tree):
    logits, leaf = drawn(rng, other_tree, 2000)
    offsets = {node: Calibration((0.5,), 3.0) for node in other_tree.nets}
    fitted = conformal.fit(other_tree, logits, leaf, offsets)
    assert {each.offset for each in fitted.calibration.values()} == {(0.5,)}
    assert sum(each.n for each in fitted.branches.values()) == 1000
    odd = {node: values.copy() for node, values in logits.items()}
    for values in odd.values():
        values[1::2] = 0
    assert conformal.fit(other_tree, odd, leaf, offsets).calibration == fitted.calibration


def test_a_half_without_a_leaf_gives_no_sets(rng, other_tree):
    logits, leaf = drawn(rng, other_tree, 400)
    assert conformal.fit(other_tree, logits, np.where(leaf == 0, -1, leaf), {}) is None


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_the_last_quantile_is_the_largest_score(rng, n):
    scores = rng.random(n)
    fitted = conformal.quantiles(scores)
    assert fitted.n == n and list(fitted.quantiles) == sorted(fitted.quantiles)
    assert scores.max() <= fitted.quantiles[-1] <= min(scores.max() + 1e-4, 1)
