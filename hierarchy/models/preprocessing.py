"""Preprocessing from uint8 pixels to the input of a net, and the views of test-time augmentation.

Preprocessing is made of stock Keras layers inside every net and stored with its weights. Views are uint8
faces, shifted, turned or mirrored, so that they work with any engine.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from hierarchy.data.dataset import SIDE

if TYPE_CHECKING:
    import keras

    from hierarchy.config.schema import Window

VIEWS: Final = ("single", "flip", "crops", "ten-crop")
TURN: Final = 5.0  # degrees by which a crop of `crops` is turned
CORNER: Final = 2  # pixels between the centre crop and a corner crop of a 48-pixel face, for 44-pixel crops


def gaussian(sigma: float) -> np.ndarray:
    """A 3x3 Gaussian kernel, float32[3,3], that sums to one."""
    line = np.exp(-np.array([1.0, 0.0, 1.0]) / (2 * max(sigma, 0.01) ** 2))  # narrower ones are the same
    return (np.outer(line, line) / line.sum() ** 2).astype(np.float32)


def prefix(place: int) -> str:
    """What the names of the layers of one of several bodies begin with."""
    return f"body{place + 1}_"


def preprocess(
    pixels: "keras.KerasTensor", window: "Window", blur: float = 0.0, before: str = ""
) -> "keras.KerasTensor":
    """uint8[N,48,48] -> float32[N,H,W,1] in [-1, 1]: a window of the face, grey 0 to -1 and 255 to 1.

    Augmentation interpolates every training face; a slight `blur` (sigma in pixels) makes the faces of
    prediction as smooth. Its kernel is a weight of the layer "blur", which `gaussian` gives. The names of the
    layers begin with `before`.
    """
    from keras import layers

    image = layers.Reshape((SIDE, SIDE, 1), name=f"{before}picture")(pixels)
    if blur:  # an unpadded kernel takes one pixel per side
        image = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name=f"{before}scale")(image)
        fixed = {"use_bias": False, "trainable": False, "dtype": "float32"}
        image = layers.Conv2D(1, 3, name=f"{before}blur", **fixed)(image)
    left, top, right, bottom = window
    cut = [[edge - bool(blur) for edge in edges] for edges in ((top, SIDE - bottom), (left, SIDE - right))]
    image = layers.Cropping2D(cut, name=f"{before}centre")(image)
    return image if blur else layers.Rescaling(1 / 127.5, offset=-1.0, name=f"{before}scale")(image)


def views(pixels: np.ndarray, view: str) -> list[np.ndarray]:
    """The views of faces, each uint8[N,48,48].

    `single` is the face itself, `flip` adds its mirror image, `crops` is the mirror image and the face turned
    to either side, as a detector might have cut it, `ten-crop` is centre and four corners of both.
    """
    if view == "crops":
        return [pixels[:, :, ::-1], _turned(pixels, TURN), _turned(pixels, -TURN)]
    sides = [pixels] if view == "single" else [pixels, pixels[:, :, ::-1]]
    if view != "ten-crop":
        return sides
    offsets = [(0, 0), *((down, right) for down in (-CORNER, CORNER) for right in (-CORNER, CORNER))]
    return [_shifted(side, *offset) for side in sides for offset in offsets]


def averaged(
    nets: Callable[[np.ndarray], Mapping[str, np.ndarray]], pixels: np.ndarray, view: str
) -> dict[str, np.ndarray]:
    """What nets say of faces uint8[N,48,48], logits by node, averaged over the views."""
    each = [nets(shown) for shown in views(pixels, view)]
    return {node: np.mean([logits[node] for logits in each], axis=0) for node in each[0]}


def _turned(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """The face turned clockwise around its middle; the border is repeated outside."""
    from hierarchy.vision import align

    turn, middle = math.radians(degrees), (SIDE - 1) / 2
    linear = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    move = np.column_stack([linear, middle - linear.sum(axis=1) * middle])
    return np.array([align.warped(face, move) for face in pixels], np.uint8).reshape(pixels.shape)


def _shifted(pixels: np.ndarray, down: int, right: int) -> np.ndarray:
    """The face shifted by whole pixels; the border is repeated outside."""
    padded = np.pad(pixels, ((0, 0), (CORNER, CORNER), (CORNER, CORNER)), mode="edge")
    top, left = CORNER + down, CORNER + right
    return padded[:, top : top + SIDE, left : left + SIDE]
