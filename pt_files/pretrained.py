"""Pretrained nets of the transformers library as bodies, fed with enlarged, normalised faces."""

import logging
from typing import Any, Final

import torch
from safetensors import SafetensorError
from torch import nn
from torch.nn import functional

from hierarchy.config.backbones import BACKBONES
from hierarchy.config.schema import PretrainedConfig
from hierarchy.errors import InputError, first_line, not_installed
from hierarchy.taxonomy import Tree

# classes of transformers for net and configuration, what differs from the defaults, and number of features
BUILDERS: Final[dict[str, tuple[str, str, dict[str, Any], int]]] = {
    "resnet18": (
        "ResNetModel",
        "ResNetConfig",
        {"hidden_sizes": [64, 128, 256, 512], "depths": [2] * 4, "layer_type": "basic"},
        512,
    ),
    "vit_b16": ("ViTModel", "ViTConfig", {}, 768),
    "clip_vit_b32": ("CLIPVisionModel", "CLIPVisionConfig", {}, 768),
}


class Backboned(nn.Module):
    """A pretrained body with a head; arguments as in `build.build`.

    Raises:
        InputError: transformers is not installed, or the weights are not available.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, tree: Tree, node: str, net: PretrainedConfig) -> None:
        super().__init__()
        self.tree, self.node, self.net = tree, node, net
        about = BACKBONES[net.backbone]
        for name, colour in (("mean", about.mean), ("deviation", about.deviation)):
            self.register_buffer(name, torch.tensor(colour)[:, None, None], persistent=False)
        self.body, features = _body(net)
        self.drop = nn.Dropout(net.dropout)
        self.logits = nn.Linear(features, len(tree.classes_of(node)))
        nn.init.xavier_uniform_(self.logits.weight)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of faces."""
        size = (self.net.side, self.net.side)
        grey = functional.interpolate(pixels[:, None].float() / 255, size, mode="bilinear")
        features = self.body(pixel_values=(grey - self.mean) / self.deviation).pooler_output.flatten(1)
        with torch.autocast(features.device.type, enabled=False):  # logits in full precision
            return self.logits(self.drop(features.float()))


def _body(net: PretrainedConfig) -> tuple[nn.Module, int]:
    """The pretrained net, and its number of features."""
    if net.backbone not in BUILDERS:
        raise InputError(f"net.backbone={net.backbone}: expected one of {', '.join(BUILDERS)}")
    try:
        import transformers
    except ModuleNotFoundError:
        raise not_installed("transformers") from None

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it logs every attempt
    model, settings, changes, features = BUILDERS[net.backbone]
    make = getattr(transformers, model)
    config = getattr(transformers, settings)(image_size=net.side, **changes)
    if net.weights == "random":
        return make(config), features
    source = BACKBONES[net.backbone].hub if net.weights == "hub" else net.weights
    try:
        body, found = make.from_pretrained(source, config=config, output_loading_info=True)
        if found["missing_keys"]:
            raise ValueError(f"{len(found['missing_keys'])} of its layers are not there")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"net.weights={net.weights}: no weights of {net.backbone} in {source} "
            f"({first_line(error)}); expected hub (a download), a folder of them, or random"
        ) from None
    return body, features
