"""A class-conditional generator of 48x48 grey faces by flow matching, in stock Keras layers.

On the way from noise to a face, x = (1 - t) noise + t face, a U-Net predicts the velocity face - noise by
least squares (Lipman et al., "Flow matching for generative modeling", 2023); a face is drawn by following the
velocity from noise. One loss, no adversary: nothing collapses, and plain `fit` trains it on every backend.
154 million multiplications a call, 1.6 million weights.
"""

import io
import sys
import warnings
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import rich.console
import rich.progress
from keras import layers

from hierarchy.backends import UNREADABLE
from hierarchy.data.dataset import SIDE
from hierarchy.errors import InputError, first_line
from hierarchy.fileio import check_archive
from hierarchy.models import serialization
from hierarchy.training.targets import one_hot

WIDTHS: Final = (48, 96, 128)  # of the convolutions at 24x24, 12x12 and 6x6 positions
EMBEDDED: Final = 128  # numbers that tell time and class
FREQUENCIES: Final = 16  # of time
GROUPS: Final = 8  # of channels that are normalised together
HEADS: Final = 4  # of the attention between the 6x6 positions
STEPS: Final = 12  # from noise to a face, of Heun's method: two calls each
# Ho and Salimans, "Classifier-free diffusion guidance" (2022); 1: none. More is more typical and less varied.
GUIDANCE: Final = 1.5
CHUNK: Final = 32  # faces that are drawn together


def build(classes: int) -> keras.Model:
    """A net with random weights.

    Inputs are float32[N,48,48], grey from -1 to 1 with noise; `time_features`; and `one_hot` of the class, of
    which there is one more: any. The output is the velocity, float32[N,48,48].
    """
    pixels = keras.Input((SIDE, SIDE), name="pixels")
    time = keras.Input((2 * FREQUENCIES,), name="time")
    label = keras.Input((classes + 1,), name="label")
    told = layers.Dense(EMBEDDED)(layers.Dense(EMBEDDED, "swish")(time))
    told = layers.Add()([told, layers.Dense(EMBEDDED, use_bias=False)(label)])
    condition = layers.Activation("swish")(told)
    high, middle, low = WIDTHS
    first = _block(layers.Conv2D(high, 3, padding="same")(_folded(pixels)), condition, high)
    second = _block(layers.Conv2D(middle, 3, strides=2, padding="same")(first), condition, middle)
    x = _block(layers.Conv2D(low, 3, strides=2, padding="same")(second), condition, low)
    x = _block(_attended(x), condition, low)
    x = _block(_block(_enlarged(x, second), condition, middle), condition, middle)
    x = _block(_enlarged(x, first), condition, high)
    x = layers.Conv2D(4, 3, padding="same", kernel_initializer="zeros", dtype="float32")(_active(x))
    return keras.Model([pixels, time, label], _unfolded(x), name="generator")


def _folded(pixels: Any) -> Any:
    """Squares of 2x2 pixels as channels: [N,48,48] -> [N,24,24,4]."""
    half = SIDE // 2
    return layers.Reshape((half, half, 4))(
        layers.Permute((1, 3, 2, 4))(layers.Reshape((half, 2, half, 2))(pixels))
    )


def _unfolded(x: Any) -> Any:
    half = SIDE // 2
    x = layers.Reshape((half, half, 2, 2), dtype="float32")(x)
    return layers.Reshape((SIDE, SIDE), dtype="float32")(layers.Permute((1, 3, 2, 4), dtype="float32")(x))


def _active(x: Any) -> Any:
    return layers.Activation("swish")(layers.GroupNormalization(GROUPS)(x))


def _block(x: Any, condition: Any, width: int) -> Any:
    """Two convolutions beside the input; time and class scale and shift what is between them."""
    y = layers.Conv2D(width, 3, padding="same")(_active(x))
    y = layers.GroupNormalization(GROUPS, scale=False, center=False)(y)
    scale = layers.Dense(width, kernel_initializer="zeros", bias_initializer="ones")(condition)
    shift = layers.Dense(width, kernel_initializer="zeros")(condition)
    y = layers.Multiply()([y, layers.Reshape((1, 1, width))(scale)])
    y = layers.Activation("swish")(layers.Add()([y, layers.Reshape((1, 1, width))(shift)]))
    y = layers.Conv2D(width, 3, padding="same", kernel_initializer="zeros")(y)
    return layers.Add()([x, y])


def _enlarged(x: Any, before: Any) -> Any:
    """Twice the side, added to what had that side before; of its width (concatenation costs more)."""
    return layers.Add()([layers.UpSampling2D()(layers.Conv2D(before.shape[-1], 1)(x)), before])


def _attended(x: Any) -> Any:
    """Attention between all positions, beside the input."""
    *sides, width = x.shape[1:]
    y = layers.Reshape((sides[0] * sides[1], width))(layers.GroupNormalization(GROUPS)(x))
    y = layers.MultiHeadAttention(HEADS, width // HEADS)(y, y)
    return layers.Add()([x, layers.Reshape((*sides, width))(y)])


def load(path: Path, classes: int) -> keras.Model:
    """The stored net of a number of classes: its weights only are read, in the layers of `build`.

    Raises:
        InputError: the file is damaged or not such a net.
    """
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            serialization.check_sizes(io.BytesIO(archive.read("model.weights.h5")))
        net = build(classes)
        with warnings.catch_warnings(action="ignore"):  # besides its error, where shapes differ
            net.load_weights(path)
        return net
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: not a valid generator ({first_line(error)})") from None


def time_features(t: np.ndarray) -> np.ndarray:
    """Times float32[N], 0: noise to 1: a face, as waves of many lengths: float32[N, 2 * FREQUENCIES]."""
    angle = t[:, None] * np.geomspace(0.5, 50, FREQUENCIES, dtype=np.float32) * np.float32(np.pi)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def sample(net: keras.Model, label: np.ndarray, seed: int, guidance: float = GUIDANCE) -> np.ndarray:
    """Draw faces uint8[N,48,48] of classes int[N].

    A face follows from the seed, its class and its place among the faces of this class, whatever else is
    drawn.
    """
    net.compile(jit_compile=keras.backend.backend() == "jax")  # slower on the others
    place = np.zeros(len(label), np.int64)
    for code in np.unique(label):
        place[label == code] = np.arange((label == code).sum())
    faces = np.empty((len(label), SIDE, SIDE), np.uint8)
    console = rich.console.Console(stderr=True, quiet=not sys.stderr.isatty())
    for start in rich.progress.track(range(0, len(label), CHUNK), "faces", console=console):
        rows = slice(start, start + CHUNK)
        keys = zip(label[rows].tolist(), place[rows].tolist(), strict=True)
        draws = [np.random.default_rng([seed, *key]) for key in keys]
        noise = np.stack([each.standard_normal((SIDE, SIDE), dtype=np.float32) for each in draws])
        grey = _followed(net, noise, label[rows], guidance)
        faces[rows] = np.rint(np.clip((grey + 1) * 127.5, 0, 255))
    return faces


def _followed(net: keras.Model, x: np.ndarray, label: np.ndarray, guidance: float) -> np.ndarray:
    """Follow the velocity from noise float32[N,48,48] to faces, by Heun's method, and Euler's at the end."""
    times = np.linspace(0, 1, STEPS + 1, dtype=np.float32)
    for now, later in pairwise(times):
        slope = _velocity(net, x, now, label, guidance)
        if later < 1:
            slope = (slope + _velocity(net, x + (later - now) * slope, later, label, guidance)) / 2
        x = x + (later - now) * slope
    return x


def _velocity(
    net: keras.Model, x: np.ndarray, time: np.float32, label: np.ndarray, guidance: float
) -> np.ndarray:
    """The velocity, exaggerated by how much the class changes it; computed in batches of one size."""
    pixels = np.zeros((2, CHUNK, SIDE, SIDE), np.float32)
    pixels[:, : len(x)] = x
    outputs = net.inputs[2].shape[-1]
    classes = np.full((2, CHUNK), outputs - 1)  # any
    classes[0, : len(x)] = label
    waves = time_features(np.full(2 * CHUNK, time))
    inputs = [pixels.reshape(-1, SIDE, SIDE), waves, one_hot(classes.ravel(), outputs)]
    given, free = np.split(net.predict_on_batch(inputs), 2)
    return (free + guidance * (given - free))[: len(x)]
