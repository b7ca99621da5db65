"""Tree against flat net, from stored predictions: scores of the runs of a recipe, alone and combined.

Runs that differ in their seed only form a group. Each row of a group's table is a way to use their nets.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np

from hierarchy import runs
from hierarchy.config.overrides import from_dict
from hierarchy.config.schema import Recipe, VGGConfig
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, predictions, statistics
from hierarchy.evaluation.predictions import StoredPredictions
from hierarchy.evaluation.systems import RunPredictions, System, cost, systems
from hierarchy.manifest import RunManifest
from hierarchy.reports.captions import covered, recipe_of
from hierarchy.routing import Predictions, predict_from_logits
from hierarchy.taxonomy import FLAT, Tree

log = logging.getLogger(__name__)
VIEWS: Final = ("single", "ten-crop")
MAIN: Final = ("single", "all")  # view and part that systems are compared by
PARTS: Final = {
    "all": "all faces",
    "leak-free": "no identical twin",
    "leak-free, near": "no near copy either",
}
# view and part -> which predictions are correct, bool[systems, faces]
Right = dict[tuple[str, str], np.ndarray]


@dataclass(frozen=True)
class Group:
    """Runs of one recipe, tree and data set, the default run first."""

    manifests: list[RunManifest]
    stored: dict[str, list[StoredPredictions]]  # of each run, by view; without views that a run lacks

    @property
    def tree(self) -> Tree:
        """The tree of all its runs."""
        return self.manifests[0].tree

    @property
    def title(self) -> str:
        """Recipe and runs."""
        prefix = "SKETCH, " if runs.sketched(self.manifests[0]) else ""
        return f"{prefix}{recipe_of(self.manifests[0])} ({', '.join(each.run for each in self.manifests)})"

    @property
    def classes(self) -> str:
        """How many classes of the data the tree covers, as "six of seven classes"."""
        names = self.stored["single"][0].names
        return covered(self.tree, [name for name in names if self.tree.leaf_named(name) is None])

    @cached_property
    def truth(self) -> np.ndarray:
        """Index into the tree's leaves, int64[N]; -1: not counted."""
        return self.stored["single"][0].target(self.tree)

    @cached_property
    def members(self) -> dict[str, list[RunPredictions]]:
        """Predictions of each run, by view."""
        return {view: list(map(_member, self.manifests, stored)) for view, stored in self.stored.items()}

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """Faces that count in each part, bool[N]."""
        own, leaks = self.truth >= 0, self.stored["single"][0].leaks
        masks = [own, *(own & free for free in ({} if leaks is None else leaks.free).values())]
        return {part: rows for part, rows in zip(PARTS, masks, strict=False) if rows.any()}

    def runs_with(self, nodes: Sequence[str]) -> list[int]:
        """The runs that have all these nets; of runs with the same flat net, the first where it is all."""
        stored = self.stored["single"]
        chosen = [i for i, each in enumerate(stored) if set(nodes) <= each.logits.keys()]
        if set(nodes) != {FLAT}:
            return chosen
        return list({stored[i].nets[FLAT]: i for i in reversed(chosen)}.values())[::-1]


def groups() -> Iterator[Group]:
    """All groups of runs that were evaluated on PrivateTest.

    Raises:
        InputError: predictions are damaged, or of other nets or faces than their group's.
    """
    by_recipe: dict[str, list[RunManifest]] = {}
    copies = set()
    for name in sorted(runs.names(), key=lambda name: (name != runs.DEFAULT_RUN, name)):
        run = runs.run(name)
        try:
            manifest = run.manifest()
        except InputError as error:
            log.error(f"left out: {error}")
            continue
        nets = json.dumps(manifest.checksums)
        finished = all(net.finished for net in manifest.nets.values())
        if finished and nets not in copies and (run.folder / predictions.FILE).is_file():
            copies.add(nets)
            shared: list[Any] = [
                manifest.tree.hash,
                _recipe(manifest).as_dict(),
                manifest.data.get("fingerprint"),
            ]
            shared += [manifest.labels, manifest.teacher, manifest.generated, manifest.framework]
            shared += [bool(manifest.start)]  # each seed starts from its own flat net
            by_recipe.setdefault(json.dumps(shared, sort_keys=True), []).append(manifest)
    for manifests in by_recipe.values():
        yield Group(manifests, {view: stored for view in VIEWS if (stored := _stored(manifests, view))})


def lines(group: Group, others: Sequence[Group] = ()) -> Iterator[dict[str, Any]]:
    """Every row of a group's table: the system, its cost, and its scores by view and part.

    Where the group has too few flat nets for a baseline, those of one of the others are averaged.
    """
    title, baseline = _equal_compute_baseline(group, others)
    tree = group.tree
    for system in systems(tree, len(group.runs_with([FLAT])), len(group.runs_with(tree.nodes))):
        able = group.runs_with(system.nodes)
        if len(able) < system.runs:
            continue
        first = group.manifests[able[0]]
        yield {
            "answer": system.name,
            "uses": system.nodes,
            "equal_compute": system.flats == len(tree.nodes),
            "opponent": None if title == group.title else title,
            "nets": system.runs * (len(system.nodes) - system.idle),
            **cost([first.nets[node] for node in system.nodes], system.runs, system.idle),
            "scores": {key: _score(right, baseline.get(key)) for key, right in _right(system, group).items()},
            **_nodes(chosen := _systems(system, group, "single"), group.truth),
            "nll": float(np.mean([_negative_log_likelihood(each, group.truth) for each in chosen])),
        }


def _equal_compute_baseline(group: Group, others: Sequence[Group]) -> tuple[str | None, Right]:
    """As many flat nets as the tree has nets, averaged: the group's own, or of the first comparable group."""
    size = len(group.tree.nodes)
    for other in (group, *others):
        flats = len(other.runs_with([FLAT]))
        if flats >= size and _comparable(group, other):
            system = next(system for system in systems(group.tree, flats, 0) if system.flats == size)
            return other.title, _right(system, other)
    return None, {}


def _stored(manifests: Sequence[RunManifest], view: str) -> list[StoredPredictions]:
    """Predictions of every run in one view, of the same faces; empty where a run lacks that view."""
    paths = [predictions.path_of(each.run, Split.PrivateTest.name, view) for each in manifests]
    if not all(path.is_file() for path in paths):
        return []
    stored = [predictions.of_run(each, Split.PrivateTest.name, view) for each in manifests]
    for path, each in zip(paths, stored, strict=True):
        if not _same_faces(each, stored[0]) or (each.split != Split.PrivateTest).any():
            raise InputError(f"{path}: not of the same PrivateTest faces as {paths[0]}; evaluate it again")
    return stored


def _same_faces(one: StoredPredictions, other: StoredPredictions) -> bool:
    keys = ("row", "split", "label", "names")
    return all(np.array_equal(getattr(one, key), getattr(other, key)) for key in keys)


def _recipe(manifest: RunManifest) -> Recipe:
    return from_dict(manifest.recipe, f"run {manifest.run!r}")


def without_blur(manifest: RunManifest) -> Recipe:
    """The recipe of a run without the fixed blur before its nets, which has no weights and costs nothing."""
    recipe = _recipe(manifest)
    return replace(recipe, net=replace(recipe.net, blur=0.0)) if isinstance(recipe.net, VGGConfig) else recipe


def _comparable(group: Group, other: Group) -> bool:
    """Whether two groups have nets of the same layers and tree, trained and scored on the same faces."""
    known = [
        (each.tree, without_blur(each.manifests[0]).net, each.manifests[0].data.get("fingerprint"))
        for each in (group, other)
    ]
    return known[0] == known[1] and _same_faces(group.stored["single"][0], other.stored["single"][0])


def _right(system: System, group: Group) -> Right:
    right: Right = {}
    for view in group.stored:
        correct = np.array([system.chosen(each) == group.truth for each in _systems(system, group, view)])
        right |= {(view, part): correct[:, rows] for part, rows in group.parts.items()}
    return right


def _systems(system: System, group: Group, view: str) -> list[Predictions]:
    """Predictions of each choice of runs in one view."""
    members = [group.members[view][i] for i in group.runs_with(system.nodes)]
    return [system.joined(chosen) for chosen in combinations(members, system.runs)]


def _member(manifest: RunManifest, stored: StoredPredictions) -> RunPredictions:
    given = (manifest.tree, stored.logits, manifest.calibration)
    tree, flat = predict_from_logits(*given)
    plain, _ = predict_from_logits(*given, tempered=False)
    even, _ = predict_from_logits(*given, adjusted=False)
    return RunPredictions(plain, even, tree, tree.joint if flat is None else flat)


def _score(right: np.ndarray, flats: np.ndarray | None) -> dict[str, Any]:
    against = {} if flats is None else {"against_flat": statistics.paired_difference(right, flats)}
    return statistics.mean_accuracy(right) | against


def _negative_log_likelihood(predicted: Predictions, truth: np.ndarray) -> float:
    """Mean over the faces with a leaf, int64[N]; -1: not counted."""
    own = truth >= 0
    likelihood = predicted.joint[own, truth[own]]
    return float(-np.log(np.maximum(likelihood, np.finfo(np.float32).tiny)).mean())


def _nodes(systems: Sequence[Predictions], truth: np.ndarray) -> dict[str, Any]:
    """Mean accuracy of router and specialists, each on the faces below it, and mean calibration error."""
    scores = [metrics.by_node(one, truth) for one in systems]
    accuracies = {
        node: [each[node]["accuracy"] for each in scores if each[node]["n"]] for node in systems[0].tree.nodes
    }
    nodes = {node: float(np.mean(each)) if each else None for node, each in accuracies.items()}
    return {"nodes": nodes, "ece": float(np.mean([each[FLAT]["ece"] for each in scores]))}
