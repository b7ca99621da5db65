"""Recipes as text: single values by key (`fit.epochs=20`), and what a run stored; the unknown is refused."""

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
from hierarchy.taxonomy import VALENCE, Tree

RECIPE_FILE: Final = ".json"  # what the name of a file with a recipe ends in
RANGES: Final[dict[str, tuple[float, float]]] = {  # from, and below; every other number is 0 or more
    "stages": (1, math.inf),
    "dense": (1, math.inf),
    "epochs": (1, math.inf),
    "batch_size": (1, math.inf),
    "spatial_dropout": (0, 1),
    "dropout": (0, 1),
    "crop": (1, LARGEST + 1),
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

RENAMED: Final = {  # keys of recipes that were stored before -> today's
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
    """A recipe's plain values, or a setting `key=value`, with today's keys.

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
    return {
        RENAMED.get(key, key): translated(value, source) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }


def recipe_of(name: str) -> Recipe:
    """The recipe of a name, or of a file that `tune` or `store` wrote.

    Raises:
        InputError: no such recipe or file, or one with unknown keys.
    """
    return from_dict(read_json(Path(name)), name) if name.endswith(RECIPE_FILE) else named(name)


def store(recipe: Recipe, path: Path) -> None:
    """Write a recipe as a file that `recipe_of` takes."""
    write_json(path, recipe.as_dict())


def from_dict(values: Mapping[str, Any], source: str) -> Recipe:
    """The recipe that `as_dict` wrote.

    Raises:
        InputError: a key is unknown; `source` names the file.
    """
    values = translated(values, source)
    tree = (
        Tree.from_dict(values["tree"], source) if isinstance(values, dict) and "tree" in values else VALENCE
    )
    rest = (
        {key: value for key, value in values.items() if key != "tree"} if isinstance(values, dict) else values
    )
    recipe: Recipe = _build(Recipe, rest, source)
    return dataclasses.replace(recipe, tree=tree)


def net_from_dict(values: Mapping[str, Any], source: str) -> VGGConfig | PretrainedConfig:
    """The net that a recipe's `as_dict` wrote under "net".

    Raises:
        InputError: a key is unknown; `source` names the file.
    """
    built: VGGConfig | PretrainedConfig = _build(_part(VGGConfig | PretrainedConfig, values), values, source)
    return built


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with single values changed, each written `part.key=value` as in `fit.epochs=20`.

    Raises:
        InputError: an unknown key, or a value of another type.
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
    if dataclasses.is_dataclass(current) and path[1:]:
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
    """`value` as the type a field wants: whole numbers serve as floats, lists as tuples."""
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
    """The dataclass that a field of type `wanted` holds, or may hold; None where it holds a value.

    Of several, the first that has a field for every key of `values`, or else the first.
    """
    kinds = [kind for kind in (wanted, *get_args(wanted)) if dataclasses.is_dataclass(kind)]
    keys = set(values) if isinstance(values, Mapping) else set()
    fitting = [kind for kind in kinds if keys <= {item.name for item in dataclasses.fields(kind)}]
    return next(iter([*fitting, *kinds]), None)


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _build(cls: Any, values: Mapping[str, Any], source: str) -> Any:
    hints = get_type_hints(cls)
    if not isinstance(values, Mapping):
        raise InputError(f"{source}: {values!r} where a recipe has an object of {', '.join(hints)}")
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise InputError(f"{source}: unknown recipe key {unknown[0]!r}: expected one of {', '.join(hints)}")
    needed = [
        each.name
        for each in dataclasses.fields(cls)
        if each.default is each.default_factory is dataclasses.MISSING
    ]
    if missing := [key for key in needed if key not in values]:
        raise InputError(f"{source}: recipe key {missing[0]!r} is missing")
    built = {}
    for key, value in values.items():
        if part := _part(hints[key], value):
            empty = value is None and type(None) in get_args(hints[key])
            built[key] = None if empty else _build(part, value, source)
        else:
            built[key] = _value(hints[key], value, key)
    return cls(**built)
