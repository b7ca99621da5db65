"""The schema of recipes: every hyper-parameter, as frozen dataclasses that are stored with each run.

Named recipes are in recipes.py, settings and stored recipes in overrides.py. Comments give safe ranges.
"""

import dataclasses
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hierarchy.errors import InputError
from hierarchy.taxonomy import VALENCE, Tree

LARGEST: Final = 48  # pixels per side of a face
ERASED: Final = (0.02, 0.25)  # area of an erased rectangle, fraction of the face


@dataclass(frozen=True)
class VGGConfig:
    """A VGG-style net: stages of 3x3 convolutions, a 2x2 max pooling after each stage."""

    stages: tuple[tuple[int, ...], ...] = ((24, 24), (48, 48), (96, 96), (192, 192))  # widths of convolutions
    padding: str = "same"  # same | valid: one pixel per side lost per convolution
    crop: int = 44  # pixels per side of the centre crop; 48 is the whole face
    blur: float = 0.0  # sigma in pixels of a fixed 3x3 Gaussian before the crop; 0: none
    batch_norm: bool = True
    spatial_dropout: float = 0.0  # after every pooling but the last; 0 to 0.3
    dense: tuple[int, ...] = ()  # hidden layers of the head; empty: global pooling, then the logits
    head: str = "pool"  # "pool": global average; "flatten": every position
    dropout: float = 0.3  # before every dense layer of the head


@dataclass(frozen=True)
class PretrainedConfig:
    """A pretrained backbone (backbones.py) with one dense layer for the logits."""

    backbone: str
    side: int = 224  # pixels per side that faces are resized to
    weights: str = "random"  # random | hub: published weights | a file or folder of weights
    dropout: float = 0.0  # before the logits


def without_weights(net: VGGConfig | PretrainedConfig) -> VGGConfig | PretrainedConfig:
    """The same layers with random weights."""
    return replace(net, weights="random") if isinstance(net, PretrainedConfig) else net


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of training faces; a strength of 0 disables its step."""

    flip: bool = True
    rotation: float = 15.0  # degrees, +-
    scale: float = 0.15  # fraction, +-
    shift: float = 0.12  # fraction of the side, +- on each axis; includes the random crop
    brightness: float = 0.0  # fraction of the grey range, +-
    contrast: float = 0.0  # fraction of the deviation from the face's mean, +-
    erasing: float = 0.0  # probability that a random rectangle is erased
    mixup: float = 0.0  # alpha of the Beta distribution of mixup weights
    mixup_until: float = 0.85  # fraction of the epochs after which mixup ends
    probability: float = 1.0  # that a face is augmented at all

    @property
    def still(self) -> bool:
        """Whether faces are not augmented at all."""
        moved = (self.flip, self.rotation, self.scale, self.shift)
        return not any((*moved, self.brightness, self.contrast, self.erasing, self.mixup))


@dataclass(frozen=True)
class TrainConfig:
    """Training of a net."""

    epochs: int = 14
    batch_size: int = 64
    optimizer: str = "sgd"  # sgd (Nesterov) | adam
    learning_rate: float = 0.1  # the peak
    momentum: float = 0.9
    schedule: str = "cosine"  # cosine | constant | step | plateau: training/schedules.py
    warm_up: float = 0.2  # cosine: fraction of all steps before the peak
    lr_decay: float = 0.9  # step, plateau: factor of the learning rate
    lr_step_epochs: int = 5  # epochs between steps; plateau: epochs without a better PublicTest accuracy
    weight_decay: float = 5e-4  # of kernels, as in SGD with L2 (see models/trainer.py)
    clip_norm: float = 0.0  # 0: none
    loss: str = "cross-entropy"  # cross-entropy | focal
    focal_gamma: float = 2.0
    label_smoothing: float = 0.1
    l2: float = 0.0  # penalty on kernels, added to the loss
    ema: float = 0.0  # momentum of the averaged weights; 0: none
    patience: int = 0  # epochs without a better PublicTest accuracy before stopping; 0: never
    max_minutes: float = 0.0  # after which no epoch begins; 0: no limit
    freeze_backbone: bool = False  # train the head only
    samples_per_class: int = 0  # Training faces per class, the same in all epochs; 0: all
    oversample: bool = True  # show every class equally often; epochs keep their length
    precision: str = "float32"  # float32 | bfloat16, where the machine supports it
    class_weights: bool = False  # weight the loss by inverse class frequency instead of oversampling
    outlier_ratio: float = 0.0  # faces of other branches per own face of a specialist
    soft_label_weight: float = 0.0  # share of the FER+ votes in the target
    distillation_weight: float = 0.0  # share of the teacher's probabilities in the target

    @property
    def oversampled(self) -> bool:
        """Whether classes are oversampled."""
        return self.oversample and not self.class_weights

    @property
    def balanced(self) -> bool:
        """Whether classes count equally in training."""
        return self.oversample or self.class_weights


@dataclass(frozen=True)
class Recipe:
    """Everything needed to repeat a run, except data and seed.

    Attributes:
        name: of the recipe.
        net: layers of every net.
        augment: of training faces.
        fit: training of the flat net, and of all nets trained from scratch.
        warm_start: training of router and specialists from the flat net's weights; None: from scratch.
        node: nodes that are trained by default.
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
        """Plain JSON values; the tree only where it is not the default."""
        plain = dataclasses.asdict(self) | {"tree": self.tree.to_dict()}
        if self.tree == VALENCE and not self.tree.aliases:
            del plain["tree"]  # as recipes were stored before trees were data
        return json.loads(json.dumps(plain))


def check(net: VGGConfig) -> None:
    """Refuse a net that cannot be built.

    Raises:
        InputError: its crop is larger than a face, or too small for its stages.
    """
    side = net.crop
    for stage in net.stages:
        side = (side - 2 * len(stage) * (net.padding == "valid")) // 2
    if side < 1 or net.crop > LARGEST:
        raise InputError(
            f"net.crop={net.crop}: must be <= {LARGEST} and large enough for {len(net.stages)} pooling stages"
        )
    if net.blur and net.crop > LARGEST - 2:
        raise InputError(f"net.blur={net.blur}: needs net.crop <= {LARGEST - 2}, a border of one pixel")
