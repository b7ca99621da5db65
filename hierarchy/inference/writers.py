"""Predictions as a CSV file."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from hierarchy import fileio
from hierarchy.inference.predictor import FacePrediction, columns
from hierarchy.taxonomy import Tree


def write_csv(predictions: Iterable[FacePrediction], target: Path, tree: Tree) -> None:
    """Write a CSV file atomically.

    Raises:
        InputError: it cannot be written.
    """
    with (
        fileio.atomic(target) as temporary,
        # paths may hold bytes that are not valid UTF-8
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        add_csv(predictions, file, tree)
        file.flush()
        os.fsync(file.fileno())


def add_csv(predictions: Iterable[FacePrediction], file: IO[str], tree: Tree) -> None:
    """Add a header and a row per prediction to an open file."""
    writer = csv.DictWriter(file, columns(tree), lineterminator="\n")
    writer.writeheader()
    writer.writerows(prediction.as_row() for prediction in predictions)
