"""Rows that a reader yields, and the data set they make: label names get their codes here."""

import codecs
import csv
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader, TextIOWrapper
from itertools import chain, count
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import SIDE, UNLABELLED, FaceDataset, Origin
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.errors import InputError, encodable, error_context, first_line
from hierarchy.taxonomy import spelling

MAX_LINE: Final = 100_000  # characters; a binary file may have no line end at all
MAX_BLANK: Final = 10_000  # blank lines in succession: a few kB of a gzipped file may be billions
MAX_FACES: Final = 1_000_000  # of a data set in memory: 2.3 GB
DELIMITERS: Final = ",;\t"
UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Row(NamedTuple):
    """One face: uint8[48, 48], its label if it has one, its Split, and whether its file assigns splits.

    `generated`: whether its file says that the face is.
    """

    pixels: np.ndarray
    label: str | None
    split: int
    assigned: bool
    generated: bool = False


def dataset(rows: Iterable[Row], source: str) -> FaceDataset:
    """One or more rows in order; with a validation split from Training where no split was assigned.

    Raises:
        InputError: names `source`; more than MAX_FACES rows, or more different labels than codes.
    """
    pixels = bytearray()
    columns: list[tuple[str | None, int, bool, bool]] = []
    for face, *others in rows:
        if len(columns) == MAX_FACES:
            raise InputError(f"{source}: more than {MAX_FACES:,} faces")
        pixels += face.tobytes()
        columns.append((*others,))  # type: ignore[arg-type]
    labels, roles, assigned, made = zip(*columns, strict=True)
    with error_context(source):
        label, names = encode(labels)
    row = np.arange(len(label), dtype=np.int32)
    pictures = np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE)
    faces = FaceDataset(pictures, label, np.array(roles, np.int8), row, source=source, names=names)
    if any(made):
        faces = replace(faces, origin=np.where(made, Origin.generated, faces.origin).astype(np.int8))
    if all(assigned):
        return faces
    return replace(faces, split=splits.add_validation_split(label, faces.split, origin=faces.origin))


def encode(labels: Sequence[str | None]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes of label names, int8[N], -1 for None; and the names that the codes mean.

    The names are FER2013_NAMES where all labels are spellings of these, else the labels themselves
    in lower case, sorted.

    Raises:
        InputError: more different names than codes, or one that UTF-8 cannot write.
    """
    names: tuple[str, ...] = FER2013_NAMES
    plain = {label: spelling(label) for label in labels if label is not None}
    if not set(plain.values()) <= set(names):
        plain = {label: label.strip().lower() for label in plain}
        names = tuple(sorted(set(plain.values())))
    if len(names) > np.iinfo(np.int8).max:
        raise InputError(f"{len(names)} labels; expected at most {np.iinfo(np.int8).max}")
    if broken := [name for name in names if not encodable(name)]:
        raise InputError(f"label {broken[0]!r:.40}: expected text that UTF-8 can write")
    codes: dict[str | None, int] = {label: names.index(name) for label, name in plain.items()}
    return np.array([codes.get(label, UNLABELLED) for label in labels], np.int8), names


def label_name(value: Any, classes: Sequence[str] = FER2013_NAMES) -> str:
    """The name of a label that is a code among `classes`, or a name itself.

    Raises:
        InputError: neither.
    """
    if type(value) is int and 0 <= value < len(classes):
        return classes[value]
    if isinstance(value, str) and value.strip():
        return value
    codes = ", ".join(f"{code} {name}" for code, name in enumerate(classes))
    raise InputError(f"unknown label {value!r:.40}; expected {codes}, or names")


def csv_rows(
    path: Path, columns: Callable[[list[str]], Sequence[str]], *, strict: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row of a CSV file, plain or gzipped: its line as an editor counts it, and its cells by column.

    Args:
        path: the file; blank lines are skipped.
        columns: the names in line 1, in lower case -> those of the cells, or InputError.
        strict: whether every row has the cells of the header; else cells may be missing, or too many.

    Raises:
        InputError: names the file, the line, and what is expected.
    """
    empty = True
    with error_context(str(path)), _opened(path) as stream:
        table = csv_cells(stream, skipinitialspace=True)
        header = [name.strip().lower() for name in next(table, (1, []))[1]]
        names = columns(header)
        for line, cells in table:
            if strict and len(cells) != len(header):
                raise InputError(f"line {line}: {len(cells)} columns, but the header has {len(header)}")
            yield line, dict(zip(names, map(str.strip, cells), strict=False))
            empty = False
        if empty:
            raise InputError("no row below the header")


def csv_cells(stream: BufferedReader, **dialect: Any) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is not blank, and its number, from 1; the header first; closes the stream.

    Cells are separated by comma, semicolon or tab, whichever is most frequent in line 1; the text is UTF-8,
    or UTF-16 with its mark. No more than MAX_LINE characters are held.

    Raises:
        InputError: damaged, a line of more than MAX_LINE characters, or more than MAX_BLANK blank ones.
    """
    try:
        encoding = "utf-16" if stream.peek(2)[:2] in UTF16 else "utf-8-sig"
        with TextIOWrapper(stream, encoding, "replace", newline="") as text:
            lines = _lines(text)
            first = next(lines, "")
            table = csv.reader(chain([first], lines), delimiter=max(DELIMITERS, key=first.count), **dialect)
            for cells in table:
                if len(cells) > 1 or "".join(cells).strip():
                    yield table.line_num, cells
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise InputError(f"cannot be read ({first_line(error)})") from None


def _lines(text: TextIOWrapper) -> Iterator[str]:
    blank = 0
    for number in count(1):
        if not (line := text.readline(MAX_LINE)):
            return
        if len(line) == MAX_LINE and line[-1] not in "\r\n":
            raise InputError(f"line {number}: more than {MAX_LINE:,} characters")
        blank = blank + 1 if line.isspace() else 0
        if blank > MAX_BLANK:
            raise InputError(f"line {number}: more than {MAX_BLANK:,} blank lines")
        yield line


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for its writer
            raise InputError("cannot be read (not a file)")
        stream = cast(BufferedReader, gzip.open(path) if path.suffix == ".gz" else path.open("rb"))
    except OSError as error:
        raise InputError(f"cannot be read ({first_line(error)})") from None
    with stream:
        yield stream
