"""What a run's recipe.json records, typed: nets, tree, recipe, data, calibration, exports."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from hierarchy.errors import InputError
from hierarchy.taxonomy import Tree

FER2013_LABELS: Final = "fer2013"  # whose labels a run learned where nothing else is recorded
REQUIRED_KEYS: Final = ("tree", "nets", "recipe")


def has_keys(value: Any, *keys: str) -> bool:
    """Whether a value is an object with these keys."""
    return isinstance(value, dict) and value.keys() >= set(keys)


@dataclass(frozen=True)
class NetRecord:
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

    @classmethod
    def from_dict(cls, values: Any, source: str) -> Self:
        """The record that recipe.json holds.

        Raises:
            InputError: file or checksum is missing, or a value is of another type.
        """
        if not has_keys(values, "file", "sha256"):
            raise InputError(f"{source}: every net needs its file and sha256")
        named = {"bytes": "size", "from": "copied_from"}
        known = {named.get(key, key): value for key, value in values.items()}
        known = {key: value for key, value in known.items() if key in cls.__dataclass_fields__}
        known["classes"] = tuple(known.get("classes", ()))
        for key, value in known.items():
            _check_type(value, cls.__dataclass_fields__[key].type, f"{source}: {key}")
        return cls(**known)


@dataclass(frozen=True)
class Calibration:
    """Offset of each class' logit and temperature of a net, fitted on PublicTest."""

    offset: tuple[float, ...]
    temperature: float

    @classmethod
    def from_dict(cls, values: Any, source: str) -> Self:
        """The values that recipe.json holds.

        Raises:
            InputError: they are missing, not finite, or the temperature is not positive.
        """
        if not has_keys(values, "offset", "temperature"):
            raise InputError(f"{source}: calibration needs offset and temperature")
        offset, temperature = values["offset"], values["temperature"]
        numbers = [*(offset if isinstance(offset, list) else [offset]), temperature]
        real = all(type(each) in (int, float) and math.isfinite(each) for each in numbers)
        if not real or temperature <= 0:
            raise InputError(f"{source}: calibration needs finite offsets and a positive temperature")
        return cls(tuple(map(float, numbers[:-1])), float(temperature))


@dataclass(frozen=True)
class ExportedFiles:
    """An exported net: its files with their checksums, and the checksum of the net it was made from."""

    files: dict[str, str]
    net: str


@dataclass(frozen=True)
class RunManifest:
    """What recipe.json records of a run.

    Attributes:
        run: its name.
        tree: of its nets.
        recipe: every hyper-parameter, as plain values; `config.overrides.from_dict` types it.
        nets: by node.
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

    run: str
    tree: Tree
    recipe: dict[str, Any]
    nets: dict[str, NetRecord]
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

    @property
    def recipe_name(self) -> str:
        """Name of the recipe."""
        return str(self.recipe.get("name", ""))

    @classmethod
    def from_dict(cls, values: Any, source: str) -> Self:
        """The manifest that recipe.json holds.

        Raises:
            InputError: a key is missing or of another type; names `source`.
        """
        if not has_keys(values) or any(not has_keys(values.get(key)) for key in REQUIRED_KEYS):
            raise InputError(f"{source}: not a run's recipe.json (needs {', '.join(REQUIRED_KEYS)})")
        known = {key: value for key, value in values.items() if key in cls.__dataclass_fields__}
        known |= {
            "run": str(values.get("run", "")),
            "tree": Tree.from_dict(values["tree"], source),
            "nets": {node: NetRecord.from_dict(net, source) for node, net in values["nets"].items()},
            "settings": tuple(_list(values.get("settings", []), f"{source}: settings")),
            "calibration": {
                node: Calibration.from_dict(each, source)
                for node, each in _object(values, "calibration", source).items()
            },
            "exports": _exports(_object(values, "exports", source), source),
        }
        for key in ("data", "start", "teacher"):
            _object(values, key, source)
        for key in ("seed", "deterministic", "labels", "framework"):
            if key in known:
                _check_type(known[key], cls.__dataclass_fields__[key].type, f"{source}: {key}")
        return cls(**known)


def _exports(values: Mapping[str, Any], source: str) -> dict[str, dict[str, ExportedFiles]]:
    if not all(has_keys(each) for each in values.values()) or not all(
        has_keys(net, "files", "net") and has_keys(net["files"])
        for each in values.values()
        for net in each.values()
    ):
        raise InputError(f"{source}: every exported net needs its files and net")
    return {
        engine: {node: ExportedFiles(dict(net["files"]), str(net["net"])) for node, net in each.items()}
        for engine, each in values.items()
    }


def _object(values: Mapping[str, Any], key: str, source: str) -> dict[str, Any]:
    value = values.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"{source}: {key} must be an object")
    return value


def _list(value: Any, source: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"{source} must be a list of strings")
    return value


def _check_type(value: Any, expected: Any, source: str) -> None:
    kinds: Any = (int, float) if expected is float else expected
    if getattr(expected, "__origin__", None) is tuple:
        kinds = tuple
    if not isinstance(value, kinds) or (isinstance(value, bool) and expected is not bool):
        raise InputError(f"{source}: unexpected value {str(value)[:80]!r}")
