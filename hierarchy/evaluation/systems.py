"""The ways to use the nets of one or several runs of a recipe: flat, tree, averaged, multiplied.

Each way says what it costs, since a tree of three nets is rightly held against three flat ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hierarchy import routing
from hierarchy.reports import plots
from hierarchy.routing import Predictions
from hierarchy.taxonomy import BRANCHES, FLAT, NODES

ENSEMBLE_SIZE: Final = len(NODES)  # as many flat nets as the tree has
FLAT_SYSTEM, SOFT = "flat net", "tree, soft"  # the ways that recipes are told apart by
MOST: Final = 5  # nets a node


@dataclass(frozen=True)
class RunPredictions:
    """One run's answers in one view."""

    plain: Predictions  # the tree, without temperatures
    even: Predictions  # the tree, as if classes were equally frequent
    tree: Predictions
    flat: np.ndarray


@dataclass(frozen=True)
class System:
    """A way to use the nets of some runs.

    Attributes:
        name: of its line.
        nodes: the nets it uses of every run.
        runs: how many runs it takes together; each choice of so many is a system of its own.
        joined: their answers as one.
        chosen: how a leaf is chosen.
        idle: nets of each run that a face does not need.
    """

    name: str
    nodes: tuple[str, ...]
    runs: int
    joined: Callable[[Sequence[RunPredictions]], Predictions]
    chosen: Callable[[Predictions], np.ndarray] = routing.soft
    idle: int = 0


def systems(flats: int, trees: int) -> Iterator[System]:
    """Every way to use so many runs with a flat net and so many with a tree, the fair opponent first."""
    yield System(FLAT_SYSTEM, (FLAT,), 1, lambda each: routing.from_flat(each[0].flat))
    for count in sorted({ENSEMBLE_SIZE, min(MOST, flats)}):
        if 1 < count <= flats:
            yield System(f"{plots.SPELLED[count]} flat nets averaged", (FLAT,), count, _flat_together)
    yield System("tree, hard", NODES, 1, lambda each: each[0].tree, routing.hard, idle=len(BRANCHES) - 1)
    yield System("tree, soft, without temperatures", NODES, 1, lambda each: each[0].plain)
    yield System("tree, soft, without class frequencies", NODES, 1, lambda each: each[0].even)
    yield System(SOFT, NODES, 1, lambda each: each[0].tree)
    yield System("tree times flat net", (*NODES, FLAT), 1, _product)
    count = min(MOST, trees)
    if count > 1:
        many = plots.SPELLED[count]
        yield System(f"{many} trees averaged", NODES, count, _tree_together)
        yield System(f"{many} trees averaged, times {many} flat nets", (*NODES, FLAT), count, _product)


def _flat_together(members: Sequence[RunPredictions]) -> Predictions:
    return routing.from_flat(np.mean([each.flat for each in members], axis=0))


def _tree_together(members: Sequence[RunPredictions]) -> Predictions:
    return routing.mean([each.tree for each in members])


def _product(members: Sequence[RunPredictions]) -> Predictions:
    """A product of experts, as a geometric mean: of tree and flat net, each the mean of its members."""
    product = np.sqrt(_tree_together(members).joint * _flat_together(members).joint)
    return routing.from_flat(product / product.sum(axis=1, keepdims=True))
