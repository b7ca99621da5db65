"""Hostile manifests, recipes, trees, histories and states: each is read, or refused in one line."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from harness import GIB, ROOT, Case, command, complaint

from hierarchy import runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.config.overrides import from_dict, recipe_of, with_settings
from hierarchy.config.recipes import named
from hierarchy.errors import InputError
from hierarchy.taxonomy import Tree
from hierarchy.training.checkpoints import read_state
from hierarchy.training.resume import plan_of
from hierarchy.training.targets import check_recipe

SOURCE: Final = ROOT / "results" / runs.DEFAULT_RUN
MUTATED: Final = 300
NUMBERS: Final = (True, 0, -1, 1e308, 1e-320, float("nan"), float("inf"), -float("inf"), 10**30)
TEXTS: Final = ("", "x", "../x", "/etc/passwd", "a\nb\x1b[31m", "\ud800", "9" * 300)
VALUES: Final = (None, *NUMBERS, *TEXTS, [], {}, [[]], [1], ["x"], {"x": 1}, {"": {}}, [None] * 3)
TEXT_FILES: Final = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00{",
    "deep list": b"[" * 50_000 + b"]" * 50_000,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "cut": b'{"tree": {"positive": ["hap',
    "list": b"[1, 2]",
    "null": b"null",
    "number": b"9" * 10_000,
    "large": b" " * (17 << 20),
    "control": b'{"\x1b[31m": 1}',
    "NUL": b"\0" * 100,
}
SETTINGS: Final = (
    *("net.stages=[[100000000]]", "net.stages=[[20000,20000]]", "net.dense=[1000000000]", "net.crop=1"),
    *("net.stages=" + "[" * 50_000, f"net.stages={[[1]] * 300}", f"net.stages=[{[1] * 3000}]"),
    *(f"fit.{key}={10**20}" for key in ("batch_size", "epochs", "samples_per_class", "patience")),
    *(f"fit.{key}=1e308" for key in ("learning_rate", "outlier_ratio", "max_minutes", "clip_norm", "l2")),
    *(
        "augment.rotation=1e300",
        "augment.mixup=NaN",
        "fit.momentum=Infinity",
        "name=a\nb",
        "=",
        "x",
        "a.b.c=1",
    ),
)


def outcome(read: Callable[[], Any]) -> str | None:
    """The complaint about reading: an exception that is no InputError, or one of several lines."""
    try:
        read()
    except InputError as error:
        return "several lines" if len(str(error).splitlines()) > 1 else None
    return None


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value holds others, at any depth."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def mutated(value: Any, seed: int) -> Any:
    """A value with one to three parts left out, renamed, repeated or replaced."""
    draw, value = random.Random(seed), copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 2, 3))):
        *path, last = draw.choice(list(places(value)))
        outer = value
        for key in path:
            outer = outer[key]
        how = draw.randrange(6)
        if how == 0:
            del outer[last]
        elif how == 1 and isinstance(outer, dict):
            outer[draw.choice(TEXTS)] = outer.pop(last)
        elif how == 2 and isinstance(outer[last], list):
            outer[last] = outer[last] * draw.choice((2, 200))
        else:
            outer[last] = copy.deepcopy(draw.choice(VALUES))
        if not value:
            break
    return value


def answers(folder: Path, text: str | bytes) -> None:
    """Read a run with this manifest, and predict with it."""
    for file in SOURCE.glob("*.onnx"):
        (folder / file.name).symlink_to(file)
    (folder / runs.MANIFEST).write_bytes(text if isinstance(text, bytes) else text.encode())
    run = runs.Run("run", folder, folder / "log")
    from_dict(run.manifest().recipe, "recipe")
    plan_of(run)
    model = HierarchicalClassifier()._opened(run)
    probability = model.predict_proba(np.zeros((1, 48, 48), np.uint8))
    if not np.isfinite(probability).all():
        raise ValueError("probabilities that are not finite")


def _file(kind: str, name: str, data: bytes, read: Callable[[Path], Any], suffix: str) -> Case:
    def check(folder: Path) -> str | None:
        path = folder / f"file{suffix}"
        path.write_bytes(data)
        return outcome(lambda: read(path))

    return Case(kind, name, check)


def _history(path: Path) -> None:
    path.rename(path.with_name(runs.HISTORY))
    runs.Run("run", path.parent, path.parent).history()


READERS: Final[dict[str, tuple[Callable[[Path], Any], str]]] = {
    "recipe file": (lambda path: check_recipe(recipe_of(str(path)), False), ".json"),
    "tree file": (Tree.from_toml, ".toml"),
    "state of a training": (read_state, ".json"),
    "history": (_history, ".csv"),
}
STATE: Final = {
    "weights": "epoch-001.pt",
    "best": "best-001.pt",
    "rows": [{"node": "flat", "epoch": 1, "loss": 1.0, "val_accuracy": 0.5, "seconds": 1.0}],
}


def _memory(setting: str) -> Case:
    def check(folder: Path) -> str | None:
        outcome = command("train", "--data", "sketch", "--set", setting, "--run", "x", folder=folder)
        return complaint(outcome, codes=(2,), memory=GIB, lines=3)

    return Case("net beyond memory", setting[:60], check)


def cases() -> Iterator[Case]:
    """All cases."""
    base = json.loads((SOURCE / runs.MANIFEST).read_text())
    del base["checksum"]
    for seed in range(MUTATED):
        text = json.dumps(mutated(base, seed))
        yield Case("manifest", f"seed {seed}", lambda at, text=text: outcome(lambda: answers(at, text)))
    for name, data in TEXT_FILES.items():
        yield Case("manifest", name, lambda at, data=data: outcome(lambda: answers(at, data)))
        for kind, (read, suffix) in READERS.items():
            yield _file(kind, name, data, read, suffix)
    for seed in range(100):
        data = json.dumps(mutated(named("sketch").as_dict(), seed)).encode()
        yield _file("recipe file", f"seed {seed}", data, *READERS["recipe file"])
        data = json.dumps(mutated(STATE, seed)).encode()
        yield _file("state of a training", f"seed {seed}", data, *READERS["state of a training"])
    for setting in SETTINGS:
        yield Case(
            "setting",
            setting[:60],
            lambda _, one=setting: outcome(
                lambda: check_recipe(with_settings(named("sketch"), [one]), False)
            ),
        )
    yield from map(_memory, SETTINGS[:2])
