"""Rows that a reader yields, and the data set they make: label names get their codes here."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import UNLABELLED, FaceDataset
from hierarchy.data.formats.codes import FER2013_NAMES
from hierarchy.errors import InputError, error_context, first_line
from hierarchy.taxonomy import spelling

MAX_LINE: Final = 100_000  # characters; a binary file may have no line end at all


class Row(NamedTuple):
    """One face: uint8[48, 48], its label if it has one, its Split, and whether its file assigns splits."""

    pixels: np.ndarray
    label: str | None
    split: int
    assigned: bool


def dataset(rows: Iterable[Row], source: str) -> FaceDataset:
    """One or more rows in order; with a validation split from Training where no split was assigned.

    Raises:
        InputError: names `source`; more different labels than codes.
    """
    pixels, labels, roles, assigned = zip(*rows, strict=True)
    with error_context(source):
        label, names = encode(labels)
    split = np.array(roles, np.int8)
    if not all(assigned):
        split = splits.add_validation_split(label, split)
    row = np.arange(len(label), dtype=np.int32)
    return FaceDataset(np.stack(pixels), label, split, row, source=source, names=names)


def encode(labels: Sequence[str | None]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes of label names, int8[N], -1 for None; and the names that the codes mean.

    The names are FER2013_NAMES where all labels are spellings of these, else the labels themselves
    in lower case, sorted.

    Raises:
        InputError: more different names than codes.
    """
    names: tuple[str, ...] = FER2013_NAMES
    plain = {label: spelling(label) for label in labels if label is not None}
    if not set(plain.values()) <= set(names):
        plain = {label: label.strip().lower() for label in plain}
        names = tuple(sorted(set(plain.values())))
    if len(names) > np.iinfo(np.int8).max:
        raise InputError(f"{len(names)} labels; expected at most {np.iinfo(np.int8).max}")
    codes: dict[str | None, int] = {label: names.index(name) for label, name in plain.items()}
    return np.array([codes.get(label, UNLABELLED) for label in labels], np.int8), names


def label_name(value: Any, classes: Sequence[str] = FER2013_NAMES) -> str:
    """The name of a label that is a code among `classes`, or a name itself.

    Raises:
        InputError: neither.
    """
    if isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    if isinstance(value, str) and value.strip():
        return value
    codes = ", ".join(f"{code} {name}" for code, name in enumerate(classes))
    raise InputError(f"unknown label {value!r:.40}; expected {codes}, or names")


def csv_rows(
    path: Path, columns: Callable[[list[str]], Sequence[str]]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a CSV file, plain or gzipped: its place for error messages, and its cells by column.

    Args:
        path: the file; blank lines are skipped.
        columns: the names in line 1, in lower case -> those of the cells, or InputError.

    Raises:
        InputError: names the file, the line as an editor counts it, and what is expected.
    """
    try:
        with cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as stream:
            text = TextIOWrapper(stream, "utf-8-sig", "replace", newline="")
            table = csv.reader(iter(partial(text.readline, MAX_LINE), ""), skipinitialspace=True)
            header = [name.strip().lower() for name in next(table, [])]
            with error_context(str(path)):
                names = columns(header)
            empty = True
            for cells in table:
                place = f"{path}: line {table.line_num}"
                if len(cells) < 2 and not "".join(cells).strip():
                    continue
                if len(cells) != len(header):
                    raise InputError(f"{place}: {len(cells)} columns, but the header has {len(header)}")
                yield place, dict(zip(names, map(str.strip, cells), strict=True))
                empty = False
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)})") from None
    if empty:
        raise InputError(f"{path}: no row below the header")
