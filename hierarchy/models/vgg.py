"""VGG-style nets: stages of 3x3 convolutions, a 2x2 max pooling after each stage, and a classifier head.

Stock Keras layers only, so that a saved net opens in plain Keras on every backend. Source: Simonyan and
Zisserman, "Very deep convolutional networks" (2015), with batch normalisation.
"""

from typing import Any, Final

import keras
from keras import layers

from hierarchy.config.schema import VGGConfig, check
from hierarchy.data.dataset import SIDE
from hierarchy.models.preprocessing import gaussian, preprocess
from hierarchy.taxonomy import Tree

HEAD: Final = "logits"  # name of the last layer


def build(tree: Tree, node: str, net: VGGConfig, l2: float = 0.0, kit: Any = layers) -> keras.Model:
    """A net with random weights, uint8[N,48,48] -> logits float32[N, classes of the node].

    Args:
        tree: of the node.
        node: name of the net; its classes give the number of logits.
        net: stages and head.
        l2: penalty on every kernel.
        kit: module that provides Conv2D, BatchNormalization and MaxPooling2D: Keras, or `torch_layers`.

    Raises:
        InputError: there is no such node, or the net cannot be built.
    """
    check(net)
    classes = len(tree.classes_of(node))
    penalty = keras.regularizers.L2(l2) if l2 else None
    pixels = keras.Input((SIDE, SIDE), dtype="uint8", name="pixels")
    x = preprocess(pixels, net.crop, net.blur, kit)
    for number, stage in enumerate(net.stages, 1):
        for index, width in enumerate(stage, 1):
            x = _convolution(x, width, f"block{number}_conv{index}", net, penalty, kit)
        x = kit.MaxPooling2D(name=f"block{number}_pool")(x)
        if net.spatial_dropout and number < len(net.stages):
            x = layers.SpatialDropout2D(net.spatial_dropout, name=f"block{number}_drop")(x)
    x = _head(x, net, penalty, kit)
    logits = layers.Dense(classes, kernel_regularizer=penalty, dtype="float32", name=HEAD)(x)
    model = keras.Model(pixels, logits, name=node)
    if net.blur:
        model.get_layer("blur").set_weights([gaussian(net.blur)[:, :, None, None]])
    return model


def _convolution(
    x: keras.KerasTensor, width: int, name: str, net: VGGConfig, penalty: object, kit: Any
) -> keras.KerasTensor:
    x = kit.Conv2D(
        width,
        3,
        padding=net.padding,
        use_bias=not net.batch_norm,
        kernel_initializer="he_normal",
        kernel_regularizer=penalty,
        name=name,
    )(x)
    if net.batch_norm:
        x = kit.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _head(x: keras.KerasTensor, net: VGGConfig, penalty: object, kit: Any) -> keras.KerasTensor:
    pool = net.head == "pool"
    x = layers.GlobalAveragePooling2D(name="average")(x) if pool else layers.Flatten(name="flatten")(x)
    for number, width in enumerate(net.dense, 1):
        x = layers.Dropout(net.dropout, name=f"dense{number}_drop")(x)
        x = layers.Dense(
            width,
            use_bias=not net.batch_norm,
            kernel_initializer="he_normal",
            kernel_regularizer=penalty,
            name=f"dense{number}",
        )(x)
        if net.batch_norm:
            x = kit.BatchNormalization(momentum=0.9, name=f"dense{number}_norm")(x)
        x = layers.ReLU(name=f"dense{number}_relu")(x)
    return layers.Dropout(net.dropout, name="drop")(x)
