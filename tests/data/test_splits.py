"""Splits by name, and a validation split from Training where a data set has none."""

import numpy as np
import pytest

from hierarchy.data import splits
from hierarchy.data.dataset import Origin, Split
from hierarchy.errors import InputError


@pytest.mark.parametrize(
    ("name", "split"),
    [(" Training", Split.Training), ("val", Split.PublicTest), ("PublicTest", Split.PublicTest), ("TEST", 2)],
)
def test_names(name, split):
    assert splits.named(name) == split


def test_an_unknown_name_lists_the_allowed_ones():
    with pytest.raises(InputError, match="holdout.*train.*validation.*test"):
        splits.named("holdout")


def test_carving_takes_the_same_share_of_every_expression_and_of_training_alone():
    label = np.repeat(np.arange(7), [900, 90, 450, 90, 90, 90, 1800]).astype(np.int8)
    split = np.zeros(len(label), np.int8)
    split[::3] = Split.PrivateTest
    carved = splits.add_validation_split(label, split)
    assert ((carved == Split.PrivateTest) == (split == Split.PrivateTest)).all()
    for code in range(7):
        before = ((label == code) & (split == Split.Training)).sum()
        assert ((label == code) & (carved == Split.PublicTest)).sum() == round(before / 9)


def test_carving_is_seeded():
    label = np.zeros(500, np.int8)
    split = np.zeros(500, np.int8)
    assert (splits.add_validation_split(label, split) == splits.add_validation_split(label, split)).all()
    assert (
        splits.add_validation_split(label, split) != splits.add_validation_split(label, split, seed=1)
    ).any()
    assert not split.any(), "the argument was changed"


def test_generated_rows_are_never_carved_out():
    label, split = np.zeros(500, np.int8), np.zeros(500, np.int8)
    origin = np.where(np.arange(500) % 5, Origin.generated, Origin.real)
    carved = splits.add_validation_split(label, split, origin=origin)
    assert (carved == Split.PublicTest).sum() == round(100 / 9)
    assert (origin[carved == Split.PublicTest] == Origin.real).all()


def test_a_set_with_validation_rows_is_left_alone():
    split = np.array([0] * 50 + [1], np.int8)
    assert splits.add_validation_split(np.zeros(51, np.int8), split) is split


def test_an_empty_split_is_refused(random_faces):
    faces = random_faces(20).of(Split.Training)
    assert len(splits.select_split(faces, Split.Training)) == len(faces)
    with pytest.raises(InputError, match=rf"random: .*PrivateTest .*Training {len(faces)}"):
        splits.select_split(faces, Split.PrivateTest)
