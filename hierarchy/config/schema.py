"""The schema of recipes: every hyper-parameter with its type and range, stored with each run.

Named recipes are in recipes.py, settings and stored recipes in overrides.py. Values are checked wherever a
recipe is made. Comments give safe ranges.
"""

import dataclasses
import json
from dataclasses import field, replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic.dataclasses import dataclass

from hierarchy.config.backbones import BACKBONES
from hierarchy.taxonomy import FLAT, VALENCE, Tree

LARGEST: Final = 48  # pixels per side of a face
ERASED: Final = (0.02, 0.25)  # area of an erased rectangle, fraction of the face
CHECKED: Final = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

MOST: Final = 1_000_000  # of every number in a recipe
LEAST: Final = 1e-12  # smallest number other than 0: float32 holds its square too


def _counting(value: float) -> float:
    """The value, if arithmetic in float32 does not take it for 0."""
    if 0 < value < LEAST:
        raise ValueError(f"expected 0 or at least {LEAST}")
    return value


Count = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[int, Field(ge=1, le=MOST)]
Number = Annotated[float, AfterValidator(_counting)]
Amount = Annotated[Number, Field(ge=0, le=MOST)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Share = Annotated[Number, Field(ge=0, le=1)]


def _listed(value: Any) -> tuple[Any, ...]:
    """A single value as a list of one: `net.dense=256`."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _tree(value: Any) -> Tree:
    return value if isinstance(value, Tree) else Tree.from_dict(value)


Widths = Annotated[tuple[Positive, ...], BeforeValidator(_listed)]
Stages = Annotated[tuple[Widths, ...], BeforeValidator(_listed)]
Edge = Annotated[int, Field(ge=0, le=LARGEST)]
Window = tuple[Edge, Edge, Edge, Edge]  # left, top, right, bottom in pixels of the face


@dataclass(frozen=True, config=CHECKED)
class VGGConfig:
    """A VGG-style net: stages of 3x3 convolutions, a 2x2 max pooling after each stage."""

    stages: Stages = ((24, 24), (48, 48), (96, 96), (192, 192))  # widths of convolutions
    padding: Literal["same", "valid"] = "same"  # valid: one pixel per side lost per convolution
    crop: Annotated[int, Field(ge=1, le=LARGEST)] = 44  # pixels per side of the centre crop
    blur: Annotated[Number, Field(ge=0, lt=3)] = 0.0  # sigma in pixels of a 3x3 Gaussian before it; 0: none
    batch_norm: bool = True
    spatial_dropout: Fraction = 0.0  # after every pooling but the last; 0 to 0.3
    dense: Widths = ()  # hidden layers of the head; empty: global pooling, then the logits
    head: Literal["pool", "flatten"] = "pool"  # "pool": global average; "flatten": every position
    dropout: Fraction = 0.3  # before every dense layer of the head

    @property
    def windowed_bodies(self) -> list[tuple["VGGConfig", Window]]:
        """Its one body, and the part of the face that it looks at."""
        margin = (LARGEST - self.crop) // 2
        return [(self, (margin, margin, margin + self.crop, margin + self.crop))]


@dataclass(frozen=True, config=CHECKED)
class PretrainedConfig:
    """A pretrained backbone (backbones.py) with one dense layer for the logits."""

    backbone: Annotated[str, Field(pattern=f"^({'|'.join(BACKBONES)})$")]
    side: Annotated[int, Field(ge=32, le=512)] = 224  # pixels per side that faces are resized to
    weights: str = "random"  # random | hub: published weights | a file or folder of weights
    dropout: Fraction = 0.0  # before the logits
    # CLIP: the head starts from the texts of the classes, {} for a leaf's name; "": from random weights
    prompt: Annotated[str, Field(pattern=r"^(.*\{\}.*)?$", max_length=200)] = ""
    # the last layer (PyTorch: module) that training leaves as it is, with all before it; "": none
    freeze_to: Annotated[str, Field(max_length=200)] = ""


@dataclass(frozen=True, config=CHECKED)
class ParallelConfig:
    """Several VGG-style nets side by side, their features concatenated before one dense layer of logits.

    Each starts from the flat net of one run: `--init-from RUN,RUN`. The nets' own heads are not used.
    """

    bodies: Annotated[tuple[VGGConfig, ...], Field(min_length=2, max_length=8), BeforeValidator(_listed)]
    dropout: Fraction = 0.0  # before the logits

    @property
    def windowed_bodies(self) -> list[tuple[VGGConfig, Window]]:
        """The bodies, and the part of the face that each looks at."""
        return [each for body in self.bodies for each in body.windowed_bodies]


@dataclass(frozen=True, config=CHECKED)
class PartsConfig(VGGConfig):
    """A VGG-style body for the whole face and a smaller one for each of several fixed windows.

    Their features are concatenated before one dense layer of logits. Bodies of parts have the settings of the
    other, except stages and crop. Windows suit faces that are registered as FER-2013's are.
    """

    part_stages: Stages = ((11, 11), (22, 22), (44, 44))  # of the body of each window
    # around brows and eyes, nose, mouth
    windows: Annotated[tuple[Window, ...], Field(min_length=1, max_length=7)] = (
        (4, 4, 44, 28),
        (12, 16, 36, 40),
        (8, 23, 40, 47),
    )
    input: Literal["whole", "parts", "both"] = "both"  # what the net looks at

    @property
    def windowed_bodies(self) -> list[tuple[VGGConfig, Window]]:
        """The bodies that are used, and the part of the face that each looks at."""
        whole = VGGConfig(**{each.name: getattr(self, each.name) for each in dataclasses.fields(VGGConfig)})
        part = replace(whole, stages=self.part_stages)
        parts = [(part, window) for window in self.windows]
        choices = {"whole": whole.windowed_bodies, "parts": parts, "both": whole.windowed_bodies + parts}
        return choices[self.input]


NetConfig = VGGConfig | PretrainedConfig | ParallelConfig | PartsConfig


def without_weights(net: NetConfig) -> NetConfig:
    """The same layers with random weights."""
    return replace(net, weights="random") if isinstance(net, PretrainedConfig) else net


@dataclass(frozen=True, config=CHECKED)
class AugmentConfig:
    """Augmentation of training faces; a strength of 0 disables its step."""

    flip: bool = True
    rotation: Amount = 15.0  # degrees, +-
    scale: Fraction = 0.15  # fraction, +-
    shift: Amount = 0.12  # fraction of the side, +- on each axis; includes the random crop
    brightness: Amount = 0.0  # fraction of the grey range, +-
    contrast: Amount = 0.0  # fraction of the deviation from the face's mean, +-
    erasing: Amount = 0.0  # probability that a random rectangle is erased
    mixup: Amount = 0.0  # alpha of the Beta distribution of mixup weights
    mixup_until: Amount = 0.85  # fraction of the epochs after which mixup ends
    probability: Amount = 1.0  # that a face is augmented at all

    @property
    def still(self) -> bool:
        """Whether faces are not augmented at all."""
        moved = (self.flip, self.rotation, self.scale, self.shift)
        return not any((*moved, self.brightness, self.contrast, self.erasing, self.mixup))


@dataclass(frozen=True, config=CHECKED)
class TrainConfig:
    """Training of a net."""

    epochs: Positive = 14
    batch_size: Positive = 64
    optimizer: Literal["sgd", "adam"] = "sgd"  # sgd: with Nesterov momentum
    learning_rate: Amount = 0.1  # the peak
    momentum: Fraction = 0.9
    schedule: Literal["cosine", "constant", "step", "plateau"] = "cosine"  # training/schedules.py
    warm_up: Fraction = 0.2  # cosine: fraction of all steps before the peak
    lr_decay: Amount = 0.9  # step, plateau: factor of the learning rate
    lr_step_epochs: Positive = 5  # epochs between steps; plateau: epochs without a better PublicTest accuracy
    weight_decay: Amount = 5e-4  # of kernels, as in SGD with L2 (see models/trainer.py)
    clip_norm: Amount = 0.0  # 0: none
    loss: Literal["cross-entropy", "focal"] = "cross-entropy"
    focal_gamma: Amount = 2.0
    label_smoothing: Fraction = 0.1
    l2: Amount = 0.0  # penalty on kernels, added to the loss
    ema: Fraction = 0.0  # momentum of the averaged weights; 0: none
    patience: Count = 0  # epochs without a better PublicTest accuracy before stopping; 0: never
    max_minutes: Amount = 0.0  # after which no epoch begins; 0: no limit
    freeze_backbone: bool = False  # train the head only
    samples_per_class: Count = 0  # Training faces per class, the same in all epochs; 0: all
    oversample: bool = True  # show every class equally often; epochs keep their length
    precision: Literal["float32", "bfloat16"] = "float32"  # bfloat16: where the machine supports it
    class_weights: bool = False  # weight the loss by inverse class frequency instead of oversampling
    outlier_ratio: Amount = 0.0  # faces of other branches per own face of a specialist
    soft_label_weight: Fraction = 0.0  # share of the FER+ votes in the target
    distillation_weight: Fraction = 0.0  # share of the teacher's probabilities in the target
    generated_share: Share = 0.0  # of each leaf's gap to the most frequent one that generated faces fill

    @property
    def oversampled(self) -> bool:
        """Whether classes are oversampled."""
        return self.oversample and not self.class_weights

    @property
    def balanced(self) -> bool:
        """Whether classes count equally in training."""
        return self.oversample or self.class_weights


@dataclass(frozen=True, config=CHECKED)
class Recipe:
    """Everything needed to repeat a run, except data and seed.

    Attributes:
        name: of the recipe.
        net: layers of every net.
        augment: of training faces.
        fit: training of the flat net, and of all nets trained from scratch.
        warm_start: training of router and specialists from the flat net's weights; None: from scratch.
        node: nodes that are trained by default.
        heads: separate: a net for every node; shared: one net, the trunk, with a head for every node and one
            over all leaves, trained on the sum of their losses (Caruana, "Multitask learning", 1997).
        tree: of the nets.
        about: for people; not part of the identity, and not stored.
    """

    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,200}$")]
    net: NetConfig = field(default_factory=VGGConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: TrainConfig = field(default_factory=TrainConfig)
    warm_start: TrainConfig | None = None
    node: str = "all"
    heads: Literal["separate", "shared"] = "separate"
    tree: Annotated[Tree, PlainValidator(_tree)] = VALENCE
    about: str = field(default="", compare=False)

    @property
    def fits(self) -> list[TrainConfig]:
        """The trainings of its nets."""
        return [fit for fit in (self.fit, self.warm_start) if fit]

    def fit_of(self, node: str) -> TrainConfig:
        """The training of a node's net."""
        return self.fit if node == FLAT else self.warm_start or self.fit

    def as_dict(self, whole: bool = False) -> dict[str, Any]:
        """Plain JSON values; tree, heads, generated_share and prompt where not the default, or `whole`."""
        plain = dataclasses.asdict(self) | {"tree": self.tree.to_dict()}
        del plain["about"]
        if whole:
            return json.loads(json.dumps(plain))
        for fit in filter(None, (plain["fit"], plain["warm_start"])):
            if not fit["generated_share"]:
                del fit["generated_share"]  # as recipes were stored before faces were generated
        if self.tree == VALENCE and not self.tree.aliases:
            del plain["tree"]  # as recipes were stored before trees were data
        if not plain["net"].get("prompt", True):
            del plain["net"]["prompt"]  # as recipes were stored before CLIP's text was used
        if self.heads == "separate":
            del plain["heads"]  # as recipes were stored before nets could share
        return json.loads(json.dumps(plain))
