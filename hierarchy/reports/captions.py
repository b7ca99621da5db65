"""Scores and runs in words, for the titles and sentences of all reports."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from hierarchy.manifest import FER2013_LABELS, RunManifest
from hierarchy.taxonomy import FLAT, Tree

SOFT: Final = "tree"  # the tree's soft prediction among the tables of scores.json
NAMES: Final = {SOFT: "tree, soft", FLAT: "flat net"}
DRAWN: Final = "SKETCH faces (drawn, not photographs)"
SPELLED: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def subject(scores: Mapping[str, Any]) -> str:
    """Which faces were scored, on one line; drawn faces are called sketches."""
    return f"{DRAWN if scores['drawn'] else scores['dataset']}, {scores['split']}"


def answering(scores: Mapping[str, Any]) -> str:
    """What predicts: the tree by its soft rule, the flat net, or several runs."""
    return str(scores.get("answer") or NAMES[SOFT if scores["has_tree"] else FLAT])


def tree_of(scores: Mapping[str, Any]) -> Tree:
    """The tree that was scored."""
    return Tree.from_dict(scores["classes"])


def coverage(scores: Mapping[str, Any]) -> str:
    """How many classes of the data the tree covers, as "six of seven classes"."""
    return covered(tree_of(scores), scores["left_out"])


def covered(tree: Tree, left_out: Collection[str]) -> str:
    """The same, from the tree and the names in the data that it lacks."""
    leaves = len(tree.leaves)
    return f"{spelled(leaves)} of {spelled(leaves + len(left_out))} classes"


def spelled(number: int) -> str:
    """A number in words up to ten, in digits above."""
    return SPELLED[number] if number < len(SPELLED) else str(number)


def recipe_of(manifest: RunManifest) -> str:
    """The name of a run's recipe, with the changed values and the labels where they are not FER-2013's."""
    changes = list(manifest.settings)
    changes += [f"{manifest.labels} labels"] if manifest.labels != FER2013_LABELS else []
    name = str(manifest.recipe.get("name", ""))
    return f"{name} with {', '.join(changes)}" if changes else name


def training(manifest: RunManifest, sentence: str) -> str:
    """How a run was trained: `sentence` with minutes and backends, then its initial weights and teachers."""
    minutes = sum(net.minutes for net in manifest.nets.values() if net.copied_from is None)
    backends = " and ".join(sorted({net.backend for net in manifest.nets.values()}))
    flat = manifest.nets.get(FLAT)
    how = "took its flat net from" if flat and flat.copied_from else "continued from the flat net of"
    sources = [f"{how} run {name}" for name in manifest.start]
    sources += [f"was distilled from {', '.join(manifest.teacher)}"] if manifest.teacher else []
    sources += [f"also saw faces of the generator {', '.join(manifest.generated)}"] * bool(manifest.generated)
    descent = f" It {' and '.join(sources)}, whose training is not counted here." if sources else ""
    return f"{sentence.format(f'{minutes:.0f}', backends)}.{descent}"
