"""What a run's recipe.json records, typed: nets, tree, recipe, data, calibration, exports."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self

import msgspec

from hierarchy.fileio import typed
from hierarchy.taxonomy import Tree

FER2013_LABELS: Final = "fer2013"  # whose labels a run learned where nothing else is recorded


class NetRecord(msgspec.Struct, frozen=True, rename={"size": "bytes", "copied_from": "from"}):
    """What is recorded of one net.

    Attributes:
        file, sha256, size: name, checksum and bytes of its file.
        classes: of its logits.
        parameters, macs: weights, and multiplications per face.
        epochs, best_epoch: trained, and the one that was kept.
        public_test_accuracy: of the best epoch.
        minutes, images_per_second: of the training.
        backend, precision: of the training.
        balanced: whether classes were shown equally often, so that class frequencies are added afterwards.
        finished: whether the training reached its end.
        copied_from: name of the run whose net this is, where it was not trained in this one.
    """

    file: str
    sha256: str
    size: int | None = None
    classes: tuple[str, ...] = ()
    seed: int = 0
    epochs: int = 0
    best_epoch: int = 0
    public_test_accuracy: float = 0.0
    minutes: float = 0.0
    images_per_second: float = 0.0
    parameters: int = 0
    macs: int | None = None
    backend: str = ""
    precision: str | None = None
    warm_start: bool = False
    balanced: bool = False
    finished: bool = True
    copied_from: str | None = None


@dataclass(frozen=True)
class Calibration:
    """Offset of each class' logit and temperature of a net, fitted on PublicTest."""

    offset: tuple[float, ...]
    temperature: Annotated[float, msgspec.Meta(gt=0)]

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.offset, self.temperature))):
            raise ValueError("Expected finite numbers")


UNCALIBRATED: Final = Calibration((0.0,), 1.0)  # of a net without calibration; for any number of classes


@dataclass(frozen=True)
class ExportedFiles:
    """An exported net: its files with their checksums, and the checksum of the net it was made from."""

    files: dict[str, str]
    net: str


@dataclass(frozen=True)
class RunManifest:
    """What recipe.json records of a run.

    Attributes:
        tree: of its nets.
        recipe: every hyper-parameter, as plain values; `config.overrides.from_dict` types it.
        nets: by node.
        run: its name.
        settings: changes to the named recipe, key=value.
        seed, deterministic: of the training.
        labels: fer2013 or ferplus.
        framework: that trained it.
        data: source, fingerprint and counts of its data set.
        start: run -> checksum of the flat net that it started from.
        teacher: run -> node -> checksum of the nets that taught it.
        calibration: by node; empty before it is fitted.
        exports: engine -> node -> files.
        answer: how several runs predict together; None for a single run.
    """

    tree: Tree
    recipe: dict[str, Any]
    nets: dict[str, NetRecord]
    run: str = ""
    settings: tuple[str, ...] = ()
    seed: int = 0
    deterministic: bool = False
    labels: str = FER2013_LABELS
    framework: str = "Keras"
    data: dict[str, Any] = field(default_factory=dict)
    start: dict[str, str] = field(default_factory=dict)
    teacher: dict[str, dict[str, str]] = field(default_factory=dict)
    calibration: dict[str, Calibration] = field(default_factory=dict)
    exports: dict[str, dict[str, ExportedFiles]] = field(default_factory=dict)
    answer: str | None = None

    @property
    def complete(self) -> bool:
        """Whether all nets of the tree are there."""
        return self.tree.complete(self.nets)

    @property
    def checksums(self) -> dict[str, str]:
        """Checksum of every net's file, by node."""
        return {node: net.sha256 for node, net in self.nets.items()}

    @classmethod
    def from_dict(cls, values: Any, source: str) -> Self:
        """The manifest that recipe.json holds.

        Raises:
            InputError: a key is missing or of another type; names `source`.
        """
        if isinstance(values, dict) and "tree" in values:
            values = values | {"tree": Tree.from_dict(values["tree"], source)}
        return typed(values, cls, source)
