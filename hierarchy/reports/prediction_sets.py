"""Markdown of what prediction sets achieve, for reports and model cards."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hierarchy.data.dataset import Split
from hierarchy.reports import captions
from hierarchy.reports.tables import interval, percent, table
from hierarchy.taxonomy import ALL

SHOWN: Final = "0.9"  # the coverage whose branches and classes are shown
PARTS: Final = {
    ALL: "all",
    "leak_free": "no identical twin in Training",
    "leak_free_near": "no near copy either",
}
COLUMNS: Final = ("n", "coverage", "interval", "mean size", "interval of size", "one leaf", "one branch")


def markdown(scores: Mapping[str, Any]) -> Iterator[str]:
    """Tables of coverage and size, where `scores` of scores.json have them."""
    sets = scores.get("prediction_sets")
    if not sets:
        return
    tree = captions.tree_of(scores)
    yield (
        "`predict --coverage` answers with a set of leaves. Split-conformal, a threshold for each branch: "
        f"half of {Split.PublicTest.name} fitted temperatures, the other half the thresholds. It chose the "
        "epochs too, so that what counts is what was achieved here:"
    )
    yield _table(
        ("asked", "faces"),
        {
            (f"{100 * float(asked):g} %", PARTS[part]): row
            for asked, groups in sets.items()
            for part, row in groups["faces"].items()
        },
    )
    if groups := sets.get(SHOWN):
        rows = {(name, ", ".join(tree.children[name])): row for name, row in groups["branches"].items()}
        rows |= {(name, tree.branch_of(name)): row for name, row in groups["classes"].items()}
        yield f"Of {100 * float(SHOWN):g} % asked for:"
        yield _table(("true branch or class", "of"), rows)
    yield (
        f"Size: leaves of {len(tree.leaves)}. One leaf, one branch: share of sets that are a single leaf, or "
        "exactly the leaves of a branch."
    )


def _table(titles: tuple[str, str], rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    return table((*titles, *COLUMNS), ((*names, *_cells(row)) for names, row in rows.items()))


def _cells(row: Mapping[str, Any]) -> Iterator[Any]:
    yield row["n"]
    yield percent(row["coverage"])
    yield interval(row) if row["ci95"] else "-"
    yield "-" if row["size"] is None else f"{row['size']:.2f}"
    yield " to ".join(f"{end:.2f}" for end in row["size_ci95"]) if row["size_ci95"] else "-"
    yield from (percent(row["one_leaf"]), percent(row["one_branch"]))
