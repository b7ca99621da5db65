"""Predictions as text, JSON lines or a CSV file."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hierarchy import fileio
from hierarchy.errors import InputError
from hierarchy.inference.predictor import COLUMNS, FacePrediction

Show = Callable[[Iterable[FacePrediction]], None]


def as_json(found: Iterable[FacePrediction]) -> None:
    """One object a line."""
    for answer in found:
        print(answer.as_json(), flush=True)


def as_text(found: Iterable[FacePrediction]) -> None:
    """One line a face."""
    for answer in found:
        print(answer.as_text(), flush=True)


def as_csv(target: Path) -> Show:
    """A CSV file with COLUMNS, whole or not at all."""

    def show(found: Iterable[FacePrediction]) -> None:
        fileio.write_atomic(target, _lines(found))
        print(target)

    return show


def _lines(found: Iterable[FacePrediction]) -> Iterator[bytes]:
    """The lines of the CSV file; a picture's name may hold bytes that are no text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    yield text.getvalue().encode()
    for answer in found:
        text.seek(0), text.truncate()
        writer.writerow(answer.as_row())
        yield text.getvalue().encode(errors="surrogateescape")


def answered(found: Iterable[FacePrediction | InputError], bad: list[str]) -> Iterator[FacePrediction]:
    """The predictions alone; the reasons of what failed are appended to `bad`."""
    for answer in found:
        if isinstance(answer, FacePrediction):
            yield answer
        else:
            bad.append(str(answer))
