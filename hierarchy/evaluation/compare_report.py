"""Tree against flat net at every cost, and every run beside the others: results/compare.*, results/runs.*."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hierarchy import fileio, runs
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.evaluation import comparison, leaderboard
from hierarchy.evaluation.systems import ENSEMBLE_SIZE, FLAT_SYSTEM, SOFT
from hierarchy.reports import forest_plot, plots
from hierarchy.reports.run_markdown import interval, percent, signed, table
from hierarchy.taxonomy import NODES

FILE: Final = "compare.md"
CSV: Final = "compare.csv"
COST: Final = ("opponent", "nets", "parameters", "gmac")
OF_NODES: Final = (*NODES, "ece")
SCORES: Final = ("systems", "n", "accuracy", "spread", "low", "high", "difference", "mcnemar_p")
LEGEND: Final = (
    f"{Split.PrivateTest.name}, {plots.CLASSES}. Percentages: the mean over systems, ± their standard "
    "deviation, with the 95 % interval of a bootstrap over faces. A system is a run, or one choice of as "
    "many runs as a line takes together. *Times* is the geometric mean of both answers. GMAC: billions of "
    "multiplications a face. Nodes and ECE are of the single view. p: exact McNemar test, one a system."
)

Scored = dict[str, list[dict[str, Any]]]  # lines by the title of their group


def compare() -> str:
    """Write the comparison of all runs that were evaluated on PrivateTest.

    Returns:
        The table of all runs, the verdict on every recipe, and where all is written.

    Raises:
        InputError: there is no run to compare, or what one predicted cannot be used.
    """
    every = list(comparison.groups())
    if not every:
        raise InputError("no run to compare: evaluate writes the predictions that compare reads")
    scored = {
        group.title: list(comparison.lines(group, comparison.equal_compute_baseline(group, every)))
        for group in every
    }
    chosen = {group.title: comparison.on_public_test(group) for group in every}
    folder = runs.home() / "results"
    fileio.write_atomic(folder / CSV, _csv(scored).encode())
    fileio.write_atomic(folder / forest_plot.FILE, plots.png(forest_plot.forest(scored, ENSEMBLE_SIZE)))
    listed = leaderboard.write(folder)
    fileio.write_atomic(folder / FILE, _markdown(scored, chosen, listed).encode())
    said = [f"{title}: {sentence}" for title, rows in scored.items() if (sentence := verdict(rows))]
    return "\n\n".join([listed, *said, str(folder / FILE)])


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """One sentence: does the tree beat as many flat nets? Empty where nobody can tell yet.

    One side is called better where the interval over all seeds leaves out zero: a test of one seed depends on
    which it is.
    """
    tree = next((row for row in rows if row["answer"] == SOFT), None)
    pair = tree and tree["views"]["single"]["all"].get("against_flat")
    if tree is None or not pair:
        return ""
    whose = "" if tree["opponent"] is None else f" of {tree['opponent']}"
    gap = pair["difference"]
    low, high = pair["ci95"] or (0.0, 0.0)
    flats = f"{plots.SPELLED[ENSEMBLE_SIZE]} flat nets"
    found = (
        f"{'the tree is' if gap > 0 else f'the {flats} are'} better"
        if low > 0 or high < 0
        else "it may be chance"
    )
    return (
        f"The tree (soft) is {abs(100 * gap):.1f} percentage points {'more' if gap > 0 else 'less'} accurate "
        f"than {flats}{whose} averaged, which cost the same a face ({signed(pair['ci95'])}; exact McNemar "
        f"test{'' if len(pair['mcnemar_p']) == 1 else ' of each tree'}, p = {_p(pair)}): {found}."
    )


def _markdown(scored: Scored, chosen: Mapping[str, float | None], listed: str) -> str:
    out = ["# Tree against flat net", LEGEND, f"![What every answer scores]({forest_plot.FILE})"]
    if len(scored) > 1:
        out += ["## Recipes side by side", _overview(scored, chosen)]
    for title, rows in scored.items():
        out += [f"## {title}", *(_scores_table(rows, view) for view in rows[0]["views"]), _cost_table(rows)]
        out += [sentence] if (sentence := verdict(rows)) else []
    out += ["## Every run", listed, f"![What every run scores]({leaderboard.PICTURE})"]
    return "\n\n".join(out) + "\n"


def _overview(scored: Scored, chosen: Mapping[str, float | None]) -> str:
    """A line a recipe: its flat net and its tree, and what PublicTest said when it was chosen."""
    body = []
    for title, rows in scored.items():
        answers = {row["answer"]: row for row in rows}
        single = {name: row["views"]["single"] for name, row in answers.items()}
        tree, flat = (single.get(name) for name in (SOFT, FLAT_SYSTEM))
        cells = [_score(each["all"]) if each else "-" for each in (flat, tree)]
        free = _score(tree["leak-free"]) if tree and "leak-free" in tree else "-"
        nodes = [percent(answers.get(SOFT, rows[0])[node]) for node in NODES]
        body.append((title, percent(chosen[title]), *cells, free, *nodes))
    parts = (FLAT_SYSTEM, SOFT, f"{SOFT}, {comparison.PARTS['leak-free']}")
    return table(("recipe (runs)", Split.PublicTest.name, *parts, *NODES), body)


def _scores_table(rows: list[dict[str, Any]], view: str) -> str:
    parts = list(rows[0]["views"][view])
    header = ["answer", "systems", *(f"{view}, {comparison.PARTS[part]}" for part in parts)]
    body = []
    for row in rows:
        scores = [row["views"][view][part] for part in parts]
        body.append((row["answer"], str(scores[0]["systems"]), *map(_score, scores)))
    return table(header, body)


def _cost_table(rows: list[dict[str, Any]]) -> str:
    whose = "" if rows[0]["opponent"] is None else f" of {rows[0]['opponent']}"
    versus = f"against {plots.SPELLED[ENSEMBLE_SIZE]} flat nets{whose}"
    header = ("answer", "nets a face", "parameters", "GMAC", *NODES, "ECE", versus, "p")
    body = []
    for row in rows:
        pair = row["views"]["single"]["all"].get("against_flat")
        gmac = "-" if row["gmac"] is None else f"{row['gmac']:.3f}"
        gap = "-" if pair is None else f"{100 * pair['difference']:+.1f} ({signed(pair['ci95'])})"
        figures = [percent(row[name]) for name in (*NODES, "ece")]
        p = "-" if pair is None else _p(pair)
        body.append((row["answer"], str(row["nets"]), f"{row['parameters']:,}", gmac, *figures, gap, p))
    return table(header, body)


def _p(pair: Mapping[str, Any]) -> str:
    return ", ".join(f"{p:.2g}" for p in pair["mcnemar_p"])


def _score(score: dict[str, Any]) -> str:
    spread = "" if score["spread"] is None else f" ± {100 * score['spread']:.1f}"
    return f"{percent(score['accuracy'])}{spread} ({interval(score)})"


def _csv(scored: Scored) -> str:
    """A row a line, view and part, unrounded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("runs", "answer", "view", "part", *SCORES, *COST, *OF_NODES))
    for title, rows in scored.items():
        for row in rows:
            for view, parts in row["views"].items():
                for part, score in parts.items():
                    low, high = score["ci95"] or (None, None)
                    pair = score.get("against_flat", {})
                    p = " ".join(map(str, pair.get("mcnemar_p", ())))
                    whole = {"low": low, "high": high} | pair | {"mcnemar_p": p} | score
                    figures = [whole.get(key) for key in SCORES]
                    of_nodes = row if (view, part) == ("single", "all") else {}  # of these alone
                    figures += [row[key] for key in COST] + [of_nodes.get(key) for key in OF_NODES]
                    writer.writerow((title, row["answer"], view, part, *figures))
    return out.getvalue()
