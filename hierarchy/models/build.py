"""Build the net that a recipe describes: VGG-style, or a pretrained backbone with a head."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

import keras
import numpy as np
from keras import layers

from hierarchy.config.schema import NetConfig, ParallelConfig, PartsConfig, PretrainedConfig, without_weights
from hierarchy.errors import InputError
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


def freeze(net: keras.Model, last: str = "") -> None:
    """Freeze a net's layers up to `last`; without it, all but the head (dense layers and logits).

    Raises:
        InputError: as `split`.
    """
    _, trained = split(net, last)
    for layer in net.layers:
        layer.trainable = layer in trained.layers


def split(net: keras.Model, last: str = "") -> tuple[keras.Model, keras.Model]:
    """Split a net into two that share its layers: pixels -> features, and features -> logits.

    Args:
        net: a functional model.
        last: name of the layer whose output the features are; "": that before the head.

    Raises:
        InputError: there is no such layer, or others pass it by.
    """
    names = [layer.name for layer in net.layers]
    head = next(name for name in names if name.startswith("dense") or name in ("drop", vgg.HEAD))
    if last and last not in names[: names.index(head)]:
        near = get_close_matches(last, names, 1, 0)
        raise InputError(f"net.freeze_to={last}: no layer of the backbone, such as {near[0]}")
    features = net.get_layer(last).output if last else net.get_layer(head).input
    try:
        return keras.Model(net.input, features), keras.Model(features, net.output)
    except ValueError:
        raise InputError(f"net.freeze_to={last}: other layers pass it by; name the end of a block") from None


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
