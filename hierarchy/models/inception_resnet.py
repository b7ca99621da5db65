"""Inception-ResNet v1, the architecture of FaceNet, which no maintained library has for Keras 3.

Szegedy et al., "Inception-v4, Inception-ResNet and the impact of residual connections" (2017), in the
form of D. Sandberg's facenet; layers have the names of its weights files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import keras
import numpy as np
from keras import KerasTensor as Tensor
from keras import layers

Branch = dict[str, int]  # filters of its convolutions by the ends of their names, which hold the kernels

BLOCK35: Final[list[Branch]] = [
    {"1x1": 32},
    {"0a_1x1": 32, "0b_3x3": 32},
    {"0a_1x1": 32, "0b_3x3": 32, "0c_3x3": 32},
]
BLOCK17: Final[list[Branch]] = [{"1x1": 128}, {"0a_1x1": 128, "0b_1x7": 128, "0c_7x1": 128}]
BLOCK8: Final[list[Branch]] = [{"1x1": 192}, {"0a_1x1": 192, "0b_1x3": 192, "0c_3x1": 192}]
MIXED_6A: Final[list[Branch]] = [{"1a_3x3": 384}, {"0a_1x1": 192, "0b_3x3": 192, "1a_3x3": 256}]
MIXED_7A: Final[list[Branch]] = [
    {"0a_1x1": 256, "1a_3x3": 384},
    {"0a_1x1": 256, "1a_3x3": 256},
    {"0a_1x1": 256, "0b_3x3": 256, "1a_3x3": 256},
]


def inception_resnet_v1(*, input_tensor: Tensor, weights: str | None = None, **ignored: Any) -> keras.Model:
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
    x = _convolution(input_tensor, "Conv2d_1a_3x3", 32, 2, "valid")
    x = _convolution(x, "Conv2d_2a_3x3", 32, 1, "valid")
    x = _convolution(x, "Conv2d_2b_3x3", 64)
    x = layers.MaxPooling2D(3, 2, name="MaxPool_3a_3x3")(x)
    x = _convolution(x, "Conv2d_3b_1x1", 80, 1, "valid")
    x = _convolution(x, "Conv2d_4a_3x3", 192, 1, "valid")
    x = _convolution(x, "Conv2d_4b_3x3", 256, 2, "valid")
    for number in range(1, 6):
        x = _residual(x, f"Block35_{number}", BLOCK35, 0.17)
    x = _reduced(x, "Mixed_6a", MIXED_6A)
    for number in range(1, 11):
        x = _residual(x, f"Block17_{number}", BLOCK17, 0.1)
    x = _reduced(x, "Mixed_7a", MIXED_7A)
    for number in range(1, 6):
        x = _residual(x, f"Block8_{number}", BLOCK8, 0.2)
    x = _residual(x, "Block8_6", BLOCK8, 1.0, relu=False)
    x = layers.GlobalAveragePooling2D(name="AvgPool")(x)
    net = keras.Model(keras.utils.get_source_inputs(input_tensor), x)
    if weights:
        _fill(net, Path(weights))
    return net


def _convolution(x: Tensor, name: str, filters: int, strides: int = 1, padding: str = "same") -> Tensor:
    kernel = [int(side) for side in name[-3:].split("x")]
    x = layers.Conv2D(filters, kernel, strides, padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.995, scale=False, name=f"{name}_BatchNorm")(x)
    return layers.ReLU(name=f"{name}_Activation")(x)


def _branches(x: Tensor, name: str, branches: Sequence[Branch]) -> list[Tensor]:
    """Parallel sequences of convolutions; those whose name has 1a are of stride 2."""
    outputs = []
    for number, steps in enumerate(branches):
        y = x
        for step, filters in steps.items():
            strides, padding = (2, "valid") if step.startswith("1a") else (1, "same")
            y = _convolution(y, f"{name}_Branch_{number}_Conv2d_{step}", filters, strides, padding)
        outputs.append(y)
    return outputs


def _residual(x: Tensor, name: str, branches: Sequence[Branch], scale: float, relu: bool = True) -> Tensor:
    """A residual block of parallel branches, scaled."""
    added = layers.Concatenate(name=f"{name}_Concatenate")(_branches(x, name, branches))
    added = layers.Conv2D(x.shape[-1], 1, name=f"{name}_Conv2d_1x1")(added)
    x = layers.Add(name=f"{name}_Add")([x, layers.Rescaling(scale, name=f"{name}_Scale")(added)])
    return layers.ReLU(name=f"{name}_Activation")(x) if relu else x


def _reduced(x: Tensor, name: str, branches: Sequence[Branch]) -> Tensor:
    """A reduction block: parallel branches of stride 2, the last one a max pooling."""
    pool = layers.MaxPooling2D(3, 2, name=f"{name}_Branch_{len(branches)}_MaxPool_1a_3x3")
    return layers.Concatenate(name=name)([*_branches(x, name, branches), pool(x)])


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
