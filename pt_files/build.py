"""Nets from their configurations, and their size and cost."""

import torch
from torch import nn
from torch.nn import functional

from hierarchy.config.schema import PretrainedConfig, VGGConfig, without_weights
from hierarchy.data.dataset import SIDE
from hierarchy.taxonomy import Tree
from pt_files.pretrained import Backboned
from pt_files.vgg import VGG

Built = VGG | Backboned


def build(tree: Tree, node: str, net: VGGConfig | PretrainedConfig) -> Built:
    """A net uint8[N,48,48] -> logits float32[N, classes of the node].

    Args:
        tree: of the node.
        node: name of the net.
        net: its configuration.

    Raises:
        InputError: such a net cannot be built, or its pretrained weights are not available.
    """
    return Backboned(tree, node, net) if isinstance(net, PretrainedConfig) else VGG(tree, node, net)


def empty(tree: Tree, node: str, net: VGGConfig | PretrainedConfig) -> Built:
    """The same net with random weights, to load others into."""
    return build(tree, node, without_weights(net))


def parameters(net: Built) -> int:
    """Number of weights, running statistics included, as Keras counts."""
    return sum(value.numel() for value in net.state_dict().values() if value.is_floating_point())


def macs(net: Built) -> int:
    """Multiply-accumulates of convolutions and dense layers for one face."""
    counted = []

    def count(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        weight = layer.get_parameter("weight")
        counted.append(weight.numel() * out[0].numel() // len(weight))

    hooks = [
        layer.register_forward_hook(count)
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        net.eval()(torch.zeros(1, SIDE, SIDE, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return sum(counted)


def penalty(net: Built, l2: float) -> torch.Tensor:
    """The sum of squares of all kernels, times `l2`."""
    kernels = [parameter for parameter in net.parameters() if parameter.ndim > 1 and parameter.requires_grad]
    return (
        l2
        * torch.stack([functional.mse_loss(k, torch.zeros_like(k), reduction="sum") for k in kernels]).sum()
    )
