"""Recipes from text: settings such as `fit.epochs=20`, and stored recipes. Unknown keys are refused."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

from hierarchy.config.backbones import BACKBONES
from hierarchy.config.recipes import named
from hierarchy.config.schema import LARGEST, PretrainedConfig, Recipe, VGGConfig
from hierarchy.errors import InputError
from hierarchy.fileio import read_json, write_json
from hierarchy.taxonomy import Tree

RECIPE_FILE: Final = ".json"  # suffix of files with a recipe
RANGES: Final[dict[str, tuple[float, float]]] = {  # low <= value < high; other numbers are >= 0
    "stages": (1, math.inf),
    "dense": (1, math.inf),
    "epochs": (1, math.inf),
    "batch_size": (1, math.inf),
    "spatial_dropout": (0, 1),
    "dropout": (0, 1),
    "crop": (1, LARGEST + 1),
    "blur": (0, 3),
    "side": (32, 513),
    "scale": (0, 1),
    "warm_up": (0, 1),
    "momentum": (0, 1),
    "label_smoothing": (0, 1),
    "ema": (0, 1),
    "soft_label_weight": (0, 1),
    "distillation_weight": (0, 1),
    "lr_step_epochs": (1, math.inf),
}
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "backbone": tuple(BACKBONES),
    "padding": ("same", "valid"),
    "head": ("pool", "flatten"),
    "optimizer": ("sgd", "adam"),
    "schedule": ("cosine", "constant", "step", "plateau"),
    "loss": ("cross-entropy", "focal"),
    "precision": ("float32", "bfloat16"),
}

RENAMED: Final = {  # keys of recipes stored by earlier versions -> new
    "warm": "warm_start",
    "votes": "soft_label_weight",
    "teacher": "distillation_weight",
    "outsiders": "outlier_ratio",
    "rows": "samples_per_class",
    "minutes": "max_minutes",
    "every": "lr_step_epochs",
    "decay": "lr_decay",
    "frozen": "freeze_backbone",
}


def translated(values: Any, source: str) -> Any:
    """A recipe's plain values, or a setting `key=value`, with renamed keys replaced.

    Raises:
        InputError: an old key together with its new name.
    """
    if isinstance(values, str):
        key, equals, value = values.partition("=")
        return ".".join(RENAMED.get(part, part) for part in key.split(".")) + equals + value
    if not isinstance(values, Mapping):
        return values
    if both := [old for old, new in RENAMED.items() if old in values and new in values]:
        raise InputError(f"{source}: {both[0]!r} is the old name of {RENAMED[both[0]]!r}; give only one")
    sections = {key: value for key, value in values.items() if isinstance(value, Mapping) and key != "tree"}
    values = {**values, **{key: translated(value, source) for key, value in sections.items()}}
    return {RENAMED.get(key, key): value for key, value in values.items()}


def recipe_of(name: str) -> Recipe:
    """The recipe of a name, or of a file written by `store`.

    Raises:
        InputError: no such recipe or file, or one with unknown keys.
    """
    return from_dict(read_json(Path(name)), name) if name.endswith(RECIPE_FILE) else named(name)


def store(recipe: Recipe, path: Path) -> None:
    """Write a recipe as a file that `recipe_of` reads."""
    write_json(path, recipe.as_dict())


def from_dict(values: Mapping[str, Any], source: str) -> Recipe:
    """The recipe that `as_dict` wrote.

    Raises:
        InputError: an unknown key or value; names `source`.
    """
    recipe: Recipe = _build(Recipe, translated(values, source), source)
    return recipe


def net_from_dict(values: Mapping[str, Any], source: str) -> VGGConfig | PretrainedConfig:
    """The net that a recipe's `as_dict` wrote under "net".

    Raises:
        InputError: an unknown key or value; names `source`.
    """
    built: VGGConfig | PretrainedConfig = _build(_part(VGGConfig | PretrainedConfig, values), values, source)
    return built


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with values changed by settings `section.key=value`, e.g. `fit.epochs=20`.

    Raises:
        InputError: an unknown key, or a value of another type or out of range.
    """
    for setting in settings:
        key, equals, text = translated(setting, "--set").partition("=")
        if not equals:
            raise InputError(f"--set {setting!r}: expected key=value, e.g. fit.epochs=20")
        recipe = _changed(recipe, key.strip().split("."), text.strip(), key.strip())
    return recipe


def _changed(part: Any, path: list[str], text: str, key: str) -> Any:
    allowed = [item.name for item in dataclasses.fields(part)]
    if path[0] not in allowed:
        raise InputError(f"unknown recipe key {key!r}: expected one of {', '.join(allowed)}")
    current = getattr(part, path[0])
    if _part(type(current)) and path[1:]:
        return replace(part, **{path[0]: _changed(current, path[1:], text, key)})
    wanted = get_type_hints(type(part))[path[0]]
    if path[1:] or _part(wanted) or wanted is Tree:
        raise InputError(f"recipe key {key!r} is not a single value")
    return replace(part, **{path[0]: _value(wanted, _parsed(text), key)})


def _parsed(text: str) -> Any:
    try:
        return json.loads(f"[{text}]" if "," in text and not text.startswith("[") else text)
    except ValueError:
        return text


def _value(wanted: Any, value: Any, key: str) -> Any:
    """`value` as the type of a field: integers are accepted for floats, lists for tuples."""
    if wanted is float and type(value) is int:
        value = float(value)
    if get_origin(wanted) is tuple:
        return tuple(_value(get_args(wanted)[0], item, key) for item in _items(value))
    if type(value) is not wanted:
        raise InputError(f"recipe key {key!r}: {value!r} is not of type {wanted.__name__}")
    low, high = RANGES.get(key.rpartition(".")[2], (0, math.inf))
    if wanted in (int, float) and not low <= value < high:  # NaN is in no range
        raise InputError(f"recipe key {key!r}: {value!r} is not in [{low}, {high})")
    allowed = CHOICES.get(key.rpartition(".")[2], (value,))
    if value not in allowed:
        raise InputError(f"recipe key {key!r}: {value!r} is not one of {', '.join(allowed)}")
    return value


def _part(wanted: Any, values: Any = None) -> Any:
    """The dataclass in a field's type, None where there is none.

    Of several, the first with a field for every key of `values`, else the first.
    """
    kinds = [kind for kind in (wanted, *get_args(wanted)) if dataclasses.is_dataclass(kind)]
    kinds = [kind for kind in kinds if kind is not Tree]  # a value, with its own reader
    keys = set(values) if isinstance(values, Mapping) else set()
    fitting = [kind for kind in kinds if keys <= {item.name for item in dataclasses.fields(kind)}]
    return next(iter([*fitting, *kinds]), None)


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _build(cls: Any, values: Mapping[str, Any], source: str) -> Any:
    hints = get_type_hints(cls)
    if not isinstance(values, Mapping):
        raise InputError(f"{source}: {values!r}: expected an object with {', '.join(hints)}")
    if unknown := sorted(set(values) - set(hints)):
        raise InputError(f"{source}: unknown recipe key {unknown[0]!r}: expected one of {', '.join(hints)}")
    needed = [
        each.name
        for each in dataclasses.fields(cls)
        if each.default is each.default_factory is dataclasses.MISSING
    ]
    if missing := [key for key in needed if key not in values]:
        raise InputError(f"{source}: recipe key {missing[0]!r} is missing")
    built: dict[str, Any] = {}
    for key, value in values.items():
        if hints[key] is Tree:
            built[key] = Tree.from_dict(value, source)
        elif part := _part(hints[key], value):
            empty = value is None and type(None) in get_args(hints[key])
            built[key] = None if empty else _build(part, value, source)
        else:
            built[key] = _value(hints[key], value, key)
    return cls(**built)
