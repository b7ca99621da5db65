"""Tree against flat net at equal cost, and a table of all runs: results/compare.*, results/runs.*."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hierarchy import fileio, runs
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.evaluation import comparison, leaderboard
from hierarchy.evaluation.comparison import Group
from hierarchy.evaluation.systems import FLAT_SYSTEM, SOFT
from hierarchy.reports import forest_plot, plots
from hierarchy.reports.tables import as_csv, interval, percent, signed, table
from hierarchy.taxonomy import Tree

FILE: Final = "compare.md"
CSV: Final = "compare.csv"
COST: Final = ("opponent", "nets", "parameters", "gmac")
LEGEND: Final = (
    f"{Split.PrivateTest.name}. Percentages: mean over systems ± standard deviation, with the 95 % interval "
    "of a bootstrap over faces. A system is a run, or one choice of the number of runs that a row combines. "
    "*Times*: geometric mean of both probabilities. GMAC: billions of multiplications for a face. Nodes and "
    "ECE are of the single view. p: exact McNemar test, one for each system."
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
    scored = {
        group.title: list(comparison.lines(group, comparison.equal_compute_baseline(group, groups)))
        for group in groups
    }
    folder = runs.home() / "results"
    classes = ", ".join(dict.fromkeys(group.classes for group in groups))
    fileio.write_atomic(folder / CSV, as_csv(_records(groups, scored)).encode())
    fileio.write_atomic(folder / forest_plot.FILE, plots.png(forest_plot.forest(scored, classes)))
    leaders = leaderboard.write(folder)
    fileio.write_atomic(folder / FILE, _markdown(groups, scored, leaders).encode())
    verdicts = [f"{title}: {sentence}" for title, rows in scored.items() if (sentence := verdict(rows))]
    return "\n\n".join([leaders, *verdicts, str(folder / FILE)])


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """One sentence: is the tree better than as many flat nets? Empty without such flat nets.

    One side is called better where the interval over all seeds excludes zero: a test of a single seed depends
    on the seed.
    """
    tree = next((row for row in rows if row["answer"] == SOFT), None)
    pair = tree and tree["views"]["single"]["all"].get("against_flat")
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
        parts += [f"## {classes.capitalize()}", f"Tree {plots.tree_name(tree)}: {tree}."]
        if len(members) > 1:
            parts += ["### Recipes side by side", _overview(members, scored)]
        for group in members:
            rows = scored[group.title]
            parts += [f"### {group.title}", *(_scores_table(rows, view) for view in rows[0]["views"])]
            parts += [_cost_table(rows), *filter(None, [verdict(rows)])]
    parts += ["## Every run", leaders, f"![Accuracy of every run]({leaderboard.PICTURE})"]
    return "\n\n".join(parts) + "\n"


def _overview(groups: Sequence[Group], scored: Scored) -> str:
    """A row for each recipe of a tree: its flat net and its tree, and the accuracy that it was chosen by."""
    nodes = groups[0].tree.nodes
    body = []
    for group in groups:
        rows = scored[group.title]
        by_name = {row["answer"]: row for row in rows}
        single = {name: row["views"]["single"] for name, row in by_name.items()}
        tree, flat = (single.get(name) for name in (SOFT, FLAT_SYSTEM))
        cells = [_score(each["all"]) if each else "-" for each in (flat, tree)]
        free = _score(tree["leak-free"]) if tree and "leak-free" in tree else "-"
        accuracies = [percent(by_name.get(SOFT, rows[0])["nodes"][node]) for node in nodes]
        body.append((group.title, percent(comparison.on_public_test(group)), *cells, free, *accuracies))
    parts = (FLAT_SYSTEM, SOFT, f"{SOFT}, {comparison.PARTS['leak-free']}")
    return table(("recipe (runs)", Split.PublicTest.name, *parts, *nodes), body)


def _scores_table(rows: list[dict[str, Any]], view: str) -> str:
    parts = list(rows[0]["views"][view])
    header = ["answer", "systems", *(f"{view}, {comparison.PARTS[part]}" for part in parts)]
    body = []
    for row in rows:
        scores = [row["views"][view][part] for part in parts]
        body.append((row["answer"], str(scores[0]["systems"]), *map(_score, scores)))
    return table(header, body)


def _cost_table(rows: list[dict[str, Any]]) -> str:
    versus = f"against {_flat_nets(rows[0])}{_owner(rows[0])}"
    header = ("answer", "nets a face", "parameters", "GMAC", *rows[0]["nodes"], "ECE", versus, "p")
    body = []
    for row in rows:
        pair = row["views"]["single"]["all"].get("against_flat")
        gmac = "-" if row["gmac"] is None else f"{row['gmac']:.3f}"
        gap = "-" if pair is None else f"{100 * pair['difference']:+.1f} ({signed(pair['ci95'])})"
        figures = map(percent, (*row["nodes"].values(), row["ece"]))
        p = "-" if pair is None else _p(pair)
        body.append((row["answer"], str(row["nets"]), f"{row['parameters']:,}", gmac, *figures, gap, p))
    return table(header, body)


def _flat_nets(row: Mapping[str, Any]) -> str:
    number = row["flat_nets"]
    return f"{plots.spelled(number)} flat net{'' if number == 1 else 's'}"


def _owner(row: Mapping[str, Any]) -> str:
    return "" if row["opponent"] is None else f" of {row['opponent']}"


def _p(pair: Mapping[str, Any]) -> str:
    return ", ".join(f"{p:.2g}" for p in pair["mcnemar_p"])


def _score(score: dict[str, Any]) -> str:
    spread = "" if score["spread"] is None else f" ± {100 * score['spread']:.1f}"
    return f"{percent(score['accuracy'])}{spread} ({interval(score)})"


def _records(groups: Sequence[Group], scored: Scored) -> Iterator[dict[str, Any]]:
    """A record for each system, view and part, unrounded."""
    for group in groups:
        for row in scored[group.title]:
            for view, parts in row["views"].items():
                for part, score in parts.items():
                    low, high = score["ci95"] or (None, None)
                    pair = score.get("against_flat", {})
                    first = (view, part) == ("single", "all")  # the only one that nodes are scored on
                    nodes = {f"{node}_accuracy": value for node, value in row["nodes"].items()}
                    yield {
                        "tree": plots.tree_name(group.tree),
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
                        "ece": row["ece"] if first else None,
                        **(nodes if first else dict.fromkeys(nodes)),
                    }
