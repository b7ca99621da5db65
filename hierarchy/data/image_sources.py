"""Pictures by the million, one at a time: of a folder, a glob, a list, or a Parquet file that holds them."""

import csv
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from hierarchy.data import images
from hierarchy.data.images import SkippedImage
from hierarchy.errors import InputError, first_line

REMOTE: Final = "://"  # in an address that fsspec opens
PATH: Final = "path"  # a list's column
BYTES: Final = ("image", "bytes")  # a Parquet file's columns of pictures; the first as Hugging Face has it
CHUNK: Final = 1024  # rows of a Parquet file that are held at once
ALLOWED: Final = (
    f"allowed are a folder, a glob, a list (.csv or .parquet with a column {PATH}), and Parquet with a "
    f"column {' or '.join(BYTES)}; on this machine or at any address that fsspec opens"
)


class Entry(NamedTuple):
    """A picture to be answered: its path or address, or its name and bytes where a Parquet file holds it."""

    path: str
    data: bytes | None = None


def entries(source: str, pixels: bool = True) -> Iterator[Entry]:
    """Every picture of a source, always in the same order, whether or not it can be read.

    Args:
        source: as in ALLOWED.
        pixels: whether bytes that a Parquet file holds are read, or names alone.

    Raises:
        InputError: nothing is there, or a list without its column.
    """
    try:
        if source.endswith(".csv"):
            yield from _listed(source)
        elif source.endswith(".parquet"):
            yield from _parquet(source, pixels)
        elif REMOTE in source:
            yield from _remote(source)
        else:
            for file in images.find([source]):
                if isinstance(file, SkippedImage):
                    yield Entry(file.path)
                elif isinstance(file, InputError):
                    raise InputError(f"{source}: nothing there; {ALLOWED}")
                else:
                    yield Entry(str(file))
    except InputError:
        raise
    except ImportError as error:  # a protocol whose package is not there
        raise InputError(f"{source}: {first_line(error)}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{source}: cannot be read ({first_line(error)}); {ALLOWED}") from None


def fingerprint(source: str) -> tuple[int, str]:
    """How many pictures a source has, and sixteen hex digits of their names."""
    number, digest = 0, hashlib.sha256()
    for entry in entries(source, pixels=False):
        digest.update(entry.path.encode(errors="surrogateescape") + b"\0")
        number += 1
    return number, digest.hexdigest()[:16]


def parts(source: str, size: int) -> Iterator[list[Entry]]:
    """The pictures of a source, so many at once."""
    every = entries(source)
    while part := list(islice(every, size)):
        yield part


def _listed(source: str) -> Iterator[Entry]:
    import fsspec

    with fsspec.open(source, "r", newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if PATH not in (rows.fieldnames or ()):
            raise InputError(f"{source}: no column {PATH}; {ALLOWED}")
        for row in rows:
            yield Entry(_beside(source, row[PATH] or ""))


def _parquet(source: str, pixels: bool) -> Iterator[Entry]:
    import fsspec
    import pyarrow.parquet

    with fsspec.open(source, "rb") as raw, pyarrow.parquet.ParquetFile(raw) as file:
        held = next((name for name in BYTES if name in file.schema_arrow.names), None)
        if held is None and PATH not in file.schema_arrow.names:
            raise InputError(f"{source}: no column {', '.join((*BYTES, PATH))}; {ALLOWED}")
        if held and not pixels:
            yield from (Entry(f"{source}#{row}") for row in range(file.metadata.num_rows))
            return
        if held is None and not _text(file.schema_arrow.field(PATH).type):
            raise InputError(f"{source}: the column {PATH} holds no text; {ALLOWED}")
        row = 0
        for batch in file.iter_batches(CHUNK, columns=[held or PATH]):
            for value in batch.column(0).to_pylist():
                yield Entry(f"{source}#{row}", _data(value)) if held else Entry(_beside(source, value or ""))
                row += 1


def _text(kind: Any) -> bool:
    import pyarrow

    return pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)


def _data(value: Any) -> bytes:
    """A picture's bytes; none where the row is empty, which is refused as an empty file is."""
    data = value.get("bytes") if isinstance(value, dict) else value
    return data if isinstance(data, bytes) else b""


def _beside(source: str, path: str) -> str:
    """A list's path, which is meant from the list's own folder."""
    if REMOTE in path or REMOTE in source:
        return path
    return str(Path(source).parent / path)


def _remote(source: str) -> Iterator[Entry]:
    import fsspec

    place, root = fsspec.core.url_to_fs(source)
    found = place.glob(root) if any(sign in root for sign in "*?[") else place.find(root)
    files = [path for path in sorted(found) if path.lower().endswith(images.SUFFIXES)]
    if not files:
        raise InputError(f"{source}: nothing there; {ALLOWED}")
    yield from (Entry(place.unstrip_protocol(path)) for path in files)
