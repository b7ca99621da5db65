"""Where the net that decided looked: a grey patch slides over the face, and its answer drops.

Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014). It needs no gradient
and so works on every engine.
"""

from typing import Final, Protocol

import numpy as np

from hierarchy import routing
from hierarchy.data.images import SIDE

PATCH, STEP, GREY = 12, 4, 128  # pixels, pixels, value
CORNERS: Final = [
    (top, left) for top in range(0, SIDE - PATCH + 1, STEP) for left in range(0, SIDE - PATCH + 1, STEP)
]


class Nodes(Protocol):
    """What gives a node's logits of faces uint8[N,48,48]."""

    def logits(self, node: str, X: np.ndarray) -> np.ndarray:
        """float[N, classes of the node]."""


def occlusion(model: Nodes, node: str, column: int, pixels: np.ndarray) -> np.ndarray:
    """How much a node's probability of a class drops when a patch covers each place.

    Args:
        model: has the node.
        node: of the tree.
        column: the class among the node's own.
        pixels: uint8[48,48].

    Returns:
        float64[48,48], the mean drop over the patches that cover a pixel; negative where covering helps.
    """
    covered = np.repeat(pixels[None], len(CORNERS) + 1, axis=0)
    for shown, (top, left) in zip(covered[1:], CORNERS, strict=True):
        shown[top : top + PATCH, left : left + PATCH] = GREY
    share = routing.softmax(model.logits(node, covered))[:, column]
    drop, times = np.zeros((2, SIDE, SIDE))
    for lost, (top, left) in zip(share[0] - share[1:], CORNERS, strict=True):
        place = np.s_[top : top + PATCH, left : left + PATCH]
        drop[place] += lost
        times[place] += 1
    return drop / times
