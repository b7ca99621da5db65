"""Tree against flat net: what the runs of a recipe score together and alone, from their predictions alone.

Runs that differ in nothing but their seed are one group. Every line is a way of using their nets.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np

from hierarchy import metrics, routing, runs
from hierarchy.data.faces import Split
from hierarchy.errors import InputError
from hierarchy.reports import plots, predictions, report
from hierarchy.reports.markdown import SURE, recipe_of, signed
from hierarchy.reports.predictions import Kept
from hierarchy.reports.ways import FAIR, Member, Way, ways
from hierarchy.routing import Predictions, judged
from hierarchy.taxonomy import BRANCHES, FLAT, NODES, ROUTER

VIEWS: Final = {"single": "", "ten-crop": f"{Split.PrivateTest.name}-ten-crop"}  # view -> folder in a run's
PARTS: Final = {
    "all": "all faces",
    "leak-free": "no identical twin",
    "leak-free, near": "no near copy either",
}
SAME: Final = ("recipe", "labels", "teacher", "framework")  # what runs of one group share, besides their data


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
    kept: dict[str, list[Kept]]

    def able(self, nodes: Sequence[str]) -> list[int]:
        """The runs that have all these nets."""
        return [i for i, kept in enumerate(self.kept["single"]) if set(nodes) <= kept.logits.keys()]


def groups() -> Iterator[Group]:
    """All groups of runs that were evaluated on PrivateTest.

    Raises:
        InputError: predictions are damaged, or of other nets or faces than their group's.
    """
    found: dict[str, list[str]] = {}
    copies = set()
    for name in sorted(runs.names(), key=lambda name: (name != runs.SHIPPED, name)):
        card, nets = runs.run(name).card(), json.dumps(runs.run(name).checksums())
        evaluated = (runs.run(name).folder / predictions.FILE).is_file()
        if (
            not evaluated
            or nets in copies
            or any(not net.get("finished", True) for net in card["nets"].values())
        ):
            continue
        copies.add(nets)
        shared = [card.get(key) for key in SAME] + [card.get("data", {}).get("fingerprint")]
        found.setdefault(json.dumps(shared, sort_keys=True), []).append(name)
    for names in found.values():
        kept = {view: every for view in VIEWS if (every := _of_view(names, view))}
        cards = [runs.run(name).card() for name in names]
        yield Group(_title(names, cards[0]), cards, kept)


def lines(group: Group) -> Iterator[dict[str, Any]]:
    """Every line of a group's table: what it is, what it costs, what it scores in each view and part."""
    opponents: dict[tuple[str, str], np.ndarray] = {}
    for way in ways(len(group.able([FLAT])), len(group.able(NODES))):
        able = group.able(way.nodes)
        if len(able) < way.runs:
            continue
        line: dict[str, Any] = {"answer": way.name, **_cost(way, group.cards[able[0]]), "views": {}}
        for view, every in group.kept.items():
            systems = _systems(way, group, view, able)
            truth = every[0].target
            right = np.array([way.chosen(each) == truth for each in systems])
            if way.runs == FAIR and way.nodes == (FLAT,):
                opponents |= {(view, part): right[:, rows] for part, rows in _rows(every[0]).items()}
            line["views"][view] = {
                part: _scored(right[:, rows], opponents.get((view, part)))
                for part, rows in _rows(every[0]).items()
            }
            if view == "single":
                line |= _nodes(systems, truth)
        yield line


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """One sentence: does the tree beat as many flat nets? Empty where nobody can tell yet.

    One side is called better where the interval over all seeds leaves out zero and McNemar's test of the
    first systems says so too.
    """
    tree = next((row for row in rows if row["answer"] == "tree, soft"), None)
    pair = tree and tree["views"]["single"]["all"].get("against_flat")
    if not pair:
        return ""
    gap, p, first = pair["difference"], pair["mcnemar_p"], pair["first_difference"]
    low, high = pair["ci95"] or (0.0, 0.0)
    sure = p < SURE and (low > 0 and first > 0 or high < 0 and first < 0)
    flats = f"{plots.SPELLED[FAIR]} flat nets"
    found = f"{'the tree is' if gap > 0 else f'the {flats} are'} better" if sure else "it may be chance"
    return (
        f"The tree (soft) is {abs(100 * gap):.1f} percentage points {'more' if gap > 0 else 'less'} accurate "
        f"than {flats} averaged, which cost the same a face ({signed(pair['ci95'])}; exact McNemar test of "
        f"the first systems, p = {p:.2g}): {found}."
    )


def _of_view(names: Sequence[str], view: str) -> list[Kept]:
    """Predictions of every run in one view, of the same faces; none where one was not shown it."""
    paths = [runs.run(name).folder / VIEWS[view] / predictions.FILE for name in names]
    if not all(path.is_file() for path in paths):
        return []
    every = [predictions.read(path) for path in paths]
    for name, path, kept in zip(names, paths, every, strict=True):
        if kept.nets != {node: runs.run(name).checksums().get(node) for node in kept.logits}:
            raise InputError(f"{path}: of other nets than the run's; evaluate it again")
        same = [
            np.array_equal(getattr(kept, key), getattr(every[0], key)) for key in ("row", "split", "label")
        ]
        if not all(same) or (kept.split != Split.PrivateTest).any():
            raise InputError(f"{path}: not of the same PrivateTest faces as {paths[0]}; evaluate it again")
    return every


def _title(names: Sequence[str], card: dict[str, Any]) -> str:
    drawn = "SKETCH, " if report.sketched(card) else ""
    return f"{drawn}{recipe_of(card)} ({', '.join(names)})"


def _systems(way: Way, group: Group, view: str, able: Sequence[int]) -> list[Predictions]:
    members = []
    for i in able:
        logits, calibration = group.kept[view][i].logits, group.cards[i].get("calibration", {})
        tree, flat = judged(logits, calibration)
        plain, _ = judged(logits, calibration, tempered=False)
        members.append(Member(plain, tree, tree.joint if flat is None else flat))
    return [way.joined(chosen) for chosen in combinations(members, way.runs)]


def _scored(right: np.ndarray, opponent: np.ndarray | None) -> dict[str, Any]:
    against = {} if opponent is None else {"against_flat": metrics.paired_difference(right, opponent)}
    return metrics.mean_accuracy(right) | against


def _cost(way: Way, card: dict[str, Any]) -> dict[str, Any]:
    """Nets run a face, weights to be kept, and multiplications a face in billions."""
    nets = [card["nets"][node] for node in way.nodes]
    macs = [net.get("macs") for net in nets]
    share = (len(nets) - way.idle) / len(nets)  # the nets of a recipe are all but equally large
    return {
        "nets": way.runs * (len(nets) - way.idle),
        "parameters": way.runs * sum(net["parameters"] for net in nets),
        "gmac": None if None in macs else way.runs * share * sum(macs) / 1e9,
    }


def _rows(kept: Kept) -> dict[str, np.ndarray]:
    """Faces that count in each part, bool[N]: six classes, and without copies."""
    six = kept.target >= 0
    if kept.leaks is None:
        return {"all": six}
    masks = (six, six & ~kept.leaks.twin, six & ~kept.leaks.twin & ~kept.leaks.near)
    return {part: rows for part, rows in zip(PARTS, masks, strict=True) if rows.any()}


def _nodes(systems: Sequence[Predictions], truth: np.ndarray) -> dict[str, Any]:
    """Mean accuracy of router and specialists, each on its own faces, and mean calibration error."""
    six = truth >= 0
    owner = np.where(six, routing.OWNER[truth], -1)
    out: dict[str, Any] = {ROUTER: np.mean([(one.branch.argmax(axis=1) == owner)[six] for one in systems])}
    for code, branch in enumerate(BRANCHES):
        inside = np.where(routing.OWNER == code, 1.0, -1.0)
        named = [np.argmax(one.leaf * inside, axis=1) for one in systems]
        out[branch] = np.mean([(label == truth)[owner == code] for label in named])
    surest = [(one.joint.max(axis=1)[six], (routing.soft(one) == truth)[six]) for one in systems]
    out["ece"] = np.mean([metrics.reliability(*each).ece for each in surest])
    return {name: float(value) for name, value in out.items()}
