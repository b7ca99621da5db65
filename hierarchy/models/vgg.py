"""VGG-style nets: stages of 3x3 convolutions, a 2x2 max pooling after each stage, and a classifier head.

Stock Keras layers only, so that a saved net opens in plain Keras on every backend. Source: Simonyan and
Zisserman, "Very deep convolutional networks" (2015), with batch normalisation.
"""

from typing import Final

import keras
from keras import layers

from hierarchy.config.net_limits import check
from hierarchy.config.schema import ParallelConfig, PartsConfig, VGGConfig, Window
from hierarchy.data.dataset import SIDE
from hierarchy.models.preprocessing import gaussian, prefix, preprocess
from hierarchy.taxonomy import Tree

HEAD: Final = "logits"  # name of the last layer


def build(tree: Tree, node: str, net: VGGConfig, l2: float = 0.0) -> keras.Model:
    """A net with random weights; arguments as in `build.build`.

    Raises:
        InputError: there is no such node, or the net cannot be built.
    """
    check(net)
    pixels = keras.Input((SIDE, SIDE), dtype="uint8", name="pixels")
    ((body, window),) = net.windowed_bodies
    model = _classified(pixels, _features(pixels, body, window, l2), net.dropout, (tree, node), l2)
    set_blur(model, net)
    return model


def parallel(tree: Tree, node: str, net: ParallelConfig | PartsConfig, l2: float = 0.0) -> keras.Model:
    """Several bodies, their features concatenated; arguments and errors as in `build`."""
    check(net)
    pixels = keras.Input((SIDE, SIDE), dtype="uint8", name="pixels")
    features = [_features(pixels, *view, l2, prefix(place)) for place, view in enumerate(net.windowed_bodies)]
    x = layers.Concatenate(name="features")(features) if len(features) > 1 else features[0]
    model = _classified(pixels, x, net.dropout, (tree, node), l2)
    for place, (body, _) in enumerate(net.windowed_bodies):
        set_blur(model, body, prefix(place))
    return model


def set_blur(model: keras.Model, net: VGGConfig, before: str = "") -> None:
    """Give the blur of a net's body its fixed kernel."""
    if net.blur:
        model.get_layer(f"{before}blur").set_weights([gaussian(net.blur)[:, :, None, None]])


def _classified(
    pixels: keras.KerasTensor, x: keras.KerasTensor, dropout: float, place: tuple[Tree, str], l2: float
) -> keras.Model:
    """The model from pixels through features to the logits of a tree's node."""
    tree, node = place
    x = layers.Dropout(dropout, name="drop")(x)
    classes = len(tree.classes_of(node))
    logits = layers.Dense(classes, kernel_regularizer=_penalty(l2), dtype="float32", name=HEAD)(x)
    return keras.Model(pixels, logits, name=node)


def _penalty(l2: float) -> keras.regularizers.Regularizer | None:
    return keras.regularizers.L2(l2) if l2 else None


def _features(
    pixels: keras.KerasTensor, net: VGGConfig, window: Window, l2: float, before: str = ""
) -> keras.KerasTensor:
    """The features of a body, float[N, F]; the names of its layers begin with `before`."""
    weights = {
        "use_bias": not net.batch_norm,
        "kernel_initializer": "he_normal",
        "kernel_regularizer": _penalty(l2),
    }
    x = preprocess(pixels, window, net.blur, before)
    for number, stage in enumerate(net.stages, 1):
        for index, width in enumerate(stage, 1):
            name = f"{before}block{number}_conv{index}"
            x = _activated(layers.Conv2D(width, 3, padding=net.padding, name=name, **weights), x, net)
        x = layers.MaxPooling2D(name=f"{before}block{number}_pool")(x)
        if net.spatial_dropout and number < len(net.stages):
            x = layers.SpatialDropout2D(net.spatial_dropout, name=f"{before}block{number}_drop")(x)
    if net.head == "pool":
        x = layers.GlobalAveragePooling2D(name=f"{before}average")(x)
    else:
        x = layers.Flatten(name=f"{before}flatten")(x)
    for number, width in enumerate(net.dense, 1):
        x = layers.Dropout(net.dropout, name=f"{before}dense{number}_drop")(x)
        x = _activated(layers.Dense(width, name=f"{before}dense{number}", **weights), x, net)
    return x


def _activated(layer: keras.Layer, x: keras.KerasTensor, net: VGGConfig) -> keras.KerasTensor:
    """A layer, batch normalisation where the net has it, and a ReLU."""
    x = layer(x)
    if net.batch_norm:
        x = layers.BatchNormalization(momentum=0.9, name=f"{layer.name}_norm")(x)
    return layers.ReLU(name=f"{layer.name}_relu")(x)
