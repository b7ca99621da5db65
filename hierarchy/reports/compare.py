"""Tree against flat net over all runs of a recipe, at every cost: from committed predictions alone.

Runs that differ in nothing but their seed are one group. Every line is a way of using their nets.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np

from hierarchy import metrics, routing, runs
from hierarchy.data.faces import Split
from hierarchy.errors import InputError
from hierarchy.reports import plots, predictions, report
from hierarchy.reports.markdown import SURE, interval, percent, recipe_of, table
from hierarchy.reports.predictions import Kept, judged
from hierarchy.reports.ways import FAIR, Member, Way, ways
from hierarchy.routing import Predictions
from hierarchy.taxonomy import BRANCHES, FLAT, NODES, ROUTER

FILE: Final = "compare.md"
CSV: Final = "compare.csv"
VIEWS: Final = {"single": "", "ten-crop": f"{Split.PrivateTest.name}-ten-crop"}  # view -> folder in a run's
PARTS: Final = {"": "all faces", "leak-free": "no identical twin", "leak-free, near": "no near copy either"}


@dataclass(frozen=True)
class Group:
    """Runs of one recipe and one data set, the shipped one first."""

    name: str
    cards: list[dict[str, Any]]
    kept: dict[str, list[Kept]]  # by view, one a run

    @property
    def drawn(self) -> bool:
        """Whether the faces are sketches."""
        return report.sketched(self.cards[0])


def compare() -> str:
    """Write results/compare.md and compare.csv over all runs that were evaluated on PrivateTest.

    Returns:
        The verdict on every recipe, and where the table is.

    Raises:
        InputError: there is no run to compare, or a file of one is damaged.
    """
    groups = list(_groups())
    if not groups:
        raise InputError("no run to compare: evaluate writes the predictions that compare reads")
    scored = {group.name: list(lines(group)) for group in groups}
    folder = runs.home() / "results"
    runs.write_atomic(folder / CSV, _csv(scored).encode())
    runs.write_atomic(folder / FILE, _markdown(groups, scored).encode())
    said = [f"{name}: {sentence}" for name, rows in scored.items() if (sentence := verdict(rows))]
    return "\n".join([*said, str(folder / FILE)])


def lines(group: Group) -> Iterator[dict[str, Any]]:
    """Every line of a group's table: what it is, what it costs, what it scores in each view and part.

    A run counts where it has the nets; lines for which there are not enough runs are left out.
    """
    opponents: dict[tuple[str, str], np.ndarray] = {}
    for way in ways(len(group.cards)):
        able = [i for i, card in enumerate(group.cards) if set(way.nodes) <= card["nets"].keys()]
        if len(able) < way.runs:
            continue
        cards = [group.cards[i] for i in able]
        line: dict[str, Any] = {"answer": way.name, **_cost(way, cards[0]), "views": {}}
        for view, every in group.kept.items():
            kept = [every[i] for i in able]
            systems = _systems(way, cards, kept)
            truth = kept[0].target
            right = np.array([way.chosen(each) == truth for each in systems])
            line["views"][view] = {}
            for part, rows in _rows(kept[0]).items():
                key = (view, part)
                score = metrics.several(right[:, rows])
                if way.runs == FAIR and way.nodes == (FLAT,):
                    opponents[key] = right[:, rows]
                if key in opponents:
                    score["against_flat"] = metrics.apart(right[:, rows], opponents[key])
                line["views"][view][part or "all"] = score
            if view == "single":
                line |= _nodes(systems, truth)
        yield line


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """One sentence: does the tree beat as many flat nets? Empty where nobody can tell yet."""
    tree = next((row for row in rows if row["answer"] == "tree, soft"), None)
    pair = tree and tree["views"]["single"]["all"].get("against_flat")
    if not pair:
        return ""
    gap, p = pair["difference"], pair["mcnemar_p"]
    better = "the tree is better" if gap > 0 else f"the {plots.SPELLED[FAIR]} flat nets are better"
    found = better if p < SURE else "it may be chance"
    return (
        f"Held against {plots.SPELLED[FAIR]} flat nets averaged, which cost the same a face, the tree (soft) "
        f"is right on {abs(100 * gap):.1f} points {'more' if gap > 0 else 'fewer'} of the faces "
        f"({_signed(pair['ci95'])}; exact McNemar test, p = {p:.2g}): {found}."
    )


def _systems(way: Way, cards: Sequence[dict[str, Any]], kept: Sequence[Kept]) -> list[Predictions]:
    members = []
    for card, one in zip(cards, kept, strict=True):
        calibration = card.get("calibration", {})
        tree, flat = judged(one.logits, calibration)
        plain, _ = judged(one.logits, calibration, tempered=False)
        members.append(Member(plain, tree, tree.joint if flat is None else flat))
    return [way.joined(chosen) for chosen in combinations(members, way.runs)]


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
        return {"": six}
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


def _groups() -> Iterator[Group]:
    found: dict[str, list[str]] = {}
    for name in sorted(runs.names(), key=lambda name: (name != runs.SHIPPED, name)):
        card = runs.run(name).card()
        if (runs.run(name).folder / predictions.FILE).is_file():
            key = json.dumps([card["recipe"], card.get("data", {}).get("fingerprint")], sort_keys=True)
            found.setdefault(key, []).append(name)
    for names in found.values():
        folders = [runs.run(name).folder for name in names]
        cards = [runs.run(name).card() for name in names]
        kept = {
            view: [predictions.read(folder / place / predictions.FILE) for folder in folders]
            for view, place in VIEWS.items()
            if all((folder / place / predictions.FILE).is_file() for folder in folders)
        }
        yield Group(_title(names, cards[0]), cards, kept)


def _title(names: Sequence[str], card: dict[str, Any]) -> str:
    drawn = "SKETCH, " if report.sketched(card) else ""
    return f"{drawn}{recipe_of(card)} ({', '.join(names)})"


def _markdown(groups: Iterable[Group], scored: dict[str, list[dict[str, Any]]]) -> str:
    out = [
        "# Tree against flat net",
        f"{Split.PrivateTest.name}, {plots.CLASSES}. Percentages: the mean over systems, ± their standard "
        "deviation, with the 95 % interval of a bootstrap over faces. A system is a run, or one choice of as "
        "many runs as a line takes together. GMAC: billions of multiplications a face. ECE and nodes: of the "
        "single view. p: exact McNemar test of the first systems.",
    ]
    for group in groups:
        rows = scored[group.name]
        out += [f"## {group.name}", _scores_table(group, rows), _cost_table(rows)]
        out += [sentence] if (sentence := verdict(rows)) else []
    return "\n\n".join(out) + "\n"


def _scores_table(group: Group, rows: Iterable[dict[str, Any]]) -> str:
    columns = [(view, part) for part in _rows(group.kept["single"][0]) for view in group.kept]
    header = ["answer", "systems"] + [f"{view}, {PARTS[part]}" for view, part in columns]
    body = []
    for row in rows:
        scores = [row["views"][view][part or "all"] for view, part in columns]
        body.append((row["answer"], str(scores[0]["systems"]), *map(_score, scores)))
    return table(header, body)


def _cost_table(rows: Iterable[dict[str, Any]]) -> str:
    versus = f"against {plots.SPELLED[FAIR]} flat nets"
    header = ("answer", "nets a face", "parameters", "GMAC", *NODES, "ECE", versus, "p")
    body = []
    for row in rows:
        pair = row["views"]["single"]["all"].get("against_flat")
        gmac = "-" if row["gmac"] is None else f"{row['gmac']:.3f}"
        gap = "-" if pair is None else f"{100 * pair['difference']:+.1f} ({_signed(pair['ci95'])})"
        figures = [percent(row[name]) for name in (*NODES, "ece")]
        p = "-" if pair is None else f"{pair['mcnemar_p']:.2g}"
        body.append((row["answer"], str(row["nets"]), f"{row['parameters']:,}", gmac, *figures, gap, p))
    return table(header, body)


def _score(score: dict[str, Any]) -> str:
    spread = "" if score["spread"] is None else f" ± {100 * score['spread']:.1f}"
    return f"{percent(score['accuracy'])}{spread} ({interval(score)})"


def _signed(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else " to ".join(f"{100 * end:+.1f}" for end in ends)


def _csv(scored: dict[str, list[dict[str, Any]]]) -> str:
    """A row a line, view and part, unrounded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    cost = ("nets", "parameters", "gmac", *NODES, "ece")
    scores = ("systems", "n", "accuracy", "spread", "low", "high", "difference", "mcnemar_p")
    writer.writerow(("runs", "answer", "view", "part", *scores, *cost))
    for name, rows in scored.items():
        for row in rows:
            for view, parts in row["views"].items():
                for part, score in parts.items():
                    low, high = score["ci95"] or (None, None)
                    pair = score.get("against_flat", {})
                    flat = score | {"low": low, "high": high} | {key: pair.get(key) for key in scores[-2:]}
                    figures = [flat[key] for key in scores]
                    writer.writerow((name, row["answer"], view, part, *figures, *(row[key] for key in cost)))
    return out.getvalue()
