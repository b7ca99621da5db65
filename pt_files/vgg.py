"""VGG-style nets in PyTorch, with the layer names of hierarchy/models/vgg.py."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from hierarchy.config.net_limits import check
from hierarchy.config.schema import VGGConfig
from hierarchy.data.dataset import SIDE
from hierarchy.models.preprocessing import gaussian
from hierarchy.taxonomy import Tree

EPSILON = 1e-3  # of Keras' normalisation
MOMENTUM = 0.1  # share of a new batch in the running statistics


class VGG(nn.Module):
    """A VGG-style net; arguments as in `build.build`.

    Raises:
        InputError: such a net cannot be built.
    """

    def __init__(self, tree: Tree, node: str, net: VGGConfig) -> None:
        super().__init__()
        check(net)
        self.tree, self.node, self.net = tree, node, net
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before, side = 1, net.crop
        for number, stage in enumerate(net.stages, 1):
            for index, width in enumerate(stage, 1):
                name = f"block{number}_conv{index}"
                layers[name] = nn.Conv2d(before, width, 3, padding=net.padding, bias=not net.batch_norm)
                if net.batch_norm:
                    layers[f"{name}_norm"] = nn.BatchNorm2d(width, EPSILON, MOMENTUM)
                layers[f"{name}_relu"] = nn.ReLU()
                before = width
                side -= 2 * (net.padding == "valid")
            layers[f"block{number}_pool"] = nn.MaxPool2d(2)
            side //= 2
            if net.spatial_dropout and number < len(net.stages):
                layers[f"block{number}_drop"] = nn.Dropout2d(net.spatial_dropout)
        self.blur = nn.Conv2d(1, 1, 3, bias=False).requires_grad_(False) if net.blur else None
        self.body = nn.Sequential(layers)
        features = before if net.head == "pool" else before * side**2
        self.head = _head(net, features)
        self.logits = nn.Linear(net.dense[-1] if net.dense else features, len(tree.classes_of(node)))
        layout: dict[str, Any] = {"memory_format": torch.channels_last}  # torch's type hints lack it
        self.to(**layout)
        self.apply(_start)
        nn.init.xavier_uniform_(self.logits.weight)
        if self.blur is not None:
            self.blur.weight.data[:] = torch.from_numpy(gaussian(net.blur))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of faces."""
        margin, border = (SIDE - self.net.crop) // 2, 0 if self.blur is None else 1
        centre = slice(margin - border, margin + self.net.crop + border)
        picture = pixels[:, None, centre, centre].float() / 127.5 - 1.0
        if self.blur is not None:
            with torch.autocast(pixels.device.type, enabled=False):
                picture = self.blur(picture)
        features = self.body(picture.contiguous(memory_format=torch.channels_last))
        if self.net.head == "pool":
            features = features.mean(dim=(2, 3))
        else:
            features = features.permute(0, 2, 3, 1).flatten(1)  # the order of Keras' Flatten
        hidden = self.head(features)
        with torch.autocast(hidden.device.type, enabled=False):  # float32 logits, as in Keras
            return self.logits(hidden.float())


def _head(net: VGGConfig, before: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, width in enumerate(net.dense, 1):
        layers[f"dense{number}_drop"] = nn.Dropout(net.dropout)
        layers[f"dense{number}"] = nn.Linear(before, width, bias=not net.batch_norm)
        if net.batch_norm:
            layers[f"dense{number}_norm"] = nn.BatchNorm1d(width, EPSILON, MOMENTUM)
        layers[f"dense{number}_relu"] = nn.ReLU()
        before = width
    layers["drop"] = nn.Dropout(net.dropout)
    return nn.Sequential(layers)


def _start(layer: nn.Module) -> None:
    """The initialisers of Keras: He normal before a ReLU, Glorot uniform for the logits."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
