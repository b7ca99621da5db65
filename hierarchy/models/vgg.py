"""VGG-style nets: stages of 3x3 convolutions, a 2x2 max pooling after each stage, and a classifier head.

Stock Keras layers only, so that a saved net opens in plain Keras on every backend. Source: Simonyan and
Zisserman, "Very deep convolutional networks" (2015), with batch normalisation.
"""

from typing import Final

import keras
from keras import layers

from hierarchy.config.net_limits import check
from hierarchy.config.schema import VGGConfig
from hierarchy.data.dataset import SIDE
from hierarchy.models.preprocessing import gaussian, preprocess
from hierarchy.taxonomy import Tree

HEAD: Final = "logits"  # name of the last layer


def build(tree: Tree, node: str, net: VGGConfig, l2: float = 0.0) -> keras.Model:
    """A net with random weights; arguments as in `build.build`.

    Raises:
        InputError: there is no such node, or the net cannot be built.
    """
    check(net)
    classes = len(tree.classes_of(node))
    penalty = keras.regularizers.L2(l2) if l2 else None
    weights = {
        "use_bias": not net.batch_norm,
        "kernel_initializer": "he_normal",
        "kernel_regularizer": penalty,
    }
    pixels = keras.Input((SIDE, SIDE), dtype="uint8", name="pixels")
    x = preprocess(pixels, net.crop, net.blur)
    for number, stage in enumerate(net.stages, 1):
        for index, width in enumerate(stage, 1):
            name = f"block{number}_conv{index}"
            x = _activated(layers.Conv2D(width, 3, padding=net.padding, name=name, **weights), x, net)
        x = layers.MaxPooling2D(name=f"block{number}_pool")(x)
        if net.spatial_dropout and number < len(net.stages):
            x = layers.SpatialDropout2D(net.spatial_dropout, name=f"block{number}_drop")(x)
    pool = net.head == "pool"
    x = layers.GlobalAveragePooling2D(name="average")(x) if pool else layers.Flatten(name="flatten")(x)
    for number, width in enumerate(net.dense, 1):
        x = layers.Dropout(net.dropout, name=f"dense{number}_drop")(x)
        x = _activated(layers.Dense(width, name=f"dense{number}", **weights), x, net)
    x = layers.Dropout(net.dropout, name="drop")(x)
    logits = layers.Dense(classes, kernel_regularizer=penalty, dtype="float32", name=HEAD)(x)
    model = keras.Model(pixels, logits, name=node)
    if net.blur:
        model.get_layer("blur").set_weights([gaussian(net.blur)[:, :, None, None]])
    return model


def _activated(layer: keras.Layer, x: keras.KerasTensor, net: VGGConfig) -> keras.KerasTensor:
    """A layer, batch normalisation where the net has it, and a ReLU."""
    x = layer(x)
    if net.batch_norm:
        x = layers.BatchNormalization(momentum=0.9, name=f"{layer.name}_norm")(x)
    return layers.ReLU(name=f"{layer.name}_relu")(x)
