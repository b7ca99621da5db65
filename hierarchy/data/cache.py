"""Parse a data set once: its faces as one file of plain arrays, read back in a fraction of a second.

The folder is `$FER2013_CACHE`, else `data/cache`. A file's name is a hash of the path, size and time of every
source file, so that a changed source is parsed anew. The cache only saves time: one that is damaged or cannot
be written is passed over.
"""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.data.dataset import FaceDataset
from hierarchy.errors import InputError

VERSION: Final = 2  # goes up when a reader gives other faces for the same source
DAMAGED: Final = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)


def folder() -> Path:
    """Where parsed faces are kept."""
    return Path(os.environ.get("FER2013_CACHE") or runs.home() / "data" / "cache")


def through(sources: Sequence[Path], parse: Callable[[], FaceDataset]) -> FaceDataset:
    """The faces of `sources`: from the cache when it has them, else from `parse()`, whose answer is kept."""
    file = folder() / f"{_key(sources)}.npz"
    try:
        return _load(file)
    except DAMAGED:
        faces = parse()
    try:
        fileio.write_atomic(file, _packed(faces))
    except InputError:
        pass  # a full disk or a read-only folder: slower next time, nothing worse
    return faces


def _key(sources: Sequence[Path]) -> str:
    here = os.getcwd()
    lines = [str(VERSION)]
    for path in map(os.fspath, sources):
        stat = os.stat(path)
        lines.append(f"{os.path.join(here, path)} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def _load(file: Path) -> FaceDataset:
    with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in ("pixels", "label", "split", "row")}
        votes = arrays["votes"] if "votes" in arrays else None
        paths = tuple(arrays["paths"].tolist()) if "paths" in arrays else None
        return FaceDataset(**columns, votes=votes, source=str(arrays["source"]), paths=paths)


def _packed(faces: FaceDataset) -> bytes:
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(_columns(faces)))
    return buffer.getvalue()


def _columns(faces: FaceDataset) -> Iterator[tuple[str, np.ndarray]]:
    for name in ("pixels", "label", "split", "row", "votes", "source", "paths"):
        column = getattr(faces, name)
        if column is not None:
            yield name, np.asarray(column)
