"""Corruptions differ by face, are repeatable, and grow with their strength."""

import numpy as np
import pytest

from hierarchy.data import corruptions
from hierarchy.errors import InputError

pytest.importorskip("imagecorruptions", reason=corruptions.INSTALL)


@pytest.fixture(scope="module")
def pixels(few_sketches):
    return few_sketches.pixels[:3]


@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_every_corruption_changes_a_face_more_as_it_grows(name, pixels):
    weak, strong = (corruptions.corrupted(pixels, name, strength, seed=0) for strength in (1, 5))
    assert weak.shape == pixels.shape and weak.dtype == np.uint8
    changed = [np.abs(faces.astype(float) - pixels).mean() for faces in (weak, strong)]
    assert 0 < changed[0] < changed[1]


def test_the_list_is_the_librarys_own():
    assert list(corruptions.CORRUPTIONS) == list(corruptions.library().get_corruption_names("common"))


@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_a_draw_follows_from_seed_and_place(name, pixels):
    first = corruptions.corrupted(pixels, name, 3, seed=1)
    np.testing.assert_array_equal(corruptions.corrupted(pixels[:1], name, 3, seed=1), first[:1])


def test_resizing_alone_changes_a_face_a_little(pixels):
    apart = np.abs(corruptions.resized(pixels).astype(int) - pixels)
    assert 0 < apart.mean() < 8


def test_a_draw_disturbs_nobody_and_another_seed_gives_another(pixels):
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    first = corruptions.corrupted(pixels, "gaussian_noise", 3, seed=1)
    np.testing.assert_array_equal(np.random.random(3), expected)
    assert (corruptions.corrupted(pixels, "gaussian_noise", 3, seed=2) != first).any()


@pytest.mark.parametrize(("name", "strength"), [("rain", 1), ("fog", 0), ("fog", 6)])
def test_unknown_corruptions_and_strengths_are_refused(name, strength, pixels):
    with pytest.raises(InputError, match=name):
        corruptions.corrupted(pixels, name, strength, seed=0)
