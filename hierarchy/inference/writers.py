"""Predictions as text, JSON lines or a CSV file."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hierarchy import fileio
from hierarchy.errors import InputError
from hierarchy.inference.predictor import FacePrediction, columns
from hierarchy.taxonomy import Tree

Show = Callable[[Iterable[FacePrediction]], None]


def as_json(predictions: Iterable[FacePrediction]) -> None:
    """Print one JSON object per line."""
    for prediction in predictions:
        print(prediction.as_json(), flush=True)


def as_text(predictions: Iterable[FacePrediction]) -> None:
    """Print one line per face."""
    for prediction in predictions:
        print(prediction.as_text(), flush=True)


def as_csv(target: Path, tree: Tree) -> Show:
    """Write a CSV file atomically, and print its path."""

    def show(predictions: Iterable[FacePrediction]) -> None:
        fileio.write_atomic(target, _lines(predictions, tree))
        print(target)

    return show


def _lines(predictions: Iterable[FacePrediction], tree: Tree) -> Iterator[bytes]:
    """The lines of the CSV file; paths may hold bytes that are not valid UTF-8."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(tree), lineterminator="\n")
    writer.writeheader()
    for prediction in predictions:
        yield text.getvalue().encode(errors="surrogateescape")
        text.seek(0), text.truncate()
        writer.writerow(prediction.as_row())
    yield text.getvalue().encode(errors="surrogateescape")


def successful(results: Iterable[FacePrediction | InputError], errors: list[str]) -> Iterator[FacePrediction]:
    """The predictions; the messages of failures are appended to `errors`."""
    for result in results:
        if isinstance(result, FacePrediction):
            yield result
        else:
            errors.append(str(result))
