"""Recipes from text: settings such as `fit.epochs=20`, and stored recipes. Unknown keys are refused."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from hierarchy.config.recipes import named
from hierarchy.config.schema import (
    NetConfig,
    ParallelConfig,
    PartsConfig,
    PretrainedConfig,
    Recipe,
    VGGConfig,
)
from hierarchy.errors import InputError
from hierarchy.fileio import read_json, write_json

RECIPE_FILE: Final = ".json"  # suffix of files with a recipe
NETS: Final = (VGGConfig, PretrainedConfig, ParallelConfig, PartsConfig)
KEY_ERRORS: Final = ("unexpected_keyword_argument", "missing")
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
    recipe: Recipe = _checked(Recipe, translated(values, source), source)
    return recipe


def net_from_dict(values: Mapping[str, Any], source: str) -> NetConfig:
    """The net that a recipe's `as_dict` wrote under "net".

    Raises:
        InputError: an unknown key or value; names `source`.
    """
    net: NetConfig = _checked(NetConfig, values, source)
    return net


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with values changed by settings `section.key=value`, e.g. `fit.epochs=20`.

    Raises:
        InputError: an unknown key, or a value of another type or out of range.
    """
    values = recipe.as_dict(whole=True)
    del values["tree"]
    for setting in settings:
        key, equals, text = translated(setting, "--set").partition("=")
        if not equals:
            raise InputError(f"--set {setting!r}: expected key=value, e.g. fit.epochs=20")
        _set(values, key.strip(), _parsed(text.strip()))
    return replace(from_dict(values, "--set"), tree=recipe.tree)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key, which exists."""
    *path, last = key.split(".")
    section: Any = values
    for part in path:
        section = section.get(part) if isinstance(section, dict) else None
    if not isinstance(section, dict) or last not in section:
        allowed = ", ".join(section if isinstance(section, dict) else values)
        raise InputError(f"unknown recipe key {key!r}: expected one of {allowed}")
    if isinstance(section[last], dict) or isinstance(value, dict):
        raise InputError(f"recipe key {key!r} is not a single value")
    section[last] = value


def _parsed(text: str) -> Any:
    try:
        return json.loads(f"[{text}]" if "," in text and not text.startswith("[") else text)
    except (ValueError, RecursionError):
        return text


def _checked(kind: Any, values: Any, source: str) -> Any:
    try:
        return TypeAdapter(kind).validate_json(json.dumps(values))
    except ValidationError as error:
        # a net matches one of NETS, and the others' complaints are about keys only
        first = min(error.errors(), key=lambda each: each["type"] in KEY_ERRORS)
        kinds = [each.__name__ for each in NETS]
        key = ".".join(part for part in first["loc"] if isinstance(part, str) and part not in kinds)
        raise InputError(
            f"{source}: recipe key {key!r}: {first['msg']}, got {first['input']!r:.80}"
        ) from None
