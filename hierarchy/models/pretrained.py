"""Pretrained backbones of keras.applications: faces are resized and normalised as in their training."""

from collections.abc import Callable
from typing import Final

import keras
from keras import layers

from hierarchy.config.backbones import BACKBONES
from hierarchy.config.schema import PretrainedConfig
from hierarchy.data.dataset import SIDE
from hierarchy.errors import InputError, first_line
from hierarchy.models.inception_resnet import inception_resnet_v1
from hierarchy.models.vgg import HEAD
from hierarchy.taxonomy import Tree

BUILDERS: Final[dict[str, Callable[..., keras.Model]]] = {
    "vgg16": keras.applications.VGG16,
    "densenet121": keras.applications.DenseNet121,
    "facenet": inception_resnet_v1,
}


def build(tree: Tree, node: str, net: PretrainedConfig) -> keras.Model:
    """The backbone with a head for a node; arguments as in `build.build`.

    Raises:
        InputError: the weights are not available.
    """
    if net.backbone not in BUILDERS:
        raise InputError(f"net.backbone={net.backbone}: expected one of {', '.join(BUILDERS)}")
    about = BACKBONES[net.backbone]
    pixels = keras.Input((SIDE, SIDE), dtype="uint8", name="pixels")
    x = layers.Reshape((SIDE, SIDE, 1), name="picture")(pixels)
    x = layers.Resizing(net.side, net.side, name="enlarged")(x)
    x = layers.Concatenate(name="coloured")([x] * 3)
    scale = [1 / (255 * one) for one in about.deviation]
    offset = [-mean / one for mean, one in zip(about.mean, about.deviation, strict=True)]
    x = layers.Rescaling(scale, offset, name="scale")(x)
    x = layers.Dropout(net.dropout, name="drop")(_features(x, net))
    logits = layers.Dense(len(tree.classes_of(node)), dtype="float32", name=HEAD)(x)
    return keras.Model(pixels, logits, name=node)


def _features(x: keras.KerasTensor, net: PretrainedConfig) -> keras.KerasTensor:
    """The backbone's pooled features, float32[N, channels]."""
    named = {"random": None, "hub": BACKBONES[net.backbone].hub or "hub"}
    weights = named.get(net.weights, net.weights)
    try:
        body = BUILDERS[net.backbone](include_top=False, weights=weights, input_tensor=x, pooling="avg")
    except Exception as error:  # downloads fail with errors of many types
        reason = first_line(error)
        if weights is None:
            raise InputError(f"net.side={net.side}: {net.backbone} cannot be built ({reason})") from None
        raise InputError(
            f"net.weights={net.weights}: not weights of {net.backbone} ({reason}); "
            "expected hub (downloaded), a file, or random"
        ) from None
    return body.output
