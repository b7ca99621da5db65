"""What a recipe's net may need, computed from its configuration before anything is allocated."""

import math
from collections.abc import Iterator
from typing import Final

from hierarchy.config.backbones import BACKBONES
from hierarchy.config.schema import LARGEST, NetConfig, PretrainedConfig, VGGConfig, Window
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
        InputError: a prompt for a net without text; a crop or window that is too small for the stages, or
            too large for the blur; more than LAYERS, PARAMETERS, MACS, NUMBERS or PIXELS.
    """
    if isinstance(net, PretrainedConfig):
        _most("net.side, fit.batch_size", "pixels in a batch", batch * net.side**2, PIXELS)
        if net.prompt and not BACKBONES[net.backbone].text:
            raise InputError(f"net.prompt={net.prompt!r}: {net.backbone} has no text tower")
        return
    for body, window in net.windowed_bodies:
        _check_body(body, window, batch * len(net.windowed_bodies))


def _check_body(net: VGGConfig, window: Window, batch: int) -> None:
    left, top, right, bottom = window
    key = f"net.crop={net.crop}" if (net, window) in net.windowed_bodies else f"net.windows={list(window)}"
    side = min(right - left, bottom - top)
    for stage in net.stages:
        side = (side - 2 * len(stage) * (net.padding == "valid")) // 2
    if side < 1:
        raise InputError(f"{key}: too small for {len(net.stages)} pooling stages")
    if net.blur and min(left, top, LARGEST - right, LARGEST - bottom) < 1:
        raise InputError(f"net.blur={net.blur}: needs a border of one pixel around {key}")
    layers = list(_layers(net, window))
    _most("net.stages, net.dense", "layers", len(layers), LAYERS)
    _most("net.stages, net.dense", "weights", sum(weights for weights, _, _ in layers), PARAMETERS)
    _most("net.stages, net.dense", "multiplications", sum(w * places for w, places, _ in layers), MACS)
    outputs = (right - left) * (bottom - top) + sum(places * width for _, places, width in layers)
    _most("net.stages, net.dense, fit.batch_size", "outputs of layers in a batch", batch * outputs, NUMBERS)


def _most(keys: str, what: str, number: int, limit: int) -> None:
    """Refuse a recipe whose keys add up to more than a limit.

    Raises:
        InputError: names the keys.
    """
    if number > limit:
        raise InputError(f"{keys}: {number:,} {what}, expected at most {limit:,}")


def _layers(net: VGGConfig, window: Window) -> Iterator[tuple[int, int, int]]:
    """Weights, positions and width of every layer with weights; the logits of the largest tree."""
    left, top, right, bottom = window
    sides, before = [right - left, bottom - top], 1
    for stage in net.stages:
        for width in stage:
            sides = [side - 2 * (net.padding == "valid") for side in sides]
            yield 9 * before * width, math.prod(sides), width
            before = width
        sides = [side // 2 for side in sides]
    before *= math.prod(sides) if net.head == "flatten" else 1
    for width in (*net.dense, LEAVES):
        yield before * width, 1, width
        before = width
