"""What a run's recipe.json records, typed: nets, tree, recipe, data, calibration, exports."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self, TypedDict

import msgspec

from hierarchy.errors import InputError
from hierarchy.fileio import sha256, typed
from hierarchy.taxonomy import TRUNK, Tree

FER2013_LABELS: Final = "fer2013"  # whose labels a run learned where nothing else is recorded
LEVELS: Final = 200  # coverages 1 / LEVELS, 2 / LEVELS ... 1, whose quantiles are recorded
CHECKSUM: Final = "checksum"  # key of a manifest: of all its other values
# a file in the run's folder, never a path
FileName = Annotated[str, msgspec.Meta(pattern=r"^[^\W_][\w .+-]{0,99}\Z")]
Figure = Annotated[float, msgspec.Meta(ge=0, le=1e12)]  # NaN and infinite are refused too
Count = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
Counts = dict[str, Count]


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
        shared: whether the file is the trunk, which has the outputs of other nodes too.
        copied_from: name of the run whose net this is, where it was not trained in this one.
    """

    file: FileName
    sha256: str
    size: Count | None = None
    classes: tuple[str, ...] = ()
    seed: int = 0
    epochs: Count = 0
    best_epoch: Count = 0
    public_test_accuracy: Figure = 0.0
    minutes: Figure = 0.0
    images_per_second: Figure = 0.0
    parameters: Count = 0
    macs: Count | None = None
    backend: str = ""
    precision: str | None = None
    warm_start: bool = False
    balanced: bool = False
    finished: bool = True
    shared: bool = False
    copied_from: str | None = None


@dataclass(frozen=True)
class Calibration:
    """Offset of each class' logit and temperature of a net, fitted on PublicTest.

    Within these ranges, the probabilities of any float32 logits are finite.
    """

    offset: tuple[Annotated[float, msgspec.Meta(ge=-100, le=100)], ...]
    temperature: Annotated[float, msgspec.Meta(ge=0.01, le=100)]


UNCALIBRATED: Final = Calibration((0.0,), 1.0)  # of a net without calibration; for any number of classes


@dataclass(frozen=True)
class BranchScores:
    """Nonconformity scores, 1 - P(true leaf), of the calibration faces of a branch, ascending.

    Attributes:
        n: faces.
        quantiles: the k-th is the least threshold that holds coverage k / LEVELS; the last the largest score.
    """

    n: Annotated[int, msgspec.Meta(ge=1, le=10**9)]
    quantiles: Annotated[
        tuple[Annotated[float, msgspec.Meta(ge=0, le=1)], ...],
        msgspec.Meta(min_length=LEVELS, max_length=LEVELS),
    ]


@dataclass(frozen=True)
class Conformal:
    """What prediction sets are made from, see `routing.prediction_sets`.

    Attributes:
        calibration: by node, its temperatures fitted on other faces than those of `branches`.
        branches: scores by branch of the true leaf.
    """

    calibration: dict[str, Calibration]
    branches: dict[str, BranchScores]


@dataclass(frozen=True)
class ExportedFiles:
    """An exported net: its files with their checksums, and the checksum of the net it was made from."""

    files: Annotated[dict[FileName, str], msgspec.Meta(min_length=1)]
    net: str


class DataRecord(TypedDict, total=False):
    """What is recorded of a run's data set."""

    source: str
    fingerprint: str
    left_out: Counts  # faces of each class that the tree lacks
    counts: dict[str, Counts]  # faces of each class by split
    origins: Counts  # faces by where they come from


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
        generated: name of the generator that added faces to Training -> checksum of its net.
        calibration: by node; empty before it is fitted.
        public_test_accuracy: of the tree (soft), or of the flat net where the tree is not complete.
        conformal: of prediction sets; None before it is fitted.
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
    data: DataRecord = field(default_factory=DataRecord)
    start: dict[str, str] = field(default_factory=dict)
    teacher: dict[str, dict[str, str]] = field(default_factory=dict)
    generated: dict[str, str] = field(default_factory=dict)
    calibration: dict[str, Calibration] = field(default_factory=dict)
    public_test_accuracy: Figure | None = None
    conformal: Conformal | None = None
    exports: dict[str, dict[str, ExportedFiles]] = field(default_factory=dict)
    answer: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.recipe.get("net", {}), dict):
            raise ValueError("Expected `object` - at `$.recipe.net`")
        self._check_calibration(self.calibration, "$.calibration")
        if self.conformal:
            self._check_calibration(self.conformal.calibration, "$.conformal.calibration")
            if self.conformal.branches.keys() != set(self.tree.branches):
                raise ValueError("Expected the branches of the tree - at `$.conformal.branches`")

    def _check_calibration(self, calibration: dict[str, Calibration], place: str) -> None:
        for node, about in calibration.items():
            if node not in self.tree.nets or len(about.offset) not in (1, len(self.tree.classes_of(node))):
                raise ValueError(f"Expected an offset for each class of the node - at `{place}`, {node!r}")

    @property
    def complete(self) -> bool:
        """Whether all nets of the tree are there."""
        return self.tree.complete(self.nets)

    def columns(self, node: str) -> slice:
        """The outputs of a node among those of its net's file."""
        return self.tree.columns(TRUNK)[node] if self.nets[node].shared else slice(None)

    @property
    def checksums(self) -> dict[str, str]:
        """Checksum of every net's file, by node."""
        return {node: net.sha256 for node, net in self.nets.items()}

    @classmethod
    def from_dict(cls, values: Any, source: str) -> Self:
        """The manifest that recipe.json holds.

        Raises:
            InputError: a key is missing or of another type, or the values are not those that were `sealed`;
                names `source`.
        """
        if isinstance(values, dict) and CHECKSUM in values and sealed(values) != values:
            raise InputError(f"{source}: damaged or edited, its values differ from its {CHECKSUM}")
        if isinstance(values, dict) and "tree" in values:
            values = values | {"tree": Tree.from_dict(values["tree"], source)}
        return typed(values, cls, source)


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a manifest with their CHECKSUM, which covers calibration as much as nets."""
    plain = {key: value for key, value in values.items() if key != CHECKSUM}
    return plain | {CHECKSUM: sha256(json.dumps(plain, sort_keys=True).encode())}
