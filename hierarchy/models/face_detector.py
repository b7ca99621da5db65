"""A small net that says of any WINDOW of a picture whether it is a face.

It is convolutions alone, so that over a whole picture it answers for every window at once, four pixels apart.
Every round it is shown fresh windows of composed scenes, of those without a face the ones it took for one
(bootstrapping, after Sung and Poggio, "Example-based learning for view-based human face detection", 1998).
"""

import logging
import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from hierarchy.models import keras_setup
from hierarchy.vision.synthetic_scenes import WINDOW, scenes, windows

log = logging.getLogger(__name__)

WIDTHS: Final = ((8, 16), (24, 32))  # of 3x3 convolutions, a pool after each stage; then one of 64
SCENES: Final = 400  # composed anew in each round
PER_FACE, OTHERS = 6, 120  # windows of a scene
RATE: Final = 2e-3  # of learning in the first round; a cosine over the rounds takes it down
HARD: Final = 3  # hardest windows without a face that are kept for each with one


def build() -> keras.Model:
    """The net of random weights: uint8[N,H,W,1] -> logits float32[N,h,w,1], a window each."""
    pixels = keras.Input((None, None, 1), dtype="uint8", name="grey")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    for stage in WIDTHS:
        for width in stage:
            x = _convolution(x, width)
        x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.2)(_convolution(x, 64))
    return keras.Model(pixels, layers.Conv2D(1, 1, name="logits")(x), name="detector")


def _convolution(x: Any, width: int) -> Any:
    x = layers.Conv2D(width, 3, use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def train(faces: np.ndarray, grounds: Sequence[np.ndarray], seed: int, rounds: int) -> keras.Model:
    """A net fitted on scenes of faces uint8[N,48,48] on backgrounds, as `data.scenes` composes them."""
    keras.utils.set_random_seed(seed)
    net = build()
    net.compile(keras.optimizers.Adam(), keras.losses.BinaryCrossentropy(from_logits=True))
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    for number in range(rounds):
        net.optimizer.learning_rate = RATE * (1 + math.cos(math.pi * number / rounds)) / 2
        pixels, label = _round(net, faces, grounds, seed * rounds + number, number > 0)
        kept = [*kept[-2:], (pixels, label)]  # what was hard lately is shown again
        shown, told = (np.concatenate(part) for part in zip(*kept, strict=True))
        said = net.fit(shown[..., None], told.reshape(-1, 1, 1, 1).astype(np.float32), 256, 2, verbose=0)
        loss = said.history["loss"][-1]
        log.info(f"detector: round {number + 1}/{rounds}, {len(told):,} windows, loss {loss:.4f}")
    return net


def _round(
    net: keras.Model, faces: np.ndarray, grounds: Sequence[np.ndarray], seed: int, hard: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Windows with faces, mirrored at random, and HARD times as many without: the hardest, or any."""
    rng = np.random.default_rng(seed)
    parts = [windows(scene, rng, PER_FACE, OTHERS) for scene in scenes(faces, grounds, SCENES, seed)]
    pixels, label = (np.concatenate(part) for part in zip(*parts, strict=True))
    pixels[::2] = pixels[::2, :, ::-1]
    others = np.flatnonzero(~label)
    most = min(HARD * int(label.sum()), len(others))
    if hard:
        score = net.predict(pixels[others][..., None], batch_size=4096, verbose=0).ravel()
        others = others[np.argsort(-score)[: most // 2]]
        others = np.concatenate([others, rng.permutation(np.flatnonzero(~label))[: most - most // 2]])
    else:
        others = rng.permutation(others)[:most]
    chosen = np.concatenate([np.flatnonzero(label), others])
    return pixels[chosen], label[chosen]


def as_onnx(net: keras.Model) -> bytes:
    """The net as an ONNX file that takes pictures of any size."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), keras_setup.quiet():
        warnings.simplefilter("ignore")  # the converter's own
        target = Path(folder) / "detector.onnx"
        net(np.zeros((1, WINDOW, WINDOW, 1), np.uint8))  # Keras exports what has been called
        net.export(target, format="onnx", verbose=False)
        return target.read_bytes()
