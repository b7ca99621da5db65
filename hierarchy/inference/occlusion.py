"""Occlusion heat maps: how much a net's probability drops when a grey patch covers each part of the face.

Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014). It needs no gradient
and so works with every engine.
"""

from typing import Final

import numpy as np

from hierarchy import routing
from hierarchy.data.images import SIDE
from hierarchy.inference.predictor import Predictor

PATCH, STEP, GREY = 12, 4, 128  # pixels, pixels, value
CORNERS: Final = [
    (top, left) for top in range(0, SIDE - PATCH + 1, STEP) for left in range(0, SIDE - PATCH + 1, STEP)
]


def occlusion(model: Predictor, node: str, column: int, pixels: np.ndarray) -> np.ndarray:
    """Drop of a node's probability of a class when a patch covers each place.

    Args:
        model: has the node.
        node: of the tree.
        column: index of the class among the node's.
        pixels: uint8[48,48].

    Returns:
        float64[48,48], the mean drop over the patches that cover a pixel; negative where covering helps.
    """
    covered = np.repeat(pixels[None], len(CORNERS) + 1, axis=0)
    for face, (top, left) in zip(covered[1:], CORNERS, strict=True):
        face[top : top + PATCH, left : left + PATCH] = GREY
    probability = routing.softmax(model.logits(node, covered))[:, column]
    drop, times = np.zeros((2, SIDE, SIDE))
    for difference, (top, left) in zip(probability[0] - probability[1:], CORNERS, strict=True):
        place = np.s_[top : top + PATCH, left : left + PATCH]
        drop[place] += difference
        times[place] += 1
    return drop / times
