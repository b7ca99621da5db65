"""What a recipe's net may need, computed from its configuration before anything is allocated."""

from collections.abc import Iterator
from typing import Final

from hierarchy.config.schema import LARGEST, NetConfig, ParallelConfig, PretrainedConfig, VGGConfig
from hierarchy.errors import InputError
from hierarchy.taxonomy import LEAVES

# limits of a net, some ten times what the named recipes need; memory follows from them
LAYERS: Final = 200  # with weights
PARAMETERS: Final = 100_000_000  # 1.6 GB with their gradients and Adam's moments
MACS: Final = 20_000_000_000  # multiplications per face
NUMBERS: Final = 500_000_000  # outputs of all layers for a batch; 2 GB in float32
PIXELS: Final = 1 << 24  # of a batch that a pretrained backbone is fed with


def check(net: NetConfig, batch: int = 1) -> None:
    """Refuse a net that cannot be built, or not be trained in memory; nothing is allocated.

    Args:
        net: its layers.
        batch: faces of a training step.

    Raises:
        InputError: its crop is too small for its stages, or too large for its blur; it exceeds LAYERS,
            PARAMETERS, MACS, NUMBERS or PIXELS.
    """
    if isinstance(net, PretrainedConfig):
        _most("net.side, fit.batch_size", "pixels in a batch", batch * net.side**2, PIXELS)
        return
    if isinstance(net, ParallelConfig):
        for body in net.bodies:
            check(body, batch * len(net.bodies))
        return
    side = net.crop
    for stage in net.stages:
        side = (side - 2 * len(stage) * (net.padding == "valid")) // 2
    if side < 1:
        raise InputError(f"net.crop={net.crop}: too small for {len(net.stages)} pooling stages")
    if net.blur and net.crop > LARGEST - 2:
        raise InputError(f"net.blur={net.blur}: needs net.crop <= {LARGEST - 2}, a border of one pixel")
    layers = list(_layers(net))
    _most("net.stages, net.dense", "layers", len(layers), LAYERS)
    _most("net.stages, net.dense", "weights", sum(weights for weights, _, _ in layers), PARAMETERS)
    _most("net.stages, net.dense", "multiplications", sum(w * places for w, places, _ in layers), MACS)
    outputs = net.crop**2 + sum(places * width for _, places, width in layers)
    _most("net.stages, net.dense, fit.batch_size", "outputs of layers in a batch", batch * outputs, NUMBERS)


def _most(keys: str, what: str, number: int, limit: int) -> None:
    """Refuse a recipe whose keys add up to more than a limit.

    Raises:
        InputError: names the keys.
    """
    if number > limit:
        raise InputError(f"{keys}: {number:,} {what}, expected at most {limit:,}")


def _layers(net: VGGConfig) -> Iterator[tuple[int, int, int]]:
    """Weights, positions and width of every layer with weights; the logits of the largest tree."""
    side, before = net.crop, 1
    for stage in net.stages:
        for width in stage:
            side -= 2 * (net.padding == "valid")
            yield 9 * before * width, side**2, width
            before = width
        side //= 2
    before *= side**2 if net.head == "flatten" else 1
    for width in (*net.dense, LEAVES):
        yield before * width, 1, width
        before = width
