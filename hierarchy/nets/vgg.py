"""The VGG-style family: stages of 3x3 convolutions, each halved by a pool, and a head that gives logits.

Built from stock Keras layers only, so that a saved net opens in plain Keras on every backend. Source of the
style: Simonyan and Zisserman, "Very deep convolutional networks" (2015), with batch normalisation.
"""

import keras
import numpy as np
from keras import layers

from hierarchy.data.faces import SIDE
from hierarchy.errors import InputError
from hierarchy.nets.preprocess import preprocess
from hierarchy.recipes import Net
from hierarchy.taxonomy import LEAVES, ROUTER, branch_of, classes_of

HEAD = "logits"  # the last layer


def build(node: str, net: Net, l2: float = 0.0) -> keras.Model:
    """A net of random weights, uint8[N,48,48] -> logits float32[N, classes of the node].

    Args:
        node: which of the tree's nodes it serves; gives the number of logits.
        net: stages and head.
        l2: penalty on every kernel.

    Raises:
        InputError: such a net cannot be built.
    """
    _check(net)
    penalty = keras.regularizers.L2(l2) if l2 else None
    pixels = keras.Input((SIDE, SIDE), dtype="uint8", name="pixels")
    x = preprocess(pixels, net.crop)
    for stage in net.stages:
        for width in stage:
            x = _convolution(x, width, net, penalty)
        x = layers.MaxPooling2D()(x)
        if net.spatial_dropout and stage is not net.stages[-1]:
            x = layers.SpatialDropout2D(net.spatial_dropout)(x)
    logits = layers.Dense(len(classes_of(node)), kernel_regularizer=penalty, name=HEAD)(
        _head(x, net, penalty)
    )
    return keras.Model(pixels, logits, name=node)


def warm_start(net: keras.Model, flat: keras.Model) -> None:
    """Give a router or specialist the weights of a flat net of the same shape.

    Bodies are copied; a specialist's logits start as the flat net's for its leaves, the router's as the
    mean over each branch's leaves.
    """
    for target, source in zip(net.layers, flat.layers, strict=True):
        if target.name != HEAD:
            target.set_weights(source.get_weights())
    kernel, bias = flat.get_layer(HEAD).get_weights()
    groups = [
        [i for i, leaf in enumerate(LEAVES) if name == (branch_of(leaf) if net.name == ROUTER else leaf)]
        for name in classes_of(net.name)
    ]
    columns = np.stack([kernel[:, group].mean(axis=1) for group in groups], axis=1)
    net.get_layer(HEAD).set_weights([columns, np.array([bias[group].mean() for group in groups])])


def _check(net: Net) -> None:
    side = net.crop
    for stage in net.stages:
        side = (side - 2 * len(stage) * (net.padding == "valid")) // 2
    if side < 1 or net.crop > SIDE:
        raise InputError(f"net.crop={net.crop}: at most {SIDE}, and enough for the halvings of {net.stages}")


def _convolution(x: keras.KerasTensor, width: int, net: Net, penalty: object) -> keras.KerasTensor:
    x = layers.Conv2D(
        width,
        3,
        padding=net.padding,
        use_bias=not net.batch_norm,
        kernel_initializer="he_normal",
        kernel_regularizer=penalty,
    )(x)
    if net.batch_norm:
        x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x)


def _head(x: keras.KerasTensor, net: Net, penalty: object) -> keras.KerasTensor:
    x = layers.GlobalAveragePooling2D()(x) if net.head == "pool" else layers.Flatten()(x)
    for width in net.dense:
        x = layers.Dropout(net.dropout)(x)
        x = layers.Dense(
            width, use_bias=not net.batch_norm, kernel_initializer="he_normal", kernel_regularizer=penalty
        )(x)
        if net.batch_norm:
            x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    return layers.Dropout(net.dropout)(x)
