"""A small net that classifies every WINDOW of an image as face or not.

It is fully convolutional: over a whole image it scores all windows at once, four pixels apart. Every training
round uses new windows of synthetic scenes and, of those without a face, the false positives (bootstrapping,
after Sung and Poggio, "Example-based learning for view-based human face detection", 1998).
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

from hierarchy.errors import InputError
from hierarchy.models import keras_setup
from hierarchy.vision import cnn_detector
from hierarchy.vision.synthetic_scenes import WINDOW, scenes, windows

log = logging.getLogger(__name__)

WIDTHS: Final = ((8, 16), (24, 32))  # of 3x3 convolutions, a pooling after each stage; then one of 64
SCENES: Final = 400  # new ones in each round
PER_FACE, OTHERS = 6, 120  # windows per scene
RATE: Final = 2e-3  # initial learning rate; decays by a cosine over the rounds
CONVERSIONS: Final = 5  # to ONNX, at most: in one of some forty, tf2onnx 1.17 leaves out an operator
HARD: Final = 3  # hard negatives per positive window


def build() -> keras.Model:
    """A net with random weights: uint8[N,H,W,1] -> logits float32[N,h,w,1], one per window."""
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
    """Train a net on `vision.synthetic_scenes` of faces uint8[N,48,48] on backgrounds."""
    keras.utils.set_random_seed(seed)
    net = build()
    net.compile(keras.optimizers.Adam(), keras.losses.BinaryCrossentropy(from_logits=True))
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for number in range(rounds):
        net.optimizer.learning_rate = RATE * (1 + math.cos(math.pi * number / rounds)) / 2
        pixels, label = _round(net, faces, grounds, seed * rounds + number, number > 0)
        parts = [*parts[-2:], (pixels, label)]  # recent hard negatives are repeated
        pixels, label = (np.concatenate(part) for part in zip(*parts, strict=True))
        target = label.reshape(-1, 1, 1, 1).astype(np.float32)
        loss = net.fit(pixels[..., None], target, 256, 2, verbose=0).history["loss"][-1]
        log.info(f"detector: round {number + 1}/{rounds}, {len(label):,} windows, loss {loss:.4f}")
    return net


def _round(
    net: keras.Model, faces: np.ndarray, grounds: Sequence[np.ndarray], seed: int, hard: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Windows with faces, half of them mirrored, and HARD times as many without: the hardest, or random."""
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
    """The net as an ONNX file for images of any size, with the logits of Keras."""
    picture = np.arange(2 * WINDOW**2, dtype=np.uint8).reshape(1, WINDOW, 2 * WINDOW, 1)
    expected = np.asarray(net(picture))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "detector.onnx"
        for _ in range(CONVERSIONS):
            with warnings.catch_warnings(), keras_setup.quiet():
                warnings.simplefilter("ignore")  # of the converter
                net.export(target, format="onnx", verbose=False)
            logits = cnn_detector.loaded(target)(picture)
            if logits.shape == expected.shape and np.allclose(logits, expected, atol=1e-3):
                return target.read_bytes()
    raise InputError(f"the detector as ONNX differs from Keras in {CONVERSIONS} conversions")
