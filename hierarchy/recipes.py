"""Every hyper-parameter of every net, and the named recipes.

A recipe is data: frozen dataclasses that are stored with each run; settings.py changes single values and
reads what was stored. Where a range is safe, the comment beside the field says so.
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hierarchy.errors import InputError

LARGEST: Final = 48  # side in pixels of a face
ERASED: Final = (0.02, 0.25)  # area of an erased rectangle, fraction of the face


@dataclass(frozen=True)
class Net:
    """A VGG-style net: stages of 3x3 convolutions, each stage closed by a 2x2 maximum pool."""

    stages: tuple[tuple[int, ...], ...] = ((24, 24), (48, 48), (96, 96), (192, 192))  # widths of convolutions
    padding: str = "same"  # same | valid, which loses a pixel a side and convolution
    crop: int = 44  # side in pixels of the centre that the net sees; 48 is the whole face
    batch_norm: bool = True
    spatial_dropout: float = 0.0  # after every pool but the last; 0 to .3
    dense: tuple[int, ...] = ()  # hidden layers of the head; empty: global pooling, then the logits
    head: str = "pool"  # "pool": global average; "flatten": every position
    dropout: float = 0.3  # before every dense layer of the head


@dataclass(frozen=True)
class Augment:
    """What may happen to a training face; every strength 0 switches its step off."""

    flip: bool = True
    rotation: float = 15.0  # degrees, either way
    scale: float = 0.15  # fraction, either way
    shift: float = 0.12  # fraction of the side, either way and axis; holds the random crop as well
    brightness: float = 0.0  # fraction of the grey range, either way
    contrast: float = 0.0  # fraction of the deviation from the face's mean, either way
    erasing: float = 0.0  # probability that a random rectangle is painted over
    mixup: float = 0.0  # alpha of the Beta distribution of mixing weights
    mixup_until: float = 0.85  # fraction of the epochs after which faces are no longer mixed


@dataclass(frozen=True)
class Fit:
    """How a net is fitted."""

    epochs: int = 14
    batch_size: int = 64
    optimizer: str = "sgd"  # sgd (Nesterov) | adam
    learning_rate: float = 0.1  # the peak
    momentum: float = 0.9
    warm_up: float = 0.2  # fraction of all steps spent rising to the peak; then cosine to zero
    constant: bool = False  # hold the learning rate instead
    weight_decay: float = 5e-4  # on kernels only, in the coupled sense of SGD (see nets/train.py)
    clip_norm: float = 0.0  # 0: none
    loss: str = "cross-entropy"  # cross-entropy | focal
    focal_gamma: float = 2.0
    label_smoothing: float = 0.1
    l2: float = 0.0  # penalty on kernels, added to the loss
    ema: float = 0.0  # momentum of the averaged weights; 0: none
    patience: int = 0  # epochs without a better PublicTest accuracy before stopping; 0: never
    oversample: bool = True  # draw every class equally often; an epoch keeps its length
    precision: str = "float32"  # float32 | bfloat16, of the arithmetic where the machine has it
    class_weights: bool = False  # weigh the loss by inverse frequency; oversampling is then off
    outsiders: float = 0.0  # faces of other branches shown to a specialist, a face of its own
    votes: float = 0.0  # share of FER+'s votes in the target
    teacher: float = 0.0  # share of other runs' answers in the target

    @property
    def oversampled(self) -> bool:
        """Whether faces are drawn class by class."""
        return self.oversample and not self.class_weights

    @property
    def balanced(self) -> bool:
        """Whether training shows classes as if they were equally frequent."""
        return self.oversample or self.class_weights


@dataclass(frozen=True)
class Recipe:
    """Everything needed to train a run again, but for the data and the seed.

    `warm`, where given, says how router and specialists go on from the flat net; None: they start from
    scratch.
    """

    name: str
    net: Net = field(default_factory=Net)
    augment: Augment = field(default_factory=Augment)
    fit: Fit = field(default_factory=Fit)
    warm: Fit | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON gives them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def sketch() -> Recipe:
    """A small net for drawn faces: minutes on two cores."""
    return Recipe(
        "sketch",
        net=Net(stages=((16,), (32, 32), (64, 64)), dropout=0.2),
        augment=Augment(rotation=8.0, scale=0.08, shift=0.06),
        fit=Fit(epochs=6, learning_rate=0.1, label_smoothing=0.05),
        warm=Fit(epochs=2, learning_rate=0.03, label_smoothing=0.05),
    )


def short() -> Recipe:
    """Two thirds of a million weights; the flat net takes an hour on two cores."""
    return Recipe("short", fit=Fit(epochs=24), warm=Fit(epochs=4, learning_rate=0.02, warm_up=0.1))


def medium() -> Recipe:
    """1.2 million weights a net; the flat net takes half an hour on two cores that know bfloat16.

    Router and specialists get few epochs and a gentle rate: more of both fitted Training better, and
    PublicTest no better than the flat net's own sums.
    """
    return Recipe(
        "medium",
        net=Net(stages=((32, 32), (64, 64), (128, 128), (256, 256))),
        fit=Fit(epochs=24, precision="bfloat16"),
        warm=Fit(epochs=5, learning_rate=0.02, warm_up=0.1, precision="bfloat16"),
    )


def distilled() -> Recipe:
    """`medium` trained further on what a teacher says as well as on labels (--start RUN --teacher RUN,RUN).

    `--node all,flat` trains the flat net too; without it, the start's flat net stands in.
    Hinton et al., "Distilling the knowledge in a neural network" (2015). The flat net takes half an
    hour on two cores, router and specialists together a quarter.
    """
    told = Fit(warm_up=0.1, label_smoothing=0.0, teacher=0.7, precision="bfloat16")
    return replace(
        medium(),
        name="distilled",
        fit=replace(told, epochs=12, learning_rate=0.05),
        warm=replace(told, epochs=4, learning_rate=0.02),
    )


def half() -> Recipe:
    """As `full` at half its width: 1.2 million weights."""
    net = replace(full().net, stages=((32, 32), (64, 64), (128, 128), (256, 256)), spatial_dropout=0.1)
    return replace(full(), name="half", net=net)


def full() -> Recipe:
    """The strongest net trained from scratch: eight wide convolutions, averaged weights."""
    strong = Fit(batch_size=128, clip_norm=1.0, label_smoothing=0.08, ema=0.999)
    return Recipe(
        "full",
        net=Net(
            stages=((64, 64), (128, 128), (256, 256), (512, 512)),
            spatial_dropout=0.2,
            dense=(256,),
            dropout=0.5,
        ),
        augment=Augment(
            rotation=10.0, scale=0.2, shift=0.17, brightness=0.3, contrast=0.3, erasing=0.5, mixup=0.3
        ),
        fit=replace(strong, epochs=140, learning_rate=0.05, warm_up=5 / 140),
        warm=replace(strong, epochs=30, learning_rate=0.01, warm_up=0.1),
    )


def earlier() -> Recipe:
    """The earlier two-tier system's net, reconstructed: six convolutions, Adam, shift and flip.

    Its size (1.39 million weights), optimizer and augmentation are known; these widths give that size.
    """
    return Recipe(
        "earlier",
        net=Net(
            stages=((32, 64), (128, 128), (256, 256)),
            padding="valid",
            crop=48,
            batch_norm=False,
            head="flatten",
            dense=(256,),
            dropout=0.5,
        ),
        augment=Augment(rotation=0.0, scale=0.0, shift=0.1),
        fit=Fit(
            epochs=100,
            optimizer="adam",
            learning_rate=1e-4,
            constant=True,
            weight_decay=0.0,
            label_smoothing=0.0,
            patience=10,
        ),
    )


RECIPES: Final[dict[str, Callable[[], Recipe]]] = {
    make.__name__: make for make in (sketch, short, medium, distilled, half, full, earlier)
}


def check(net: Net) -> None:
    """Refuse a net that cannot be built.

    Raises:
        InputError: its picture is larger than a face, or gone before its stages are.
    """
    side = net.crop
    for stage in net.stages:
        side = (side - 2 * len(stage) * (net.padding == "valid")) // 2
    if side < 1 or net.crop > LARGEST:
        raise InputError(
            f"net.crop={net.crop}: at most {LARGEST}, and enough for the halvings of {net.stages}"
        )


def named(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InputError: there is none.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}: allowed are {', '.join(RECIPES)}")
    return RECIPES[name]()


def listing() -> str:
    """One line a recipe: its name and what it is."""
    return "\n".join(f"{name:<9} {(make.__doc__ or '').splitlines()[0]}" for name, make in RECIPES.items())
