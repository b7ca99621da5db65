"""Build the net that a recipe describes: VGG-style, or a pretrained backbone with a head."""

from collections.abc import Sequence
from typing import Final

import keras
import numpy as np
from keras import layers

from hierarchy.config.schema import NetConfig, ParallelConfig, PartsConfig, PretrainedConfig, without_weights
from hierarchy.models import preprocessing, pretrained, vgg
from hierarchy.taxonomy import Tree

COUNTED: Final = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)  # for `macs`


def build(tree: Tree, node: str, net: NetConfig, l2: float = 0.0) -> keras.Model:
    """A net uint8[N,48,48] -> logits float32[N, classes of the node].

    Args:
        tree: of the node.
        node: name of the net; its classes give the number of logits.
        net: its layers.
        l2: penalty on every kernel, VGG-style nets only.

    Raises:
        InputError: the net cannot be built, or its pretrained weights are not available.
    """
    if isinstance(net, PretrainedConfig):
        return pretrained.build(tree, node, net)
    if isinstance(net, ParallelConfig | PartsConfig):
        return vgg.parallel(tree, node, net, l2)
    return vgg.build(tree, node, net, l2)


def empty(tree: Tree, node: str, net: NetConfig) -> keras.Model:
    """The same net in stock Keras layers with random weights, to load stored weights into."""
    return build(tree, node, without_weights(net))


def freeze(net: keras.Model) -> None:
    """Freeze everything but the head (dense layers and logits)."""
    head = _head(net)
    for layer in net.layers:
        layer.trainable = layer in head


def split(net: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a net into two that share its layers: pixels -> features, and features -> logits."""
    head = _head(net)
    features = head[0].input
    x = first = keras.Input(features.shape[1:], dtype=features.dtype)
    for layer in head:
        x = layer(x)
    return keras.Model(net.input, features), keras.Model(first, x)


def _head(net: keras.Model) -> list[keras.Layer]:
    """The layers after the features, in order."""
    return [each for each in net.layers if each.name.startswith("dense") or each.name in ("drop", vgg.HEAD)]


def warm_start(tree: Tree, net: keras.Model, flats: Sequence[keras.Model]) -> None:
    """Initialise a net from a flat net of the same layers, or one of several bodies from a flat net for each.

    The weights of a class' logit are the mean over the flat net's leaves of that class: for the router, over
    each branch. Several flat nets give the mean of their logits.
    """
    kernels, biases = [], []
    groups = tree.members(net.name)
    for place, flat in enumerate(flats):
        before = preprocessing.prefix(place) if len(flats) > 1 else ""
        for source in flat.layers:
            if source.name not in (vgg.HEAD, "pixels", "drop"):
                net.get_layer(f"{before}{source.name}").set_weights(source.get_weights())
        kernel, bias = flat.get_layer(vgg.HEAD).get_weights()
        kernels.append(np.stack([kernel[:, group].mean(axis=1) for group in groups], axis=1))
        biases.append([bias[group].mean() for group in groups])
    kernel = np.concatenate(kernels) / len(flats)
    net.get_layer(vgg.HEAD).set_weights([kernel, np.mean(biases, axis=0)])


def macs(net: keras.Model) -> int:
    """Multiplications per face, in convolutions (depthwise ones too) and dense layers."""
    kernels = [layer for layer in net.layers if isinstance(layer, COUNTED)]
    return sum(int(np.prod(each.kernel.shape) * np.prod(each.output.shape[1:-1])) for each in kernels)
