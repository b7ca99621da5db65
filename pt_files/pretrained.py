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

UNREADABLE: Final = (OSError, ValueError, RuntimeError, SafetensorError)

Builder = tuple[str, str, dict[str, Any], int]
# classes of transformers for net and configuration, what differs from the defaults, and number of features
BUILDERS: Final[dict[str, Builder]] = {
    "resnet18": (
        "ResNetModel",
        "ResNetConfig",
        {"hidden_sizes": [64, 128, 256, 512], "depths": [2] * 4, "layer_type": "basic"},
        512,
    ),
    "vit_b16": ("ViTModel", "ViTConfig", {}, 768),
    "clip_vit_b32": ("CLIPVisionModel", "CLIPVisionConfig", {}, 768),
}
PROMPTED: Final[dict[str, Builder]] = {
    "clip_vit_b32": ("CLIPVisionModelWithProjection", "CLIPVisionConfig", {}, 512)
}
SCALE: Final = 100.0  # of CLIP's cosines, where its training ends


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
        if net.prompt and net.weights != "random":
            self.logits.weight.data = _of_prompts(net, tree, node)
            nn.init.zeros_(self.logits.bias)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of faces."""
        size = (self.net.side, self.net.side)
        grey = functional.interpolate(pixels[:, None].float() / 255, size, mode="bilinear")
        outputs = self.body(pixel_values=(grey - self.mean) / self.deviation)
        if self.net.prompt:
            features = functional.normalize(outputs.image_embeds)
        else:
            features = outputs.pooler_output.flatten(1)
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
    model, settings, changes, features = (PROMPTED if net.prompt else BUILDERS)[net.backbone]
    make = getattr(transformers, model)
    config = getattr(transformers, settings)(image_size=net.side, **changes)
    if net.weights == "random":
        return make(config), features
    return _loaded(net, make, config=config), features


def _loaded(net: PretrainedConfig, kind: Any, **options: Any) -> nn.Module:
    """A model of transformers with the weights of a net, all of them."""
    try:
        model, about = kind.from_pretrained(_source(net), output_loading_info=True, **options)
        if about["missing_keys"]:
            raise ValueError(f"{len(about['missing_keys'])} of its layers are not there")
    except UNREADABLE as error:
        raise _unreadable(net, error) from None
    return model


def _source(net: PretrainedConfig) -> str:
    return BACKBONES[net.backbone].hub if net.weights == "hub" else net.weights


def _unreadable(net: PretrainedConfig, error: Exception) -> InputError:
    return InputError(
        f"net.weights={net.weights}: no weights of {net.backbone} in {_source(net)} "
        f"({first_line(error)}); expected hub (a download), a folder of them, or random"
    )


def _of_prompts(net: PretrainedConfig, tree: Tree, node: str) -> torch.Tensor:
    """Weights of logits float32[classes, features]: what CLIP's text tower makes of the prompts of leaves.

    A branch has the mean of its leaves. Source: Radford et al., "Learning transferable visual models from
    natural language supervision" (2021).
    """
    import transformers

    text = _loaded(net, transformers.CLIPTextModelWithProjection)
    prompts = [net.prompt.replace("{}", leaf) for leaf in tree.leaves]
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(_source(net))
        tokens = tokenizer(prompts, padding=True, return_tensors="pt")
        if len(tokens["input_ids"].unique(dim=0)) < len(prompts):  # as without a vocabulary
            raise ValueError("its tokenizer does not tell the prompts apart")
    except UNREADABLE as error:
        raise _unreadable(net, error) from None
    with torch.inference_mode():
        each = text.eval()(**tokens).text_embeds
    each = SCALE * functional.normalize(each.clone())
    return torch.stack([each[group].mean(dim=0) for group in tree.members(node)])
