"""From a recipe's description of a net to the net: of the VGG-style family, or on a published body."""

from typing import Any

import keras
import numpy as np
from keras import layers

from hierarchy.config.schema import PretrainedConfig, VGGConfig, without_weights
from hierarchy.models import pretrained, vgg
from hierarchy.taxonomy import members


def build(node: str, net: VGGConfig | PretrainedConfig, l2: float = 0.0, kit: Any = layers) -> keras.Model:
    """A net uint8[N,48,48] -> logits float32[N, classes of the node].

    Args:
        node: which of the tree's nodes it serves.
        net: what it is made of.
        l2: penalty on every kernel of the VGG-style family.
        kit: where that family's layers come from.

    Raises:
        InputError: such a net cannot be built, or its published weights cannot be had.
    """
    if isinstance(net, PretrainedConfig):
        return pretrained.build(node, net)
    return vgg.build(node, net, l2, kit)


def empty(node: str, net: VGGConfig | PretrainedConfig) -> keras.Model:
    """The same net in Keras' own layers and of random weights: others are about to be filled in."""
    return build(node, without_weights(net))


def freeze(net: keras.Model) -> None:
    """Leave only the head, dense layers and logits, to be fitted."""
    head = _head(net)
    for layer in net.layers:
        layer.trainable = layer in head


def split(net: keras.Model) -> tuple[keras.Model, keras.Model]:
    """A net as two that share its layers: from faces to features, and from these to logits."""
    head = _head(net)
    features = head[0].input
    x = first = keras.Input(features.shape[1:], dtype=features.dtype)
    for layer in head:
        x = layer(x)
    return keras.Model(net.input, features), keras.Model(first, x)


def _head(net: keras.Model) -> list[keras.Layer]:
    """The layers after the features, one after another."""
    return [each for each in net.layers if each.name.startswith("dense") or each.name in ("drop", vgg.HEAD)]


def warm_start(net: keras.Model, flat: keras.Model) -> None:
    """Give a net the weights of a flat net of the same shape.

    Bodies are copied; a flat net's and a specialist's logits start as the flat net's for their leaves, the
    router's as the mean over each branch's leaves.
    """
    for target, source in zip(net.layers, flat.layers, strict=True):
        if target.name != vgg.HEAD:
            target.set_weights(source.get_weights())
    kernel, bias = flat.get_layer(vgg.HEAD).get_weights()
    groups = members(net.name)
    columns = np.stack([kernel[:, group].mean(axis=1) for group in groups], axis=1)
    net.get_layer(vgg.HEAD).set_weights([columns, np.array([bias[group].mean() for group in groups])])


def macs(net: keras.Model) -> int:
    """Multiplications that a net needs for one face, those of convolutions and dense layers."""
    kernels = [layer for layer in net.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    return sum(int(np.prod(each.kernel.shape) * np.prod(each.output.shape[1:-1])) for each in kernels)
