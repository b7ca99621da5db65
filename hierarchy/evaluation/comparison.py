"""Tree against flat net: what the runs of a recipe score together and alone, from their predictions alone.

Runs that differ in nothing but their seed are one group. Every line is a way of using their nets.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np

from hierarchy import runs
from hierarchy.config.overrides import from_dict
from hierarchy.config.schema import Recipe
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, predictions, statistics
from hierarchy.evaluation.predictions import StoredPredictions
from hierarchy.evaluation.systems import ENSEMBLE_SIZE, RunPredictions, System, systems
from hierarchy.reports.run_markdown import recipe_of
from hierarchy.routing import Predictions, predict_from_logits
from hierarchy.taxonomy import FLAT, NODES

VIEWS: Final = ("single", "ten-crop")
PARTS: Final = {
    "all": "all faces",
    "leak-free": "no identical twin",
    "leak-free, near": "no near copy either",
}
CHOICE: Final = (Split.PublicTest.name, "single")  # split and view that choices are made by
SAME: Final = ("labels", "teacher", "framework")  # what runs of one group share, besides their data


@dataclass(frozen=True)
class Group:
    """Runs of one recipe and one data set, the shipped one first.

    Attributes:
        title: recipe and runs.
        cards: of the runs.
        kept: view -> predictions of each run; a view that not all were shown is left out.
    """

    title: str
    cards: list[dict[str, Any]]
    kept: dict[str, list[StoredPredictions]]

    @cached_property
    def members(self) -> dict[str, list[RunPredictions]]:
        """What each run says, by view."""
        return {
            view: [_member(card, kept) for card, kept in zip(self.cards, every, strict=True)]
            for view, every in self.kept.items()
        }

    def runs_with(self, nodes: Sequence[str]) -> list[int]:
        """The runs that have all these nets; of runs with one and the same flat net for it, the first."""
        runs_with = [i for i, kept in enumerate(self.kept["single"]) if set(nodes) <= kept.logits.keys()]
        if set(nodes) != {FLAT}:
            return runs_with
        return list({self.kept["single"][i].nets[FLAT]: i for i in reversed(runs_with)}.values())[::-1]


@dataclass(frozen=True)
class EqualComputeBaseline:
    """As many flat nets as the tree has, averaged: the fair opponent of one net a node.

    Attributes:
        title: of the group that they belong to.
        right: view and part -> bool[systems, faces].
    """

    title: str
    right: Mapping[tuple[str, str], np.ndarray]


def groups() -> Iterator[Group]:
    """All groups of runs that were evaluated on PrivateTest.

    Raises:
        InputError: predictions are damaged, or of other nets or faces than their group's.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}  # what is shared -> run -> card
    copies = set()
    for name in sorted(runs.names(), key=lambda name: (name != runs.DEFAULT_RUN, name)):
        card = runs.run(name).card()
        nets = json.dumps(runs.checksums(card))
        evaluated = (runs.run(name).folder / predictions.FILE).is_file()
        finished = all(net.get("finished", True) for net in card["nets"].values())
        if evaluated and finished and nets not in copies:
            copies.add(nets)
            shared = [_recipe(card).as_dict(), *(card.get(key) for key in SAME)]
            shared += [card.get("data", {}).get("fingerprint")]
            shared += ["start" in card]  # each seed starts from a flat net of its own
            found.setdefault(json.dumps(shared, sort_keys=True), {})[name] = card
    for cards in found.values():
        kept = {view: every for view in VIEWS if (every := _of_view(cards, view))}
        yield Group(_title(cards), list(cards.values()), kept)


def equal_compute_baseline(group: Group, every: Sequence[Group]) -> EqualComputeBaseline | None:
    """The fair opponent of a group: its own, or that of the first other one of the same nets and faces."""
    for other in (group, *every):
        flats = other.runs_with([FLAT])
        if len(flats) >= ENSEMBLE_SIZE and _alike(group, other):
            system = next(system for system in systems(len(flats), 0) if system.runs == ENSEMBLE_SIZE)
            return EqualComputeBaseline(other.title, dict(_right(system, other)))
    return None


def lines(group: Group, opponent: EqualComputeBaseline | None = None) -> Iterator[dict[str, Any]]:
    """Every line of a group's table: what it is, what it costs, what it scores in each view and part."""
    against = opponent.right if opponent else {}
    truth = group.kept["single"][0].target
    for system in systems(len(group.runs_with([FLAT])), len(group.runs_with(NODES))):
        runs_with = group.runs_with(system.nodes)
        if len(runs_with) < system.runs:
            continue
        whose = None if opponent is None or opponent.title == group.title else opponent.title
        cost = _cost(system, group.cards[runs_with[0]])
        line: dict[str, Any] = {
            "answer": system.name,
            "uses": system.nodes,
            "opponent": whose,
            **cost,
            "views": {},
        }
        for (view, part), right in _right(system, group):
            line["views"].setdefault(view, {})[part] = _scored(right, against.get((view, part)))
        yield line | _nodes(_systems(system, group, "single"), truth)


def on_public_test(group: Group) -> float | None:
    """Mean accuracy of the runs' trees (soft) on PublicTest; None where one was not evaluated there."""
    found = []
    for card in (group.cards[i] for i in group.runs_with(NODES)):
        if not predictions.path_of(card["run"], *CHOICE).is_file():
            return None
        kept = predictions.of_run(card, *CHOICE)
        tree, _ = predict_from_logits(kept.logits, card.get("calibration", {}))
        found.append(metrics.by_node(tree, kept.target)[FLAT]["accuracy"])
    return float(np.mean(found)) if found else None


def _of_view(cards: Mapping[str, dict[str, Any]], view: str) -> list[StoredPredictions]:
    """Predictions of every run in one view, of the same faces; none where one was not shown it."""
    paths = [predictions.path_of(name, Split.PrivateTest.name, view) for name in cards]
    if not all(path.is_file() for path in paths):
        return []
    every = [predictions.of_run(card, Split.PrivateTest.name, view) for card in cards.values()]
    for path, kept in zip(paths, every, strict=True):
        same = [
            np.array_equal(getattr(kept, key), getattr(every[0], key)) for key in ("row", "split", "label")
        ]
        if not all(same) or (kept.split != Split.PrivateTest).any():
            raise InputError(f"{path}: not of the same PrivateTest faces as {paths[0]}; evaluate it again")
    return every


def _recipe(card: Mapping[str, Any]) -> Recipe:
    return from_dict(card["recipe"], f"run {card['run']!r}")


def _title(cards: Mapping[str, dict[str, Any]]) -> str:
    first = next(iter(cards.values()))
    drawn = "SKETCH, " if runs.sketched(first) else ""
    return f"{drawn}{recipe_of(first)} ({', '.join(cards)})"


def _alike(group: Group, other: Group) -> bool:
    """Whether two groups' nets have the same layers and learned and were shown the same faces."""
    ours, theirs = (each.kept["single"][0] for each in (group, other))
    cards = (group.cards[0], other.cards[0])
    known = [(_recipe(card).net, card.get("data", {}).get("fingerprint")) for card in cards]
    faces = all(np.array_equal(getattr(ours, key), getattr(theirs, key)) for key in ("row", "label"))
    return known[0] == known[1] and faces


def _right(system: System, group: Group) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """For each view and part, which faces each system is right on: bool[systems, faces]."""
    truth, parts = group.kept["single"][0].target, _parts(group.kept["single"][0])
    for view in group.kept:
        right = np.array([system.chosen(each) == truth for each in _systems(system, group, view)])
        yield from (((view, part), right[:, rows]) for part, rows in parts.items())


def _systems(system: System, group: Group, view: str) -> list[Predictions]:
    """What each choice of runs says together in one view."""
    runs_with = [group.members[view][i] for i in group.runs_with(system.nodes)]
    return [system.joined(chosen) for chosen in combinations(runs_with, system.runs)]


def _member(card: Mapping[str, Any], kept: StoredPredictions) -> RunPredictions:
    calibration = card.get("calibration", {})
    tree, flat = predict_from_logits(kept.logits, calibration)
    plain, _ = predict_from_logits(kept.logits, calibration, tempered=False)
    even, _ = predict_from_logits(kept.logits, calibration, adjusted=False)
    return RunPredictions(plain, even, tree, tree.joint if flat is None else flat)


def _scored(right: np.ndarray, opponent: np.ndarray | None) -> dict[str, Any]:
    against = {} if opponent is None else {"against_flat": statistics.paired_difference(right, opponent)}
    return statistics.mean_accuracy(right) | against


def _cost(system: System, card: dict[str, Any]) -> dict[str, Any]:
    """Nets run a face, weights to be kept, and multiplications a face in billions."""
    nets = [card["nets"][node] for node in system.nodes]
    macs = [net.get("macs") for net in nets]
    share = (len(nets) - system.idle) / len(nets)  # the nets of a recipe are all but equally large
    return {
        "nets": system.runs * (len(nets) - system.idle),
        "parameters": system.runs * sum(net["parameters"] for net in nets),
        "gmac": None if None in macs else system.runs * share * sum(macs) / 1e9,
    }


def _parts(kept: StoredPredictions) -> dict[str, np.ndarray]:
    """Faces that count in each part, bool[N]: six classes, and without copies."""
    six = kept.target >= 0
    free = {} if kept.leaks is None else kept.leaks.free
    masks = (six, *(six & rows for rows in free.values()))
    return {part: rows for part, rows in zip(PARTS, masks, strict=False) if rows.any()}


def _nodes(systems: Sequence[Predictions], truth: np.ndarray) -> dict[str, float]:
    """Mean accuracy of router and specialists, each on its own faces, and mean calibration error."""
    every = [metrics.by_node(one, truth) for one in systems]
    means = {node: float(np.mean([each[node]["accuracy"] for each in every])) for node in NODES}
    return means | {"ece": float(np.mean([each[FLAT]["ece"] for each in every]))}
