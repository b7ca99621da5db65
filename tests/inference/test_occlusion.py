"""The heat lies where a net looks, and nowhere else."""

import numpy as np
import pytest

from hierarchy.classifier import HierarchicalClassifier
from hierarchy.inference import occlusion
from hierarchy.taxonomy import ROUTER

PLACE = np.s_[20:28, 8:16]


class Looker:
    """A node that is sure as long as one place is bright."""

    def logits(self, node, X):
        bright = X[(slice(None), *PLACE)].mean(axis=(1, 2)) / 64
        return np.stack([bright, np.zeros(len(X))], axis=1)


def test_the_place_that_decides_is_the_hottest():
    pixels = np.zeros((48, 48), np.uint8)
    pixels[PLACE] = 255
    heat = occlusion.occlusion(Looker(), ROUTER, 0, pixels)
    assert heat.shape == (48, 48) and heat[PLACE].min() > 0.05
    assert heat[:6].max() == heat[:, 30:].max() == 0
    down, right = np.unravel_index(heat.argmax(), heat.shape)
    assert 16 <= down < 32 and 4 <= right < 20


def test_the_other_class_gains_what_this_one_loses():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    ours, theirs = (occlusion.occlusion(Looker(), ROUTER, column, pixels) for column in (0, 1))
    np.testing.assert_allclose(ours, -theirs, atol=1e-12)


@pytest.mark.parametrize("value", [0, 255])
def test_the_face_is_left_as_it_was(tiny_run, value):
    pixels = np.full((48, 48), value, np.uint8)
    occlusion.occlusion(HierarchicalClassifier.load("tiny"), ROUTER, 0, pixels)
    assert (pixels == value).all()
