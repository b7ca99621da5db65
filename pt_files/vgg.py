"""VGG-style nets in PyTorch, of one body or of several, with the layer names of hierarchy/models/vgg.py."""

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from hierarchy.config.net_limits import check
from hierarchy.config.schema import PartsConfig, VGGConfig, Window
from hierarchy.models.preprocessing import gaussian, prefix
from hierarchy.taxonomy import Tree

EPSILON = 1e-3  # of Keras' normalisation
MOMENTUM = 0.1  # share of a new batch in the running statistics


class Body(nn.Module):
    """From pixels uint8[N,48,48] to features float[N, width].

    Args:
        net: its layers.
        window: the part of the face that it looks at.
    """

    def __init__(self, net: VGGConfig, window: Window) -> None:
        super().__init__()
        self.net, self.window = net, window
        left, top, right, bottom = window
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before, sides = 1, [bottom - top, right - left]
        for number, stage in enumerate(net.stages, 1):
            for index, width in enumerate(stage, 1):
                name = f"block{number}_conv{index}"
                layers[name] = nn.Conv2d(before, width, 3, padding=net.padding, bias=not net.batch_norm)
                if net.batch_norm:
                    layers[f"{name}_norm"] = nn.BatchNorm2d(width, EPSILON, MOMENTUM)
                layers[f"{name}_relu"] = nn.ReLU()
                before = width
                sides = [side - 2 * (net.padding == "valid") for side in sides]
            layers[f"block{number}_pool"] = nn.MaxPool2d(2)
            sides = [side // 2 for side in sides]
            if net.spatial_dropout and number < len(net.stages):
                layers[f"block{number}_drop"] = nn.Dropout2d(net.spatial_dropout)
        self.blur = nn.Conv2d(1, 1, 3, bias=False).requires_grad_(False) if net.blur else None
        self.body = nn.Sequential(layers)
        features = before if net.head == "pool" else before * math.prod(sides)
        self.head = _head(net, features)
        self.width = net.dense[-1] if net.dense else features

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """The features of faces."""
        left, top, right, bottom = self.window
        border = 0 if self.blur is None else 1
        window = pixels[:, None, top - border : bottom + border, left - border : right + border]
        picture = window.float() / 127.5 - 1.0
        if self.blur is not None:
            with torch.autocast(pixels.device.type, enabled=False):
                picture = self.blur(picture)
        features = self.body(picture.contiguous(memory_format=torch.channels_last))
        if self.net.head == "pool":
            features = features.mean(dim=(2, 3))
        else:
            features = features.permute(0, 2, 3, 1).flatten(1)  # the order of Keras' Flatten
        return self.head(features)


class VGG(Body):
    """A VGG-style net of one body; arguments as in `build.build`.

    Raises:
        InputError: such a net cannot be built.
    """

    net: VGGConfig

    def __init__(self, tree: Tree, node: str, net: VGGConfig) -> None:
        check(net)
        super().__init__(*net.windowed_bodies[0])
        self.tree, self.node = tree, node
        self.drop = nn.Dropout(net.dropout)
        self.logits = nn.Linear(self.width, len(tree.classes_of(node)))
        _start(self)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of faces."""
        return _classified(self, self.features(pixels))


class Parallel(nn.Module):
    """A net of several bodies; arguments as in `build.build`.

    Raises:
        InputError: such a net cannot be built.
    """

    def __init__(self, tree: Tree, node: str, net: PartsConfig) -> None:
        super().__init__()
        check(net)
        self.tree, self.node, self.net = tree, node, net
        bodies = [Body(*each) for each in net.windowed_bodies]
        self.body = nn.ModuleDict({prefix(place): body for place, body in enumerate(bodies)})
        self.drop = nn.Dropout(net.dropout)
        self.logits = nn.Linear(sum(body.width for body in bodies), len(tree.classes_of(node)))
        _start(self)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of faces."""
        bodies: Any = self.body.values()
        return _classified(self, torch.cat([body.features(pixels) for body in bodies], dim=1))


def _classified(net: VGG | Parallel, features: torch.Tensor) -> torch.Tensor:
    features = net.drop(features)
    with torch.autocast(features.device.type, enabled=False):  # float32 logits, as in Keras
        return net.logits(features.float())


def _head(net: VGGConfig, before: int) -> nn.Sequential:
    """The hidden layers before the logits."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, width in enumerate(net.dense, 1):
        layers[f"dense{number}_drop"] = nn.Dropout(net.dropout)
        layers[f"dense{number}"] = nn.Linear(before, width, bias=not net.batch_norm)
        if net.batch_norm:
            layers[f"dense{number}_norm"] = nn.BatchNorm1d(width, EPSILON, MOMENTUM)
        layers[f"dense{number}_relu"] = nn.ReLU()
        before = width
    return nn.Sequential(layers)


def _start(net: VGG | Parallel) -> None:
    """Memory layout and Keras' initialisers: He normal before a ReLU, Glorot uniform for the logits."""
    layout: dict[str, Any] = {"memory_format": torch.channels_last}  # torch's type hints lack it
    net.to(**layout)
    net.apply(_filled)
    nn.init.xavier_uniform_(net.logits.weight)
    for body in net.modules():
        if isinstance(body, Body) and body.blur is not None:
            body.blur.weight.data[:] = torch.from_numpy(gaussian(body.net.blur))


def _filled(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
