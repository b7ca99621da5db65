"""The named recipes: those of the tree, and the baselines that it is compared with."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hierarchy.config.baselines import BASELINES
from hierarchy.config.schema import AugmentConfig, Recipe, TrainConfig, VGGConfig
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT


def sketch() -> Recipe:
    """A small net for drawn faces: minutes on two cores."""
    return Recipe(
        "sketch",
        net=VGGConfig(stages=((16,), (32, 32), (64, 64)), dropout=0.2),
        augment=AugmentConfig(rotation=8.0, scale=0.08, shift=0.06),
        fit=TrainConfig(epochs=6, learning_rate=0.1, label_smoothing=0.05),
        warm_start=TrainConfig(epochs=2, learning_rate=0.03, label_smoothing=0.05),
    )


def short() -> Recipe:
    """0.7 million weights a net; the flat net takes an hour on two cores."""
    return Recipe(
        "short", fit=TrainConfig(epochs=24), warm_start=TrainConfig(epochs=4, learning_rate=0.02, warm_up=0.1)
    )


def medium() -> Recipe:
    """1.2 million weights a net; the flat net takes half an hour on two cores with bfloat16.

    Router and specialists get few epochs at a low learning rate: more of both improved Training accuracy, but
    not PublicTest accuracy over the flat net's own sums.
    """
    return Recipe(
        "medium",
        net=VGGConfig(stages=((32, 32), (64, 64), (128, 128), (256, 256))),
        fit=TrainConfig(epochs=24, precision="bfloat16"),
        warm_start=TrainConfig(epochs=5, learning_rate=0.02, warm_up=0.1, precision="bfloat16"),
    )


def distilled() -> Recipe:
    """`medium` trained further on labels and teachers: --init-from RUN --teacher RUN,RUN.

    `--node all,flat` trains the flat net too; otherwise it is reused. Hinton et al., "Distilling the
    knowledge in a neural network" (2015). The flat net takes half an hour on two cores, the tree a quarter.
    """
    fit = TrainConfig(warm_up=0.1, label_smoothing=0.0, distillation_weight=0.7, precision="bfloat16")
    return replace(
        medium(),
        name="distilled",
        fit=replace(fit, epochs=12, learning_rate=0.05),
        warm_start=replace(fit, epochs=4, learning_rate=0.02),
    )


def small() -> Recipe:
    """0.3 million weights a net, for slow machines; distilled from --teacher RUN,RUN.

    A quarter of the multiplications of `medium`. The flat net takes hours on two cores.
    """
    fit = TrainConfig(label_smoothing=0.0, distillation_weight=0.7, precision="bfloat16")
    return Recipe(
        "small",
        net=VGGConfig(stages=((16, 16), (32, 32), (64, 64), (128, 128)), dropout=0.1),
        fit=replace(fit, epochs=80),
        warm_start=replace(fit, epochs=10, learning_rate=0.03, warm_up=0.1),
        node=f"all,{FLAT}",
    )


def tiny() -> Recipe:
    """75 thousand weights a net, for the slowest machines; distilled from --teacher RUN,RUN.

    A quarter of the multiplications of `small`. The flat net takes half an hour on two cores.
    """
    stages = ((8, 8), (16, 16), (32, 32), (64, 64))
    return replace(small(), name="tiny", net=VGGConfig(stages=stages, dropout=0.0))


def full() -> Recipe:
    """The most accurate net from scratch: eight wide convolutions, averaged weights; needs a GPU."""
    strong = TrainConfig(batch_size=128, ema=0.999, precision="bfloat16")
    return Recipe(
        "full",
        net=VGGConfig(
            stages=((64, 64), (128, 128), (256, 256), (512, 512)),
            spatial_dropout=0.15,
            dropout=0.4,
        ),
        augment=AugmentConfig(
            rotation=12.0, scale=0.2, shift=0.15, brightness=0.15, contrast=0.25, erasing=0.5, mixup=0.3
        ),
        fit=replace(strong, epochs=100, warm_up=0.1),
        warm_start=replace(strong, epochs=12, learning_rate=0.01, warm_up=0.1, ema=0.99),
    )


def half() -> Recipe:
    """`full` at half its width: 1.2 million weights."""
    stages = ((32, 32), (64, 64), (128, 128), (256, 256))
    return replace(full(), name="half", net=VGGConfig(stages, spatial_dropout=0.05, dropout=0.3))


def earlier() -> Recipe:
    """Reconstruction of an earlier two-tier system: six convolutions, Adam, shift and flip.

    Its size (1.39 million weights), optimizer and augmentation are known; the widths are chosen to match.
    """
    return Recipe(
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
    )


RECIPES: Final[dict[str, Callable[[], Recipe]]] = {
    make.__name__: make
    for make in (sketch, tiny, small, short, medium, distilled, half, full, earlier, *BASELINES)
}


def named(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InputError: there is no such recipe.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}: expected one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def listing() -> str:
    """Name and description of every recipe, one per line."""
    width = max(map(len, RECIPES))
    lines = {name: (make.__doc__ or "").splitlines()[0] for name, make in RECIPES.items()}
    return "\n".join(f"{name:<{width}} {line}" for name, line in lines.items())
