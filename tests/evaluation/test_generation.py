"""Distances between sets of faces are those of their definitions, and a copy of a Training face is found."""

import numpy as np
import pytest

from hierarchy.evaluation import distances, generation_report


@pytest.fixture
def cloud(rng):
    return rng.normal(size=(600, 5))


def test_frechet_is_zero_for_the_same_and_the_squared_shift_for_shifted(cloud):
    assert distances.frechet(cloud, cloud) == pytest.approx(0, abs=1e-6)
    assert distances.frechet(cloud, cloud + [3, 4, 0, 0, 0]) == pytest.approx(25)
    spread = distances.frechet(cloud, 2 * cloud)  # of N(m, C) and N(2m, 4C)
    assert spread == pytest.approx((cloud.mean(axis=0) ** 2).sum() + np.trace(np.cov(cloud, rowvar=False)))


def test_precision_is_of_the_drawn_and_recall_of_the_real(cloud):
    assert distances.precision_recall(cloud, cloud) == (1, 1)
    assert distances.precision_recall(cloud, cloud + 100) == (0, 0)
    precision, recall = distances.precision_recall(
        cloud, np.repeat(cloud[:1], 9, axis=0)
    )  # one mode, repeated
    assert precision == 1 and recall < 0.02


def test_the_nearest_is_found_in_parts(cloud):
    distance, index = distances.nearest(cloud[::-1] + 0.01, cloud)
    np.testing.assert_array_equal(index, np.arange(len(cloud))[::-1])
    assert distance == pytest.approx(0.01 * 5**0.5, rel=0.05)


def test_copies_are_nearer_than_unseen_faces(rng):
    known, unseen, made = (rng.normal(size=(n, 16)) for n in (500, 300, 40))
    made[:4] = known[[7, 7, 8, 9]] + 1e-4
    vectors = {"Training": np.concatenate([known, -known]), "PublicTest": unseen, "generated": made}
    found = generation_report._copies(vectors, np.arange(1000, 1500))
    assert found["closer"]["accuracy"] == pytest.approx(4 / 40, abs=0.03)
    assert {each["row"] for each in found["closest"][:4]} == {1007, 1008, 1009}
    assert {each["generated"] for each in found["closest"][:4]} == {0, 1, 2, 3}
