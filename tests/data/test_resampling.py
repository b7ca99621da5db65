"""Oversampling balances the classes, keeps all rows, and is determined by its seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.data.resampling import oversampled

TARGETS = some.lists(some.integers(0, 5), min_size=1, max_size=60).map(np.array)
SEEDS = some.integers(0, 2**31 - 1)


@given(TARGETS, SEEDS)
def test_every_class_is_as_frequent_as_the_largest(target, seed):
    counts = np.bincount(target[oversampled(target, seed)], minlength=6)
    before = np.bincount(target, minlength=6)
    assert np.array_equal(counts, np.where(before > 0, before.max(), 0))


@given(TARGETS, SEEDS)
def test_every_row_is_kept_and_the_largest_class_once(target, seed):
    times = np.bincount(oversampled(target, seed), minlength=len(target))
    assert (times >= 1).all()
    largest = np.bincount(target).max()
    for code in np.unique(target):
        if (target == code).sum() == largest:
            assert (times[target == code] == 1).all()


@given(TARGETS, SEEDS)
def test_the_seed_decides(target, seed):
    assert np.array_equal(oversampled(target, seed), oversampled(target, seed))


def test_another_seed_repeats_other_rows():
    target = np.repeat([0, 1], [50, 10])
    assert not np.array_equal(np.sort(oversampled(target, 0)), np.sort(oversampled(target, 1)))


@pytest.mark.parametrize("code", [0, 2])
def test_one_class_alone_has_nothing_to_repeat(code):
    assert sorted(oversampled(np.full(4, code), 0)) == [0, 1, 2, 3]
