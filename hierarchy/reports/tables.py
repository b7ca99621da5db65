"""Figures and tables as text: percentages, intervals, Markdown, CSV."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

SCORE: Final = {"n": "n", "accuracy": "accuracy", "interval": "ci95"}  # columns of every table of scores


def percent(share: float | None) -> str:
    """A fraction as percent with one decimal; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f}"


def interval(row: Mapping[str, Any]) -> str:
    """The 95 % interval of a score in percent."""
    return cell(row["ci95"])


def signed(ends: Sequence[float] | None) -> str:
    """An interval of differences in percentage points."""
    return "-" if ends is None else " to ".join(f"{100 * end:+.1f}" for end in ends)


def accuracy(row: Mapping[str, Any]) -> str:
    """A score's accuracy, its spread where it has one, and its interval."""
    spread = "" if row.get("spread") is None else f" ± {100 * row['spread']:.1f}"
    return f"{percent(row['accuracy'])}{spread} ({interval(row)})"


def figure(value: float | None, form: str) -> str:
    """A number in a format such as ".2f"; a dash where there is none."""
    return "-" if value is None else format(value, form)


def cell(value: Any) -> str:
    """A table's cell: text as it is, a count with commas, a share or an interval (a list) in percent."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " to ".join(map(percent, value))
    return f"{value:,}" if isinstance(value, int) else percent(value)


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table of anything that `cell` takes."""
    titles = list(header)
    lines = (titles, ["---"] * len(titles), *rows)
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def score_table(
    first: str, scores: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str] = SCORE
) -> str:
    """A Markdown table of scores by name; `first` is the names' title, columns are title -> key."""
    rows = [(name, *(row[key] for key in columns.values())) for name, row in scores.items()]
    return table((first, *columns), rows)


def as_csv(records: Iterable[Mapping[str, Any]]) -> str:
    """Records as CSV, unrounded, a column for every key; empty cells where a record lacks one."""
    import pandas as pd

    return pd.DataFrame(list(records), dtype=object).to_csv(index=False, lineterminator="\n")
