"""Answers for people and programs: a table, JSON lines, or a CSV file."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hierarchy import engines, images, runs
from hierarchy.answers import COLUMNS, Answer, answers
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.fitting.framework import Framework
from hierarchy.nets.framework import KERAS
from hierarchy.reports import annotate, report
from hierarchy.vision.detect import AUTO, finder

Show = Callable[[Iterable[Answer]], None]
Say = Callable[[str], None]


def predict(
    paths: Sequence[str],
    run: str,
    show: Show,
    say: Say,
    *,
    min_confidence: float = 0.0,
    labels_only: bool = False,
    faces: str = AUTO,
    save: Path | None = None,
    explain: bool = False,
    framework: Framework = KERAS,
    engine: str = engines.AUTO,
    **params: Any,
) -> int:
    """Answer every face behind `paths`, show the answers, and say what could not be answered.

    Args:
        paths: pictures, folders of pictures, data files, and globs.
        run: name of the run whose nets answer.
        show: takes the answers as they come.
        say: takes a line for each bad path.
        min_confidence: below it, an answer stops at its branch.
        labels_only: no probabilities, fewer nets run.
        faces: what finds them in a picture, see `vision.detect.finder`.
        save: folder for pictures with the answers drawn on them.
        explain: draw where the nets looked as well.
        framework: what opens the run's own nets.
        engine: what runs them, see `hierarchy.engines`.
        params: of the classifier.

    Returns:
        How many paths could not be answered.

    Raises:
        InputError: the run cannot be used, or the output cannot be written.
    """
    bad: list[str] = []
    find = finder(faces)
    classifier = HierarchicalClassifier.load(run, framework, engine, **params)
    if report.sketched(classifier.run_.card()):
        say(f"SKETCH: run {run} learned from drawn faces; what it says of photographs means nothing")
    good = _good(answers(classifier, images.find(paths), min_confidence, labels_only, find), bad)
    try:
        show(annotate.saved(good, save, classifier if explain else None) if save else good)
    finally:
        for line in bad:
            say(f"error: {line}")
    return len(bad)


def as_json(found: Iterable[Answer]) -> None:
    """One object a line."""
    for answer in found:
        print(answer.as_json(), flush=True)


def as_text(found: Iterable[Answer]) -> None:
    """One line a face."""
    for answer in found:
        print(answer.as_text(), flush=True)


def as_csv(target: Path) -> Show:
    """A CSV file with COLUMNS, whole or not at all."""

    def show(found: Iterable[Answer]) -> None:
        runs.write_atomic(target, _lines(found))
        print(target)

    return show


def _lines(found: Iterable[Answer]) -> Iterator[bytes]:
    """The lines of the CSV file; a picture's name may hold bytes that are no text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    yield text.getvalue().encode()
    for answer in found:
        text.seek(0), text.truncate()
        writer.writerow(answer.as_row())
        yield text.getvalue().encode(errors="surrogateescape")


def _good(found: Iterable[Answer | InputError], bad: list[str]) -> Iterator[Answer]:
    for answer in found:
        if isinstance(answer, Answer):
            yield answer
        else:
            bad.append(str(answer))
