"""results/compare.md and compare.csv: tree against flat net at every cost, as tables."""

import csv
import io
from typing import Any, Final

from hierarchy import runs
from hierarchy.data.faces import Split
from hierarchy.errors import InputError
from hierarchy.reports import contest, plots
from hierarchy.reports.markdown import interval, percent, signed, table
from hierarchy.reports.ways import FAIR
from hierarchy.taxonomy import NODES

FILE: Final = "compare.md"
CSV: Final = "compare.csv"
COST: Final = ("nets", "parameters", "gmac", *NODES, "ece")
SCORES: Final = ("systems", "n", "accuracy", "spread", "low", "high", "difference", "mcnemar_p")
LEGEND: Final = (
    f"{Split.PrivateTest.name}, {plots.CLASSES}. Percentages: the mean over systems, ± their standard "
    "deviation, with the 95 % interval of a bootstrap over faces. A system is a run, or one choice of as "
    "many runs as a line takes together. *Times* is the geometric mean of both answers. GMAC: billions of "
    "multiplications a face. Nodes and ECE are of the single view. p: exact McNemar test of first systems."
)

Scored = dict[str, list[dict[str, Any]]]  # lines by the title of their group


def compare() -> str:
    """Write the comparison of all runs that were evaluated on PrivateTest.

    Returns:
        The verdict on every recipe, and where the table is.

    Raises:
        InputError: there is no run to compare, or what one predicted cannot be used.
    """
    every = list(contest.groups())
    scored = {group.title: list(contest.lines(group, contest.opponent_of(group, every))) for group in every}
    if not scored:
        raise InputError("no run to compare: evaluate writes the predictions that compare reads")
    folder = runs.home() / "results"
    runs.write_atomic(folder / CSV, _csv(scored).encode())
    runs.write_atomic(folder / FILE, _markdown(scored).encode())
    said = [f"{title}: {sentence}" for title, rows in scored.items() if (sentence := contest.verdict(rows))]
    return "\n".join([*said, str(folder / FILE)])


def _markdown(scored: Scored) -> str:
    out = ["# Tree against flat net", LEGEND]
    for title, rows in scored.items():
        out += [f"## {title}", _scores_table(rows), _cost_table(rows)]
        out += [sentence] if (sentence := contest.verdict(rows)) else []
    return "\n\n".join(out) + "\n"


def _scores_table(rows: list[dict[str, Any]]) -> str:
    columns = [(view, part) for view, parts in rows[0]["views"].items() for part in parts]
    header = ["answer", "systems"] + [f"{view}, {contest.PARTS[part]}" for view, part in columns]
    body = []
    for row in rows:
        scores = [row["views"][view][part] for view, part in columns]
        body.append((row["answer"], str(scores[0]["systems"]), *map(_score, scores)))
    return table(header, body)


def _cost_table(rows: list[dict[str, Any]]) -> str:
    whose = "" if rows[0]["opponent"] is None else f" of {rows[0]['opponent']}"
    versus = f"against {plots.SPELLED[FAIR]} flat nets{whose}"
    header = ("answer", "nets a face", "parameters", "GMAC", *NODES, "ECE", versus, "p")
    body = []
    for row in rows:
        pair = row["views"]["single"]["all"].get("against_flat")
        gmac = "-" if row["gmac"] is None else f"{row['gmac']:.3f}"
        gap = "-" if pair is None else f"{100 * pair['difference']:+.1f} ({signed(pair['ci95'])})"
        figures = [percent(row[name]) for name in (*NODES, "ece")]
        p = "-" if pair is None else f"{pair['mcnemar_p']:.2g}"
        body.append((row["answer"], str(row["nets"]), f"{row['parameters']:,}", gmac, *figures, gap, p))
    return table(header, body)


def _score(score: dict[str, Any]) -> str:
    spread = "" if score["spread"] is None else f" ± {100 * score['spread']:.1f}"
    return f"{percent(score['accuracy'])}{spread} ({interval(score)})"


def _csv(scored: Scored) -> str:
    """A row a line, view and part, unrounded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("runs", "answer", "view", "part", *SCORES, *COST))
    for title, rows in scored.items():
        for row in rows:
            for view, parts in row["views"].items():
                for part, score in parts.items():
                    low, high = score["ci95"] or (None, None)
                    whole = {"low": low, "high": high} | score.get("against_flat", {}) | score
                    figures = [whole.get(key) for key in SCORES]
                    writer.writerow((title, row["answer"], view, part, *figures, *(row[key] for key in COST)))
    return out.getvalue()
