"""Stream the images of large sources: a folder, a glob, a list of paths, or a Parquet file of images."""

import hashlib
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from hierarchy.data import image_files, images
from hierarchy.errors import InputError, SkippedImage, first_line

REMOTE: Final = "://"  # in an address that fsspec opens
PATH: Final = "path"  # column of a list
BYTES: Final = ("image", "bytes")  # image columns of a Parquet file; the first is Hugging Face's
CHUNK: Final = 1024  # rows of a Parquet file in memory
EXPECTED: Final = (
    f"expected a folder, a glob, a list (.csv or .parquet with a column {PATH}), or Parquet with a column "
    f"{' or '.join(BYTES)}; local or at any address that fsspec opens"
)


class Entry(NamedTuple):
    """An image: its path or address, or a name and the bytes where a Parquet file contains it."""

    path: str
    data: bytes | None = None


def entries(source: str, pixels: bool = True) -> Iterator[Entry]:
    """All images of a source, always in the same order, readable or not.

    Args:
        source: as in EXPECTED.
        pixels: whether to read the bytes in a Parquet file, or only names.

    Raises:
        InputError: the source is empty or missing, or a list without its column.
    """
    try:
        if source.endswith(".csv"):
            yield from _listed(source)
        elif source.endswith(".parquet"):
            yield from _parquet(source, pixels)
        elif REMOTE in source:
            yield from _remote(source)
        else:
            for file in image_files.find([source]):
                if isinstance(file, InputError) and not isinstance(file, SkippedImage):
                    raise InputError(f"{source}: no images; {EXPECTED}")
                yield Entry(file.path if isinstance(file, SkippedImage) else str(file))
    except InputError:
        raise
    except ImportError as error:  # the package of a protocol is not installed
        raise InputError(f"{source}: {first_line(error)}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be read ({first_line(error)}); {EXPECTED}") from None


def fingerprint(source: str) -> tuple[int, str]:
    """Number of images of a source, and sixteen hex digits of their names."""
    number, digest = 0, hashlib.sha256()
    for entry in entries(source, pixels=False):
        digest.update(entry.path.encode(errors="surrogateescape") + b"\0")
        number += 1
    return number, digest.hexdigest()[:16]


def parts(source: str, size: int) -> Iterator[list[Entry]]:
    """The images of a source in lists of `size`; the last may be shorter."""
    remaining = entries(source)
    while part := list(islice(remaining, size)):
        yield part


def _listed(source: str) -> Iterator[Entry]:
    import pandas as pd

    with pd.read_csv(source, usecols=[PATH], dtype=str, na_filter=False, chunksize=CHUNK) as parts:
        for part in parts:
            yield from (Entry(_beside(source, path)) for path in part[PATH])


def _parquet(source: str, pixels: bool) -> Iterator[Entry]:
    import fsspec
    import pyarrow.parquet

    with fsspec.open(source, "rb") as raw, pyarrow.parquet.ParquetFile(raw) as file:
        column = next((name for name in (*BYTES, PATH) if name in file.schema_arrow.names), None)
        if column is None:
            raise InputError(f"{source}: no column {', '.join((*BYTES, PATH))}; {EXPECTED}")
        if column != PATH and not pixels:
            yield from (Entry(f"{source}#{row}") for row in range(file.metadata.num_rows))
            return
        batches = (batch.column(0).to_pylist() for batch in file.iter_batches(CHUNK, columns=[column]))
        for row, value in enumerate(chain.from_iterable(batches)):
            if column != PATH:
                yield Entry(f"{source}#{row}", _data(value))
            elif isinstance(value, str | None):
                yield Entry(_beside(source, value or ""))
            else:
                raise InputError(f"{source}: the column {PATH} must contain text; {EXPECTED}")


def _data(value: Any) -> bytes:
    """An image's bytes; none for an empty row, which is then skipped like an empty file."""
    data = value.get("bytes") if isinstance(value, dict) else value
    return data if isinstance(data, bytes) else b""


def _beside(source: str, path: str) -> str:
    """A path in a list, relative to the list's folder."""
    return path if REMOTE in path or REMOTE in source else str(Path(source).parent / path)


def _remote(source: str) -> Iterator[Entry]:
    import fsspec

    system, root = fsspec.core.url_to_fs(source)
    paths = system.glob(root) if any(sign in root for sign in "*?[") else system.find(root)
    files = [path for path in sorted(paths) if path.lower().endswith(images.SUFFIXES)]
    if not files:
        raise InputError(f"{source}: no images; {EXPECTED}")
    yield from (Entry(system.unstrip_protocol(path)) for path in files)
