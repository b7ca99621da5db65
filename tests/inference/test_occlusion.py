"""Heat maps are hot where a net looks, and cold elsewhere."""

import numpy as np
import pytest

from hierarchy.inference import occlusion
from hierarchy.taxonomy import ROUTER, VALENCE

PLACE = np.s_[20:28, 8:16]


class Spot:
    """A node that is confident as long as one place is bright."""

    tree_ = VALENCE

    def logits(self, node, X):
        bright = X[(slice(None), *PLACE)].mean(axis=(1, 2)) / 64
        return np.stack([bright, np.zeros(len(X))], axis=1)


def test_the_deciding_place_is_the_hottest():
    pixels = np.zeros((48, 48), np.uint8)
    pixels[PLACE] = 255
    heat = occlusion.occlusion(Spot(), ROUTER, 0, pixels)
    assert heat.shape == (48, 48) and heat[PLACE].min() > 0.05
    assert heat[:6].max() == heat[:, 30:].max() == 0
    down, right = np.unravel_index(heat.argmax(), heat.shape)
    assert 16 <= down < 32 and 4 <= right < 20


def test_one_class_gains_what_the_other_loses(rng):
    pixels = rng.integers(0, 256, (48, 48), np.uint8)
    first, second = (occlusion.occlusion(Spot(), ROUTER, column, pixels) for column in (0, 1))
    np.testing.assert_allclose(first, -second, atol=1e-12)


@pytest.mark.parametrize("value", [0, 255])
def test_the_face_is_not_changed(brightness, other_tree, value):
    pixels = np.full((48, 48), value, np.uint8)
    for node in other_tree.nodes:
        for column in range(len(other_tree.classes_of(node))):
            occlusion.occlusion(brightness(other_tree), node, column, pixels)
    assert (pixels == value).all()
