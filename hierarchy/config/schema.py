"""Every hyper-parameter of every net: what a recipe is made of.

Frozen dataclasses that are stored with each run; recipes.py names those that are kept, settings.py changes
single values and reads what was stored. Where a range is safe, the comment beside the field says so.
"""

import dataclasses
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hierarchy.errors import InputError
from hierarchy.taxonomy import VALENCE, Tree

LARGEST: Final = 48  # side in pixels of a face
ERASED: Final = (0.02, 0.25)  # area of an erased rectangle, fraction of the face


@dataclass(frozen=True)
class VGGConfig:
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
class PretrainedConfig:
    """A published net up to its features (backbones.py); a dense layer on them gives the logits."""

    backbone: str
    side: int = 224  # pixels a side that faces are enlarged to
    weights: str = "random"  # random | hub: those that were published | a file or folder that holds them
    dropout: float = 0.0  # before the logits


def without_weights(net: VGGConfig | PretrainedConfig) -> VGGConfig | PretrainedConfig:
    """The same layers, of random weights: others are about to be filled in, or are not of interest."""
    return replace(net, weights="random") if isinstance(net, PretrainedConfig) else net


@dataclass(frozen=True)
class AugmentConfig:
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
    probability: float = 1.0  # that a face is moved, lit or erased at all

    @property
    def still(self) -> bool:
        """Whether every face stays as it is."""
        moved = (self.flip, self.rotation, self.scale, self.shift)
        return not any((*moved, self.brightness, self.contrast, self.erasing, self.mixup))


@dataclass(frozen=True)
class TrainConfig:
    """How a net is fitted."""

    epochs: int = 14
    batch_size: int = 64
    optimizer: str = "sgd"  # sgd (Nesterov) | adam
    learning_rate: float = 0.1  # the peak
    momentum: float = 0.9
    schedule: str = "cosine"  # cosine | constant | step | plateau: training/schedules.py
    warm_up: float = 0.2  # cosine: fraction of all steps spent rising to the peak
    lr_decay: float = 0.9  # step, plateau: factor of the learning rate
    lr_step_epochs: int = 5  # epochs between steps; plateau: epochs without a better PublicTest accuracy
    weight_decay: float = 5e-4  # on kernels only, in the coupled sense of SGD (see models/trainer.py)
    clip_norm: float = 0.0  # 0: none
    loss: str = "cross-entropy"  # cross-entropy | focal
    focal_gamma: float = 2.0
    label_smoothing: float = 0.1
    l2: float = 0.0  # penalty on kernels, added to the loss
    ema: float = 0.0  # momentum of the averaged weights; 0: none
    patience: int = 0  # epochs without a better PublicTest accuracy before stopping; 0: never
    max_minutes: float = 0.0  # after which no other epoch begins; 0: no limit
    freeze_backbone: bool = False  # train the head only
    samples_per_class: int = 0  # Training faces of each class, drawn once for all epochs; 0: all
    oversample: bool = True  # draw every class equally often; an epoch keeps its length
    precision: str = "float32"  # float32 | bfloat16, of the arithmetic where the machine has it
    class_weights: bool = False  # weigh the loss by inverse frequency; oversampling is then off
    outlier_ratio: float = 0.0  # faces of other branches shown to a specialist, per face of its own
    soft_label_weight: float = 0.0  # share of FER+'s votes in the target
    distillation_weight: float = 0.0  # share of the teacher's probabilities in the target

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

    Attributes:
        name: of the recipe.
        net: layers of every net.
        augment: of training faces.
        fit: training of the flat net, and of all nets that start from scratch.
        warm_start: training of router and specialists from the flat net's weights; None: from scratch.
        node: what is trained where the user names no node.
        tree: of the nets.
    """

    name: str
    net: VGGConfig | PretrainedConfig = field(default_factory=VGGConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: TrainConfig = field(default_factory=TrainConfig)
    warm_start: TrainConfig | None = None
    node: str = "all"
    tree: Tree = VALENCE

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON gives them back; the tree only where it is not the default."""
        plain = dataclasses.asdict(dataclasses.replace(self, tree=VALENCE))
        own = {} if self.tree == VALENCE else {"tree": self.tree.to_dict()}
        return json.loads(json.dumps({key: value for key, value in plain.items() if key != "tree"} | own))


def check(net: VGGConfig) -> None:
    """Refuse a net that cannot be built.

    Raises:
        InputError: its picture is larger than a face, or gone before its stages are.
    """
    side = net.crop
    for stage in net.stages:
        side = (side - 2 * len(stage) * (net.padding == "valid")) // 2
    if side < 1 or net.crop > LARGEST:
        raise InputError(
            f"net.crop={net.crop}: must be <= {LARGEST} and large enough for {len(net.stages)} pooling stages"
        )
