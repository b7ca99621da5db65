"""Stream the images of large sources: a folder, a glob, a list of paths, or a Parquet file of images.

Addresses are those of fsspec, also chained ones: in `zip://*.jpg::simplecache::https://host/a.zip` the first
link with a path is listed, and the others are kept for reading.
"""

import functools
import hashlib
import importlib
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

from hierarchy.data import image_files, images
from hierarchy.data.inputs import MAX_BYTES
from hierarchy.errors import InputError, SkippedImage, error_context, first_line

log = logging.getLogger(__name__)

REMOTE: Final = "://"  # in an address that fsspec opens
LOCAL: Final = ("file", "local")  # schemes of this machine's files
PATH: Final = "path"  # column of a list
BYTES: Final = ("image", "bytes")  # image columns of a Parquet file; the first is Hugging Face's
PART_BYTES: Final = 2**27  # of images in the rows of a part: several parts are in memory at once
COMPRESSED: Final = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma"}  # first bytes -> library
UNPACKED: Final = 2**32  # bytes of a compressed tar archive: its list is spread over all of it
MAX_ROWS: Final = 10**7  # of a Parquet file of images
EXPECTED: Final = (
    f"expected a folder, a glob, a list (.csv or .parquet with a column {PATH}), or Parquet with a column "
    f"{' or '.join(BYTES)}; local or at any address that fsspec opens"
)


class Entry(NamedTuple):
    """An image: its path or address, or a name and the bytes where a Parquet file contains it."""

    path: str
    data: bytes | None = None


def entries(source: str, pixels: bool = True, left_out: Counter[str] | None = None) -> Iterator[Entry]:
    """All images of a source, always in the same order, readable or not.

    Args:
        source: as in EXPECTED.
        pixels: whether to read the bytes in a Parquet file, or only names.
        left_out: counts files of other kinds, by suffix.

    Raises:
        InputError: the source is empty or missing, or a list without its column.
    """
    name = _chain(source)[1]
    try:
        _check_files(source)
        if name.endswith(".csv"):
            yield from _listed(source)
        elif name.endswith(".parquet"):
            yield from _parquet(source, pixels)
        else:
            yield from (_remote if REMOTE in source else _local)(
                source, Counter() if left_out is None else left_out
            )
    except InputError:
        raise
    except ImportError as error:  # the package of a protocol is not installed
        raise InputError(f"{source}: {first_line(error)}") from None
    except Exception as error:  # every protocol has its own
        raise InputError(f"{source}: cannot be read ({first_line(error)}); {EXPECTED}") from None


def fingerprint(source: str) -> tuple[int, str]:
    """Number of images of a source, and sixteen hex digits of their names; logs what is left out."""
    number, digest, left_out = 0, hashlib.sha256(), Counter[str]()
    for entry in entries(source, pixels=False, left_out=left_out):
        digest.update(entry.path.encode(errors="surrogateescape") + b"\0")
        number += 1
    if left_out:
        log.info(f"{source}: {image_files.summary(left_out)}")
    return number, digest.hexdigest()[:16]


def parts(source: str, size: int) -> Iterator[list[Entry]]:
    """The images of a source in lists of at most `size`, and of PART_BYTES where they hold the images."""
    part: list[Entry] = []
    held = 0
    for entry in entries(source):
        length = len(entry.data or b"")
        if part and (len(part) == size or held + length > PART_BYTES):
            yield part
            part, held = [], 0
        part.append(entry)
        held += length
    if part:
        yield part


def read(address: str) -> bytes:
    """The content at an address.

    Raises:
        SkippedImage: it cannot be read, or is larger than MAX_BYTES.
    """
    try:
        with _opened(address) as file:
            data = file.read(MAX_BYTES + 1)
    except Exception as error:  # every protocol has its own
        raise SkippedImage(address, f"{address}: cannot be read ({first_line(error)})") from None
    if len(data) > MAX_BYTES:
        raise SkippedImage(address, f"{address}: more than {MAX_BYTES // 10**6} MB")
    return data


def _chain(address: str) -> tuple[str, str, str]:
    """The links of an address before that with a path, this one, and those after it."""
    links = address.split("::") if REMOTE in address else [address]
    place = next(number for number, link in enumerate(links) if REMOTE in link or len(links) == 1)
    before, after = links[:place], links[place + 1 :]
    return "".join(f"{link}::" for link in before), links[place], "".join(f"::{link}" for link in after)


def _opened(address: str) -> AbstractContextManager[BinaryIO]:
    import fsspec

    _check_files(address)
    before, link, after = _chain(address)
    if not after:
        return cast(AbstractContextManager[BinaryIO], fsspec.open(address, "rb", expand=False))
    scheme, _, path = link.partition(REMOTE)
    return cast(
        AbstractContextManager[BinaryIO], _archive(f"{before}{scheme}{REMOTE}{after}").open(path, "rb")
    )


def _check_files(address: str) -> None:
    """Refuse an address of a pipe or a device of this machine, which might never end.

    Raises:
        InputError: names it.
    """
    for link in address.split("::"):
        scheme, _, path = link.rpartition(REMOTE)
        local = scheme in ("", *LOCAL) and os.path.exists(path)
        if local and not os.path.isfile(path) and not os.path.isdir(path):
            raise InputError(f"{address}: not a file; {EXPECTED}")


def _check_unpacked(address: str) -> None:
    """Refuse a compressed tar archive that is too large to be listed, for which all of it is unpacked.

    Raises:
        InputError: it has more than UNPACKED bytes.
    """
    import fsspec

    with fsspec.open(address, "rb", expand=False) as packed:
        start = packed.read(max(map(len, COMPRESSED)))
        packed.seek(0)
        library = next((name for magic, name in COMPRESSED.items() if start.startswith(magic)), None)
        if library is None:
            return
        read = 0
        with importlib.import_module(library).open(packed) as file:
            while data := file.read(1 << 20):
                read += len(data)
                if read > UNPACKED:
                    raise InputError(f"{address}: more than {UNPACKED:,} bytes unpacked")


@functools.lru_cache(1)
def _archive(address: str) -> Any:
    """The file system of an archive, whose table of contents is read once."""
    import fsspec

    return fsspec.core.url_to_fs(address)[0]


def _local(source: str, left_out: Counter[str]) -> Iterator[Entry]:
    for file in image_files.find([source], left_out):
        if isinstance(file, InputError) and not isinstance(file, SkippedImage):
            raise InputError(f"{source}: no images; {EXPECTED}")
        yield Entry(file.path if isinstance(file, SkippedImage) else str(file))


def _remote(source: str, left_out: Counter[str]) -> Iterator[Entry]:
    import fsspec

    before, link, after = _chain(source)
    if link.startswith("tar://"):
        _check_unpacked(f"{before}{after.removeprefix('::')}")
    system, root = fsspec.core.url_to_fs(source)
    paths = sorted(system.glob(root) if any(sign in root for sign in "*?[") else system.find(root))
    suffixes = images.suffixes()
    files = [path for path in paths if path.lower().endswith(suffixes)]
    others = (path for path in paths if not path.lower().endswith(suffixes))
    left_out.update(os.path.splitext(path)[1].lower() or image_files.NO_SUFFIX for path in others)
    if not files:
        raise InputError(f"{source}: no images; {EXPECTED}")
    scheme = link.partition(REMOTE)[0]
    for path in files:
        yield Entry(f"{before}{path if REMOTE in path else f'{scheme}{REMOTE}{path}'}{after}")


def _table(source: str) -> AbstractContextManager[BinaryIO]:
    """A file that lists or holds images, open for reading."""
    if REMOTE in source:
        return _opened(source)
    if os.path.isdir(source):
        raise InputError(f"{source}: not a file; {EXPECTED}")
    return open(source, "rb")


def _listed(source: str) -> Iterator[Entry]:
    from hierarchy.data.formats.rows import csv_cells

    with _table(source) as file, error_context(source):
        cells = csv_cells(file if isinstance(file, BufferedReader) else BufferedReader(cast(RawIOBase, file)))
        header = next(cells, (1, []))[1]
        if PATH not in header:
            raise InputError(f"no column {PATH}; {EXPECTED}")
        place = header.index(PATH)
        for _, row in cells:
            yield Entry(_beside(source, row[place] if place < len(row) else ""))


def _parquet(source: str, pixels: bool) -> Iterator[Entry]:
    from hierarchy.data.formats import parquet

    with _table(source) as raw, parquet.opened(raw, source) as file:
        column = next((name for name in (*BYTES, PATH) if name in file.schema_arrow.names), None)
        if column is None:
            raise InputError(f"no column {', '.join((*BYTES, PATH))}; {EXPECTED}")
        if column == PATH:
            for (value,) in parquet.values(file, [PATH]):
                if not isinstance(value, str | None):
                    raise InputError(f"the column {PATH} must contain text; {EXPECTED}")
                yield Entry(_beside(source, value or ""))
            return
        if file.metadata.num_rows > MAX_ROWS:
            raise InputError(f"{file.metadata.num_rows:,} rows; expected at most {MAX_ROWS:,}")
        rows = parquet.values(file, [column]) if pixels else ((b"",) for _ in range(file.metadata.num_rows))
        for row, (value,) in enumerate(rows):  # an empty row is skipped like an empty file
            data = value if isinstance(value, bytes) else b""
            yield Entry(f"{source}#{row}", data if pixels else None)


def _beside(source: str, path: str) -> str:
    """A path in a list, relative to the list's folder."""
    if REMOTE in path or (REMOTE in source and os.path.isabs(path)):
        return path
    if REMOTE not in source:
        return str(Path(source).parent / path)
    before, link, after = _chain(source)
    return f"{before}{link.rpartition('/')[0]}/{path}{after}"
