"""Ways to combine the nets of one or several runs of a recipe: flat, tree, averaged, multiplied.

Each system says what it costs, so that the tree is compared with as many flat nets as it has nets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hierarchy import routing
from hierarchy.manifest import NetRecord
from hierarchy.reports.captions import spelled
from hierarchy.routing import Predictions
from hierarchy.taxonomy import FLAT, Tree

FLAT_SYSTEM, SOFT = "flat net", "tree, soft"  # the systems that recipes are compared by
MOST: Final = 5  # nets averaged for one node


@dataclass(frozen=True)
class RunPredictions:
    """Predictions of one run in one view."""

    plain: Predictions  # the tree, without temperatures
    even: Predictions  # the tree, without the offsets of class frequencies
    tree: Predictions
    flat: np.ndarray


@dataclass(frozen=True)
class System:
    """A way to use the nets of some runs."""

    name: str  # of its row
    nodes: tuple[str, ...]  # the nets it uses of every run
    runs: int  # how many it combines; each choice of that many is a system
    joined: Callable[[Sequence[RunPredictions]], Predictions]  # their predictions combined
    chosen: Callable[[Predictions], np.ndarray] = routing.soft  # the routing rule
    idle: int = 0  # nets of each run that a face does not need

    @property
    def flats(self) -> int:
        """Flat nets averaged, where it uses nothing else; otherwise 0."""
        return self.runs if self.nodes == (FLAT,) else 0


def systems(tree: Tree, flats: int, trees: int) -> Iterator[System]:
    """The systems that `flats` runs with a flat net and `trees` runs with a tree allow, baselines first."""
    nodes = tree.nodes
    yield System(FLAT_SYSTEM, (FLAT,), 1, _flat_mean)
    for count in sorted({len(nodes), min(MOST, flats)}):
        if 1 < count <= flats:
            yield System(f"{spelled(count)} flat nets averaged", (FLAT,), count, _flat_mean)
    unused = max(len(nodes) - 2, 0)  # the router and one specialist are enough
    yield System("tree, hard", nodes, 1, _tree_mean, routing.hard, unused)
    yield System("tree, soft, without temperatures", nodes, 1, lambda each: each[0].plain)
    yield System("tree, soft, without class frequencies", nodes, 1, lambda each: each[0].even)
    yield System(SOFT, nodes, 1, _tree_mean)
    yield System("tree times flat net", (*nodes, FLAT), 1, _product)
    if (count := min(MOST, trees)) > 1:
        many = spelled(count)
        yield System(f"{many} trees averaged", nodes, count, _tree_mean)
        yield System(f"{many} trees averaged, times {many} flat nets", (*nodes, FLAT), count, _product)


def cost(nets: Sequence[NetRecord], runs: int = 1, idle: int = 0) -> dict[str, Any]:
    """Weights stored, and multiplications for a face in billions, None where a net's are not recorded.

    Several such runs may be combined; of each run, a face may leave some nets idle.
    """
    files = {net.file: net for net in nets}
    share = (
        (len(nets) - idle) / len(nets) if len(files) == len(nets) else 1
    )  # the nets are about equally large
    nets = list(files.values())
    macs = [net.macs for net in nets if net.macs is not None]
    return {
        "parameters": runs * sum(net.parameters for net in nets),
        "gmac": runs * share * sum(macs) / 1e9 if len(macs) == len(nets) else None,
    }


def _flat_mean(members: Sequence[RunPredictions]) -> Predictions:
    return routing.from_flat(members[0].tree.tree, np.mean([each.flat for each in members], axis=0))


def _tree_mean(members: Sequence[RunPredictions]) -> Predictions:
    return members[0].tree if len(members) == 1 else routing.mean([each.tree for each in members])


def _product(members: Sequence[RunPredictions]) -> Predictions:
    """A product of experts, as a geometric mean: of tree and flat net, each the mean of its members."""
    trees, flats = routing.mean([each.tree for each in members]), _flat_mean(members)
    product = np.sqrt(trees.joint * flats.joint)
    return routing.from_flat(trees.tree, product / product.sum(axis=1, keepdims=True))
