"""PyTorch nets as safetensors files: weights and metadata, no code."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from hierarchy import runs
from hierarchy.backends import check_process
from hierarchy.config.overrides import net_from_dict
from hierarchy.config.schema import VGGConfig
from hierarchy.errors import InputError, error_context, first_line
from hierarchy.manifest import RunManifest
from hierarchy.taxonomy import TRUNK, Tree
from pt_files import port_weights
from pt_files.build import Built, empty
from pt_files.vgg import VGG, Parallel

CHUNK: Final = 64  # faces per call
ABOUT: Final = "about"  # metadata key


def to_bytes(net: Built) -> bytes:
    """A net with float16 weights; node, tree and layers are in the metadata."""
    about = {"node": net.node, "tree": net.tree.to_dict(), "net": dataclasses.asdict(net.net)}
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in net.state_dict().items()
    }
    # one key, since the order of several is random
    return safetensors.torch.save(weights, {ABOUT: json.dumps(about)})


def load(path: Path) -> Built:
    """The net of a .safetensors file, or of a run's .keras file, ported as it is read.

    Raises:
        InputError: the file is damaged, not a net of this package, or of another tree than its run.
    """
    return _of_keras(path) if path.suffix == ".keras" else _of_safetensors(path)


def _of_safetensors(path: Path) -> Built:
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        node, tree, layers = about["node"], about["tree"], about["net"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a valid PyTorch net ({first_line(error)})") from None
    tree = Tree.from_dict(tree, str(path))
    if path.with_name(runs.MANIFEST).is_file():
        _manifest(path).tree.check_same(tree, str(path))
    layers = net_from_dict(layers, str(path))
    with error_context(str(path)):
        net = empty(tree, node, layers)
    try:
        net.load_state_dict(weights)
    except RuntimeError:
        raise InputError(f"{path}: its weights do not match its layers") from None
    return net.eval()


def _of_keras(path: Path) -> VGG | Parallel:
    manifest = _manifest(path)
    nodes = [node for node, net in manifest.nets.items() if net.file == path.name]
    if not nodes:
        raise InputError(f"{path}: {runs.MANIFEST} beside it does not list it")
    layers = net_from_dict(manifest.recipe.get("net", {}), str(path))
    if not isinstance(layers, VGGConfig):
        raise InputError(f"{path}: only VGG-style nets can be ported, without net.bodies")
    net: Any = empty(manifest.tree, TRUNK if manifest.nets[nodes[0]].shared else nodes[0], layers)
    port_weights.from_archive(path, net)
    return net.eval()


def _manifest(path: Path) -> RunManifest:
    """The manifest of the run that a net's file belongs to."""
    return runs.Run(path.parent.name, path.parent, path.parent).manifest()


class Lazy:
    """A stored net as a function uint8[N,48,48] -> logits float32[N,K]; opened at the first call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.net: Built | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of faces, float32[N,K].

        Raises:
            InputError: the file is damaged; or this is a fork of the process that opened a net.
        """
        check_process("PyTorch")
        self.net = self.net or load(self.path)
        with torch.inference_mode():
            chunks = torch.from_numpy(pixels.copy()).split(CHUNK)
            return torch.cat([self.net(chunk) for chunk in chunks]).numpy()
