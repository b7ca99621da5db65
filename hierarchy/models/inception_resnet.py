"""Inception-ResNet v1, the architecture of FaceNet, which no maintained library has for Keras 3.

Szegedy et al., "Inception-v4, Inception-ResNet and the impact of residual connections" (2017), in the
form of D. Sandberg's facenet; layers have the names of its weights files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers

Step = tuple[str, int, int | tuple[int, int]]  # name, filters, kernel


def inception_resnet_v1(
    *, input_tensor: keras.KerasTensor, weights: str | None = None, **ignored: Any
) -> keras.Model:
    """From an RGB image, usually float32[N,160,160,3], to pooled features float32[N,1792].

    Without FaceNet's last layer, a 128-dimensional embedding of identities: a head on the embedding had 37 %
    PublicTest accuracy.

    Args:
        input_tensor: the image.
        weights: HDF5 file of FaceNet's weights for Keras; None: random weights.
        ignored: other arguments of keras.applications.

    Raises:
        OSError: the file does not exist, or is not of this net.
    """
    x = _convolution(input_tensor, 32, 3, "Conv2d_1a_3x3", 2, "valid")
    x = _convolution(x, 32, 3, "Conv2d_2a_3x3", 1, "valid")
    x = _convolution(x, 64, 3, "Conv2d_2b_3x3")
    x = layers.MaxPooling2D(3, 2, name="MaxPool_3a_3x3")(x)
    x = _convolution(x, 80, 1, "Conv2d_3b_1x1", 1, "valid")
    x = _convolution(x, 192, 3, "Conv2d_4a_3x3", 1, "valid")
    x = _convolution(x, 256, 3, "Conv2d_4b_3x3", 2, "valid")
    three: list[Step] = [("0a_1x1", 32, 1), ("0b_3x3", 32, 3), ("0c_3x3", 32, 3)]
    for number in range(1, 6):
        x = _residual(x, f"Block35_{number}", [[("1x1", 32, 1)], three[:2], three], 0.17)
    mixed: list[list[Step]] = [
        [("1a_3x3", 384, 3)],
        [("0a_1x1", 192, 1), ("0b_3x3", 192, 3), ("1a_3x3", 256, 3)],
    ]
    x = _reduced(x, "Mixed_6a", mixed)
    seven: list[Step] = [("0a_1x1", 128, 1), ("0b_1x7", 128, (1, 7)), ("0c_7x1", 128, (7, 1))]
    for number in range(1, 11):
        x = _residual(x, f"Block17_{number}", [[("1x1", 128, 1)], seven], 0.1)
    first: Step = ("0a_1x1", 256, 1)
    mixed = [[first, ("1a_3x3", 384, 3)], [first, ("1a_3x3", 256, 3)]]
    x = _reduced(x, "Mixed_7a", [*mixed, [first, ("0b_3x3", 256, 3), ("1a_3x3", 256, 3)]])
    wide: list[Step] = [("0a_1x1", 192, 1), ("0b_1x3", 192, (1, 3)), ("0c_3x1", 192, (3, 1))]
    for number in range(1, 7):
        last = number == 6
        x = _residual(x, f"Block8_{number}", [[("1x1", 192, 1)], wide], 1.0 if last else 0.2, relu=not last)
    x = layers.GlobalAveragePooling2D(name="AvgPool")(x)
    net = keras.Model(keras.utils.get_source_inputs(input_tensor), x)
    if weights:
        _fill(net, Path(weights))
    return net


def _convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    name: str,
    strides: int = 1,
    padding: str = "same",
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, strides, padding, use_bias=False, name=name)(x)
    return layers.ReLU(name=f"{name}_Activation")(_norm(x, name))


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.995, scale=False, name=f"{name}_BatchNorm")(x)


def _branch(
    x: keras.KerasTensor, steps: Sequence[Step], name: str, reduced: bool = False
) -> keras.KerasTensor:
    """A sequence of convolutions; if `reduced`, the last one has stride 2."""
    for step, filters, kernel in steps:
        halved = reduced and step == steps[-1][0]
        strides, padding = (2, "valid") if halved else (1, "same")
        x = _convolution(x, filters, kernel, f"{name}_Conv2d_{step}", strides, padding)
    return x


def _residual(
    x: keras.KerasTensor, name: str, branches: Sequence[Sequence[Step]], scale: float, relu: bool = True
) -> keras.KerasTensor:
    """A residual block of parallel branches, scaled."""
    parts = [_branch(x, steps, f"{name}_Branch_{number}") for number, steps in enumerate(branches)]
    added = layers.Concatenate(name=f"{name}_Concatenate")(parts)
    added = layers.Conv2D(x.shape[-1], 1, name=f"{name}_Conv2d_1x1")(added)
    x = layers.Add(name=f"{name}_Add")([x, layers.Rescaling(scale, name=f"{name}_Scale")(added)])
    return layers.ReLU(name=f"{name}_Activation")(x) if relu else x


def _reduced(x: keras.KerasTensor, name: str, branches: Sequence[Sequence[Step]]) -> keras.KerasTensor:
    """A reduction block: parallel branches of stride 2, the last one a max pooling."""
    parts = [_branch(x, steps, f"{name}_Branch_{number}", True) for number, steps in enumerate(branches)]
    pool = layers.MaxPooling2D(3, 2, name=f"{name}_Branch_{len(branches)}_MaxPool_1a_3x3")(x)
    return layers.Concatenate(name=name)([*parts, pool])


def _fill(net: keras.Model, path: Path) -> None:
    """Load the weights of every layer by name; only arrays are read from the file."""
    if not path.is_file():
        raise OSError(f"{path}: no such file")
    with h5py.File(path, "r") as file:
        groups = file.get("model_weights", file)
        for layer in net.layers:
            if layer.weights:
                try:
                    group = groups[layer.name]
                    names = np.asarray(group.attrs["weight_names"]).astype(str)
                    layer.set_weights([np.asarray(group[name]) for name in names])
                except (KeyError, ValueError):
                    raise OSError(f"{path}: not FaceNet weights ({layer.name} differs)") from None
