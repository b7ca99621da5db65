"""Nets from their configurations, and their size and cost."""

from difflib import get_close_matches

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hierarchy.config.schema import NetConfig, ParallelConfig, PartsConfig, PretrainedConfig, without_weights
from hierarchy.data.dataset import SIDE
from hierarchy.errors import InputError
from hierarchy.taxonomy import Tree
from pt_files.pretrained import Backboned
from pt_files.vgg import VGG, Parallel

Built = VGG | Parallel | Backboned
COUNTED = (torch.ops.aten.convolution, torch.ops.aten.addmm, torch.ops.aten.mm)  # for `macs`


def build(tree: Tree, node: str, net: NetConfig) -> Built:
    """A net uint8[N,48,48] -> logits float32[N, classes of the node]; arguments as in `models.build`.

    Raises:
        InputError: such a net cannot be built, or its pretrained weights are not available.
    """
    if isinstance(net, ParallelConfig):
        raise InputError("net.bodies needs Keras")
    if isinstance(net, PartsConfig):
        return Parallel(tree, node, net)
    return Backboned(tree, node, net) if isinstance(net, PretrainedConfig) else VGG(tree, node, net)


def empty(tree: Tree, node: str, net: NetConfig) -> Built:
    """The same net with random weights, to load others into."""
    return build(tree, node, without_weights(net))


def frozen(net: Built, last: str = "") -> list[nn.Module]:
    """The modules that training leaves as they are: the body up to `last` in its order; "": all of it.

    Raises:
        InputError: the body has no such module.
    """
    if not last:
        return [net.body]
    modules = dict(net.body.named_modules())
    names = [name for name in modules if name]
    if last not in names:
        near = get_close_matches(last, names, 1, 0)
        raise InputError(f"net.freeze_to={last}: no module of the backbone, such as {near[0]}")
    inside = [name for name in names if f"{name}.".startswith(f"{last}.")]
    end = names.index(inside[-1]) + 1
    later = names[end:]
    return [modules[name] for name in names[:end] if not any(each.startswith(f"{name}.") for each in later)]


def parameters(net: Built) -> int:
    """Number of weights, running statistics included, as Keras counts."""
    return sum(value.numel() for value in net.state_dict().values() if value.is_floating_point())


def macs(net: Built) -> int:
    """Multiply-accumulates of convolutions and dense layers for one face."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(torch.zeros(1, SIDE, SIDE, dtype=torch.uint8))
    flops = counter.get_flop_counts()["Global"]
    return sum(flops.get(kind, 0) for kind in COUNTED) // 2


def penalty(net: Built, l2: float) -> torch.Tensor:
    """The sum of squares of all kernels, times `l2`."""
    kernels = [parameter for parameter in net.parameters() if parameter.ndim > 1 and parameter.requires_grad]
    return l2 * torch.stack([kernel.square().sum() for kernel in kernels]).sum()
