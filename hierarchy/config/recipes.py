"""The named recipes: those of the tree, and the baselines that it is compared with."""

from dataclasses import replace
from typing import Final

from hierarchy.config.baselines import BASELINES
from hierarchy.config.schema import (
    AugmentConfig,
    ParallelConfig,
    PartsConfig,
    Recipe,
    TrainConfig,
    VGGConfig,
)
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT

SKETCH: Final = Recipe(
    "sketch",
    net=VGGConfig(stages=((16,), (32, 32), (64, 64)), dropout=0.2),
    augment=AugmentConfig(rotation=8.0, scale=0.08, shift=0.06),
    fit=TrainConfig(epochs=6, learning_rate=0.1, label_smoothing=0.05),
    warm_start=TrainConfig(epochs=2, learning_rate=0.03, label_smoothing=0.05),
    about="A small net for drawn faces: minutes on two cores.",
)
SHORT: Final = Recipe(
    "short",
    fit=TrainConfig(epochs=24),
    warm_start=TrainConfig(epochs=4, learning_rate=0.02, warm_up=0.1),
    about="0.7 million weights a net; the flat net takes an hour on two cores.",
)
# Router and specialists get few epochs at a low learning rate: more of both improved Training accuracy, but
# not PublicTest accuracy over the flat net's own sums.
MEDIUM: Final = Recipe(
    "medium",
    net=VGGConfig(stages=((32, 32), (64, 64), (128, 128), (256, 256))),
    fit=TrainConfig(epochs=24, precision="bfloat16"),
    warm_start=TrainConfig(epochs=5, learning_rate=0.02, warm_up=0.1, precision="bfloat16"),
    about="1.2 million weights a net; the flat net takes half an hour on two cores with bfloat16.",
)

# Hinton et al., "Distilling the knowledge in a neural network" (2015)
TAUGHT: Final = TrainConfig(label_smoothing=0.0, distillation_weight=0.7, precision="bfloat16")
# `--node all,flat` trains the flat net too, in half an hour on two cores; otherwise it is reused.
# The tree takes a quarter of an hour.
DISTILLED: Final = replace(
    MEDIUM,
    name="distilled",
    fit=replace(TAUGHT, epochs=12, learning_rate=0.05, warm_up=0.1),
    warm_start=replace(TAUGHT, epochs=4, learning_rate=0.02, warm_up=0.1),
    about="`medium` trained further on labels and teachers: --init-from RUN --teacher RUN,RUN.",
)
SMALL_NET: Final = VGGConfig(stages=((16, 16), (32, 32), (64, 64), (128, 128)), dropout=0.1)
# a quarter of the multiplications of `medium`; the flat net takes hours on two cores
SMALL: Final = Recipe(
    "small",
    net=SMALL_NET,
    fit=replace(TAUGHT, epochs=80),
    warm_start=replace(TAUGHT, epochs=10, learning_rate=0.03, warm_up=0.1),
    node=f"all,{FLAT}",
    about="0.3 million weights a net, for slow machines; distilled from --teacher RUN,RUN.",
)
# a quarter of the multiplications of `small`; the flat net takes half an hour on two cores
TINY: Final = replace(
    SMALL,
    name="tiny",
    net=VGGConfig(stages=((8, 8), (16, 16), (32, 32), (64, 64)), dropout=0.0),
    about="75 thousand weights a net, for the slowest machines; distilled from --teacher RUN,RUN.",
)

AVERAGED: Final = TrainConfig(batch_size=128, warm_up=0.1, ema=0.999, precision="bfloat16")
FULL: Final = Recipe(
    "full",
    net=VGGConfig(stages=((64, 64), (128, 128), (256, 256), (512, 512)), spatial_dropout=0.15, dropout=0.4),
    augment=AugmentConfig(
        rotation=12.0, scale=0.2, shift=0.15, brightness=0.15, contrast=0.25, erasing=0.5, mixup=0.3
    ),
    fit=replace(AVERAGED, epochs=100),
    warm_start=replace(AVERAGED, epochs=12, learning_rate=0.01, ema=0.99),
    about="The most accurate net from scratch: eight wide convolutions, averaged weights; needs a GPU.",
)
HALF_NET: Final = VGGConfig(((32, 32), (64, 64), (128, 128), (256, 256)), spatial_dropout=0.05)
HALF: Final = replace(
    FULL,
    name="half",
    net=HALF_NET,
    about="`full` at half its width: 1.2 million weights.",
)
FAST_NET: Final = replace(HALF_NET, blur=0.4)
# Caruana, "Multitask learning" (1997)
FAST: Final = Recipe(
    "fast",
    net=FAST_NET,
    augment=AugmentConfig(probability=0.8),
    fit=replace(TAUGHT, epochs=80),
    warm_start=replace(TAUGHT, epochs=30, learning_rate=0.03, warm_up=0.1),
    heads="shared",
    about="`half` with a head for every node on one body: --init-from RUN --teacher RUN,RUN.",
)
# Features of frozen bodies on unchanged faces are computed once, so that the head takes minutes. Heads for
# every node on the same features were less accurate on PublicTest than the sums of one over all leaves.
DUO: Final = Recipe(
    "duo",
    net=ParallelConfig((FAST_NET, replace(SMALL_NET, blur=0.4))),
    augment=AugmentConfig(flip=False, rotation=0.0, scale=0.0, shift=0.0),
    fit=TrainConfig(
        epochs=10,
        learning_rate=0.03,
        warm_up=0.0,
        weight_decay=1e-3,
        label_smoothing=0.05,
        oversample=False,
        freeze_backbone=True,
    ),
    node=FLAT,
    about="One head on the bodies of `half` and `small` with net.blur=0.4: --init-from fer2013,small.",
)

# Strong augmentation would shift the parts out of their windows. Bodies of half the cost of SMALL_NET each.
PARTS: Final = Recipe(
    "parts",
    net=PartsConfig(((12, 12), (24, 24), (48, 48), (96, 96)), part_stages=((11, 11), (22, 22), (44, 44))),
    augment=AugmentConfig(rotation=10.0, scale=0.1, shift=0.06),
    fit=TrainConfig(epochs=24, precision="bfloat16"),
    warm_start=TrainConfig(epochs=4, learning_rate=0.02, warm_up=0.1, precision="bfloat16"),
    about="Bodies for the whole face and for fixed windows around brows and eyes, nose and mouth.",
)

# Its size (1.39 million weights), optimizer and augmentation are known; the widths are chosen to match.
EARLIER: Final = Recipe(
    "earlier",
    net=VGGConfig(
        stages=((32, 64), (128, 128), (256, 256)),
        padding="valid",
        crop=48,
        batch_norm=False,
        head="flatten",
        dense=(256,),
        dropout=0.5,
    ),
    augment=AugmentConfig(rotation=0.0, scale=0.0, shift=0.1),
    fit=TrainConfig(
        epochs=100,
        optimizer="adam",
        learning_rate=1e-4,
        schedule="constant",
        weight_decay=0.0,
        label_smoothing=0.0,
        patience=10,
    ),
    about="Reconstruction of an earlier two-tier system: six convolutions, Adam, shift and flip.",
)

RECIPES: Final[dict[str, Recipe]] = {
    recipe.name: recipe
    for recipe in (
        SKETCH,
        TINY,
        SMALL,
        SHORT,
        MEDIUM,
        DISTILLED,
        HALF,
        FULL,
        FAST,
        DUO,
        PARTS,
        EARLIER,
        *BASELINES,
    )
}


def named(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InputError: there is no such recipe.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}: expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def listing() -> str:
    """Name and description of every recipe, one per line."""
    width = max(map(len, RECIPES))
    return "\n".join(f"{name:<{width}} {recipe.about}" for name, recipe in RECIPES.items())
