"""Tree against flat net at equal cost, and a table of all runs: results/compare.*, results/runs.*."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.evaluation import comparison, leaderboard, summary
from hierarchy.evaluation.comparison import MAIN, PARTS, Group
from hierarchy.evaluation.systems import FLAT_SYSTEM, SOFT
from hierarchy.reports import forest_plot, plots
from hierarchy.reports.captions import spelled
from hierarchy.reports.tables import accuracy, as_csv, figure, signed, table
from hierarchy.taxonomy import Tree

FILE: Final = "compare.md"
CSV: Final = "compare.csv"
COST: Final = ("opponent", "nets", "parameters", "gmac")
LEGEND: Final = (
    f"{Split.PrivateTest.name}. Percentages: mean over systems ± standard deviation, with the 95 % interval "
    "of a bootstrap over faces. A system is a run, or one choice of the number of runs that a row combines. "
    "*Times*: geometric mean of both probabilities. GMAC: billions of multiplications for a face. Nodes, ECE "
    "and NLL (negative log likelihood) are of the single view. p: exact McNemar test, one for each system."
)

Scored = dict[str, list[dict[str, Any]]]  # rows by the title of their group


def compare() -> str:
    """Write the comparison of all runs that were evaluated on PrivateTest.

    Returns:
        The table of all runs, the verdict on every recipe, and the path of the report.

    Raises:
        InputError: there is no run to compare, or stored predictions cannot be used.
    """
    groups = list(comparison.groups())
    if not groups:
        raise InputError("no run to compare: `evaluate` writes the predictions that `compare` reads")
    scored = {group.title: list(comparison.lines(group, groups)) for group in groups}
    folder = runs.home() / "results"
    classes = ", ".join(dict.fromkeys(group.classes for group in groups))
    fileio.write_atomic(folder / CSV, as_csv(_records(groups, scored)).encode())
    fileio.write_atomic(folder / forest_plot.FILE, plots.png(forest_plot.forest(scored, classes)))
    leaders = leaderboard.write(folder)
    fileio.write_atomic(folder / summary.FILE, summary.markdown(groups, scored).encode())
    fileio.write_atomic(folder / FILE, _markdown(groups, scored, leaders).encode())
    verdicts = [f"{title}: {sentence}" for title, rows in scored.items() if (sentence := verdict(rows))]
    return "\n\n".join([leaders, *verdicts, str(folder / FILE)])


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """One sentence: is the tree better than as many flat nets? Empty without such flat nets.

    One side is called better where the interval over all seeds excludes zero: a test of a single seed depends
    on the seed.
    """
    tree = next((row for row in rows if row["answer"] == SOFT), None)
    pair = tree and tree["scores"][MAIN].get("against_flat")
    if tree is None or not pair:
        return ""
    gap = pair["difference"]
    low, high = pair["ci95"] or (0.0, 0.0)
    flats = _flat_nets(tree)
    better = f"{'the tree is' if gap > 0 else f'the {flats} are'} better"
    tests = "" if len(pair["mcnemar_p"]) == 1 else " of each tree"
    return (
        f"The tree (soft) is {abs(100 * gap):.1f} percentage points {'more' if gap > 0 else 'less'} accurate "
        f"than {flats}{_owner(tree)} averaged, which cost the same for a face ({signed(pair['ci95'])}; exact "
        f"McNemar test{tests}, p = {_p(pair)}): {better if low > 0 or high < 0 else 'it may be chance'}."
    )


def _markdown(groups: Sequence[Group], scored: Scored, leaders: str) -> str:
    parts = ["# Tree against flat net", LEGEND, f"![Accuracy of every system]({forest_plot.FILE})"]
    sections: dict[tuple[Tree, str], list[Group]] = {}
    for group in groups:
        sections.setdefault((group.tree, group.classes), []).append(group)
    for (tree, classes), members in sections.items():
        parts += [f"## {classes.capitalize()}", f"Tree {tree.name or tree.hash}: {tree}."]
        if len(members) > 1:
            parts += ["### Recipes side by side", _overview(members, scored)]
        for group in members:
            rows = scored[group.title]
            parts += [f"### {group.title}", *(_scores_table(rows, view) for view in group.stored)]
            parts += [_cost_table(rows), *filter(None, [verdict(rows)])]
    parts += ["## Every run", leaders, f"![Accuracy of every run]({forest_plot.RUNS})"]
    return "\n\n".join(parts) + "\n"


def _overview(groups: Sequence[Group], scored: Scored) -> str:
    """A row for each recipe of a tree: its flat net and its tree, and the accuracy that it was chosen by."""
    nodes = groups[0].tree.nodes
    body = []
    for group in groups:
        rows = {row["answer"]: row for row in scored[group.title]}
        flat, tree = (rows[name]["scores"] if name in rows else {} for name in (FLAT_SYSTEM, SOFT))
        scores = [flat.get(MAIN), tree.get(MAIN), tree.get(("single", "leak-free"))]
        own = rows.get(SOFT, scored[group.title][0])["nodes"]
        cells = (accuracy(score) if score else "-" for score in scores)
        found = [each.public_test_accuracy for each in group.manifests]
        public = [one for one in found if one is not None]
        chosen_by = float(np.mean(public)) if len(public) == len(found) else None
        body.append((group.title, chosen_by, *cells, *own.values()))
    systems = (FLAT_SYSTEM, SOFT, f"{SOFT}, {PARTS['leak-free']}")
    return table(("recipe (runs)", Split.PublicTest.name, *systems, *nodes), body)


def _scores_table(rows: list[dict[str, Any]], view: str) -> str:
    """The accuracy of each system in each part."""
    keys = [key for key in rows[0]["scores"] if key[0] == view]
    body = [
        (row["answer"], row["scores"][MAIN]["systems"], *(accuracy(row["scores"][key]) for key in keys))
        for row in rows
    ]
    return table(("answer", "systems", *(f"{view}, {PARTS[part]}" for _, part in keys)), body)


def _cost_table(rows: list[dict[str, Any]]) -> str:
    versus = f"against {_flat_nets(rows[0])}{_owner(rows[0])}"
    header = ("answer", "nets a face", "parameters", "GMAC", *rows[0]["nodes"], "ECE", "NLL", versus, "p")
    body = []
    for row in rows:
        cost = (row["answer"], row["nets"], row["parameters"], figure(row["gmac"], ".3f"))
        pair = row["scores"][MAIN].get("against_flat")
        gap = (f"{100 * pair['difference']:+.1f} ({signed(pair['ci95'])})", _p(pair)) if pair else ("-", "-")
        body.append((*cost, *row["nodes"].values(), row["ece"], figure(row["nll"], ".3f"), *gap))
    return table(header, body)


def _flat_nets(row: Mapping[str, Any]) -> str:
    number = len(row["nodes"])
    return f"{spelled(number)} flat net{'' if number == 1 else 's'}"


def _owner(row: Mapping[str, Any]) -> str:
    return "" if row["opponent"] is None else f" of {row['opponent']}"


def _p(pair: Mapping[str, Any]) -> str:
    return ", ".join(f"{p:.2g}" for p in pair["mcnemar_p"])


def _records(groups: Sequence[Group], scored: Scored) -> Iterator[dict[str, Any]]:
    """A record for each system, view and part, unrounded."""
    for group in groups:
        for row in scored[group.title]:
            nodes = {f"{node}_accuracy": value for node, value in row["nodes"].items()}
            for (view, part), score in row["scores"].items():
                low, high = score["ci95"] or (None, None)
                pair = score.get("against_flat", {})
                yield {
                    "tree": group.tree.name or group.tree.hash,
                    "runs": group.title,
                    "answer": row["answer"],
                    "view": view,
                    "part": part,
                    **{key: score[key] for key in ("systems", "n", "accuracy", "spread")},
                    "low": low,
                    "high": high,
                    "difference": pair.get("difference"),
                    "mcnemar_p": " ".join(map(str, pair.get("mcnemar_p", ()))),
                    **{key: row[key] for key in COST},
                    **(
                        {"ece": row["ece"], "nll": row["nll"]} | nodes if (view, part) == MAIN else {}
                    ),  # of these faces only
                }
