"""Figures and tables as text: percentages, intervals, Markdown, CSV."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def percent(share: float | None) -> str:
    """A fraction as percent with one decimal; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f}"


def interval(row: Mapping[str, Any]) -> str:
    """The 95 % interval of a score in percent."""
    return " to ".join(percent(end) for end in row["ci95"] or [None])


def signed(ends: Sequence[float] | None) -> str:
    """An interval of differences in percentage points."""
    return "-" if ends is None else " to ".join(f"{100 * end:+.1f}" for end in ends)


def accuracy(row: Mapping[str, Any]) -> str:
    """A score's accuracy and interval in one cell."""
    return f"{percent(row['accuracy'])} ({interval(row)})"


def accuracy_cells(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """A score's n, accuracy and interval, a cell each."""
    return f"{row['n']:,}", percent(row["accuracy"]), interval(row)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_csv(records: Iterable[Mapping[str, Any]]) -> str:
    """Records as CSV, unrounded, a column for every key; empty cells where a record lacks one."""
    import pandas as pd

    rows = list(records)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[row.get(key) for key in columns] for row in rows]
    return pd.DataFrame(cells, columns=columns, dtype=object).to_csv(index=False, lineterminator="\n")
