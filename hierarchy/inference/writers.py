"""Predictions as a CSV file."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

from hierarchy import fileio
from hierarchy.inference.predictor import FacePrediction, columns
from hierarchy.taxonomy import Tree

FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")  # begin what spreadsheets compute


def write_csv(
    predictions: Iterable[FacePrediction], target: Path, tree: Tree, safe: bool = False, sets: bool = False
) -> None:
    """Write a CSV file atomically; `safe` and `sets` as in `add_csv`.

    Raises:
        InputError: it cannot be written.
    """
    with (
        fileio.atomic(target) as temporary,
        # paths may hold bytes that are not valid UTF-8
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        add_csv(predictions, file, tree, safe, sets)
        file.flush()
        os.fsync(file.fileno())


def add_csv(
    predictions: Iterable[FacePrediction],
    file: IO[str],
    tree: Tree,
    safe: bool = False,
    sets: bool = False,
) -> None:
    """Add a header and a row per prediction to an open file.

    Args:
        predictions: the rows.
        file: takes them.
        tree: whose leaves are columns.
        safe: put an apostrophe before texts that spreadsheets would compute, see FORMULAS.
        sets: with a column of prediction sets.
    """
    names = columns(tree, sets)
    writer = csv.DictWriter(_Lines(file), names)  # its line ends make the writer quote a lone \r
    cell = _text if safe else lambda value: value
    writer.writerow({name: cell(name) for name in names})
    writer.writerows({name: cell(value) for name, value in face.as_row().items()} for face in predictions)


def _text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


class _Lines:
    """Ends the lines of a csv.writer, which writes each by one call, with a line feed only."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def write(self, line: str) -> None:
        self.file.write(line.removesuffix("\r\n") + "\n")
