"""Baselines of the literature as recipes: flat nets, which --node all trains as a tree.

Pretrained backbones come in two versions: fine-tuned for 5 epochs, or, with the suffix `-features`, frozen
with a head trained for 20 epochs.
"""

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
FITS: Final = {"": FINETUNE, "-features": FEATURES}  # by suffix of a recipe's name
HOUR: Final = TrainConfig(learning_rate=0.05, patience=3, max_minutes=60)  # from scratch, on one core
VGG13: Final = Recipe(
    "vgg13",
    VGGConfig(((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)), crop=48, dropout=0.5),
    GENTLE,
    replace(HOUR, epochs=3),
    node=FLAT,
    about="VGG13 from scratch at 48 pixels: ten convolutions, 9.4 million weights, one hour.",
)
RESNET18: Final = Recipe(
    "resnet18_scratch",
    PretrainedConfig("resnet18", side=48),
    GENTLE,
    replace(HOUR, epochs=6),
    node=FLAT,
    about="ResNet18 from scratch at 48 pixels: 11.2 million weights, one hour.",
)
FIVE_BLOCK: Final = Recipe(
    "five_block",
    VGGConfig(((32,), (64,), (128,), (256,), (512,)), crop=48, head="flatten", dense=(256,), dropout=0.5),
    replace(GENTLE, brightness=0.05, contrast=0.05, probability=0.5),
    replace(FINETUNE, epochs=60, learning_rate=1e-3, schedule="plateau", weight_decay=0.0, l2=1e-7),
    node=FLAT,
    about="Five blocks of one convolution and a dense layer; half of the faces are augmented.",
)


def _published(backbone: str, suffix: str, fit: TrainConfig) -> Recipe:
    spec = BACKBONES[backbone]
    weights = "published weights" if spec.hub else f"weights of {spec.file}"
    layers = "head only" if fit.freeze_backbone else "all layers"
    return Recipe(
        f"{backbone}{suffix}",
        PretrainedConfig(backbone, side=spec.side, weights="hub" if spec.hub else spec.file),
        STILL if fit.freeze_backbone else GENTLE,
        fit,
        node=FLAT,
        about=f"{spec.title} with {weights}, {layers}, {fit.epochs} epochs.",
    )


# its head stays as the text tower gives it
ZERO_SHOT: Final = Recipe(
    "clip_vit_b32-zero-shot",
    PretrainedConfig("clip_vit_b32", weights="hub", prompt="a photo of a {} face"),
    STILL,
    replace(FEATURES, epochs=1, learning_rate=0.0, samples_per_class=1),
    node=FLAT,
    about="CLIP ViT-B/32 with published weights, classes described by a prompt, not trained.",
)
BASELINES: Final = (
    *(VGG13, RESNET18, FIVE_BLOCK, ZERO_SHOT),
    *(_published(name, suffix, fit) for name in BACKBONES for suffix, fit in FITS.items()),
)
