"""Baselines of the literature as recipes: flat nets, which --node all trains as a tree.

Pretrained backbones come in two versions: fine-tuned for 5 epochs, or, with the suffix `-features`, frozen
with a head trained for 20 epochs.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hierarchy.config.backbones import BACKBONES
from hierarchy.config.schema import AugmentConfig, PretrainedConfig, Recipe, TrainConfig, VGGConfig
from hierarchy.taxonomy import FLAT

GENTLE: Final = AugmentConfig(rotation=10.0, scale=0.1, shift=0.1, brightness=0.1, contrast=0.1)
STILL: Final = AugmentConfig(flip=False, rotation=0.0, scale=0.0, shift=0.0)  # features are computed once
FINETUNE: Final = TrainConfig(
    epochs=5, optimizer="adam", learning_rate=1e-4, weight_decay=1e-4, label_smoothing=0.0, patience=8
)
FEATURES: Final = replace(FINETUNE, epochs=20, freeze_backbone=True)
HOUR: Final = TrainConfig(learning_rate=0.05, patience=3, max_minutes=60)  # from scratch, on one core


def vgg13() -> Recipe:
    """VGG13 from scratch at 48 pixels: ten convolutions, 9.4 million weights, one hour."""
    stages = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))
    return Recipe(
        "vgg13", VGGConfig(stages, crop=48, dropout=0.5), GENTLE, replace(HOUR, epochs=3), node=FLAT
    )


def resnet18_scratch() -> Recipe:
    """ResNet18 from scratch at 48 pixels: 11.2 million weights, one hour."""
    return Recipe(
        "resnet18_scratch", PretrainedConfig("resnet18", side=48), GENTLE, replace(HOUR, epochs=6), node=FLAT
    )


def five_block() -> Recipe:
    """Five blocks of one convolution and a dense layer; half of the faces are augmented."""
    net = VGGConfig(
        ((32,), (64,), (128,), (256,), (512,)), crop=48, head="flatten", dense=(256,), dropout=0.5
    )
    augment = AugmentConfig(
        rotation=10.0, scale=0.1, shift=0.1, brightness=0.05, contrast=0.05, probability=0.5
    )
    fit = replace(FINETUNE, epochs=60, learning_rate=1e-3, schedule="plateau", weight_decay=0.0, l2=1e-7)
    return Recipe("five_block", net, augment, fit, node=FLAT)


def _published(backbone: str, suffix: str, fit: TrainConfig) -> Callable[[], Recipe]:
    name, about = f"{backbone}{suffix}", BACKBONES[backbone]

    def recipe() -> Recipe:
        net = PretrainedConfig(backbone, side=about.side, weights="hub" if about.hub else about.file)
        return Recipe(name, net, STILL if fit.freeze_backbone else GENTLE, fit, node=FLAT)

    recipe.__name__ = name
    weights = "published weights" if about.hub else f"weights of {about.file}"
    layers = "head only" if fit.freeze_backbone else "all layers"
    recipe.__doc__ = f"{about.title} with {weights}, {layers}, {fit.epochs} epochs."
    return recipe


BASELINES: Final[tuple[Callable[[], Recipe], ...]] = (
    vgg13,
    resnet18_scratch,
    five_block,
    *(
        _published(backbone, suffix, fit)
        for backbone in BACKBONES
        for suffix, fit in (("", FINETUNE), ("-features", FEATURES))
    ),
)
