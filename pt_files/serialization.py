"""The mirror's nets as files: safetensors, which hold numbers and a few words, and never code."""

import dataclasses
import json
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from hierarchy import fileio, runs
from hierarchy.config.overrides import net_from_dict
from hierarchy.config.schema import PretrainedConfig
from hierarchy.errors import InputError
from hierarchy.taxonomy import TREE, check_tree
from pt_files import port_weights
from pt_files.build import Built, empty
from pt_files.vgg import VGG

CHUNK: Final = 64  # faces a call
ABOUT: Final = "about"  # the key of what stands beside the weights


def to_bytes(net: Built) -> bytes:
    """A net with its float32 weights in float16; its node, its layers and the tree stand beside them."""
    about = {"node": net.node, "tree": TREE, "net": dataclasses.asdict(net.net)}
    weights = {name: _halved(value).contiguous() for name, value in net.state_dict().items()}
    return safetensors.torch.save(weights, {ABOUT: json.dumps(about)})  # one key: their order would be chance


def load(path: Path) -> Built:
    """The net of a .safetensors file, or of a run's .keras file, ported as it is read.

    Raises:
        InputError: the file is damaged, is no net of this family, or is of another tree.
    """
    return _of_keras(path) if path.suffix == ".keras" else _of_safetensors(path)


def _of_safetensors(path: Path) -> Built:
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            weights = {name: _whole(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - no mapping
        node, tree, layers = about["node"], about["tree"], about["net"]
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as a net of the mirror ({error})") from None
    check_tree(tree, str(path))
    net = empty(node, net_from_dict(layers, str(path)))
    try:
        net.load_state_dict(weights)
    except RuntimeError:
        raise InputError(f"{path}: its weights are not those of the layers that it names") from None
    return net.eval()


def _of_keras(path: Path) -> VGG:
    card = fileio.read_json(path.with_name(runs.MANIFEST))
    nodes = [node for node, net in card["nets"].items() if net["file"] == path.name]
    if not nodes:
        raise InputError(f"{path}: {runs.MANIFEST} beside it does not name it")
    layers = net_from_dict(card["recipe"]["net"], str(path))
    if isinstance(layers, PretrainedConfig):
        raise InputError(f"{path}: only nets of the VGG-style family are ported, not {layers.backbone}")
    net = VGG(nodes[0], layers)
    port_weights.from_archive(path, net)
    return net.eval()


def _halved(value: torch.Tensor) -> torch.Tensor:
    return value.half() if value.dtype == torch.float32 else value


def _whole(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.dtype == torch.float16 else value


class Lazy:
    """A stored net as a function uint8[N,48,48] -> logits float32[N,K]; opened at the first call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.net: Built | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of faces, float32[N,K]."""
        if self.net is None:
            self.net = load(self.path)
        with torch.inference_mode():
            starts = range(0, max(len(pixels), 1), CHUNK)
            return torch.cat(
                [self.net(torch.from_numpy(pixels[i : i + CHUNK].copy())) for i in starts]
            ).numpy()
