"""Parse a data set once: its faces as one file of plain arrays, read back in a fraction of a second.

The folder is `$FER2013_CACHE`, else `data/cache`. A file's name is a hash of the path, size and time of all
source files, so that a changed source is parsed again. A cache file that is damaged or cannot be written is
ignored.
"""

import atexit
import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.data.dataset import FaceDataset
from hierarchy.errors import DISTRIBUTION, InputError

VERSION: Final = 3  # increases when a reader gives other faces for the same source

CACHES: Final = {"KERAS_HOME": "keras", "MPLCONFIGDIR": "matplotlib", "TORCHINDUCTOR_CACHE_DIR": "torch"}


def folder() -> Path:
    """The folder of parsed faces."""
    return Path(os.environ.get("FER2013_CACHE") or runs.home() / "data" / "cache")


def keep_home_clean() -> None:
    """Let libraries, before they are imported, write into `folder` instead of the user's home or /tmp.

    Into a temporary folder, which ends with the process, where the cache cannot be written. Variables that
    are set are kept.
    """
    for variable, name in CACHES.items():
        if variable not in os.environ and importlib.util.find_spec(name):
            os.environ[variable] = _writable(folder() / name)


def _writable(place: Path) -> str:
    try:
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
        return str(place)
    except OSError:
        temporary = tempfile.mkdtemp(prefix=f"{DISTRIBUTION}-")
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        return temporary


def through(sources: Sequence[Path], parse: Callable[[], FaceDataset]) -> FaceDataset:
    """The faces of `sources`: from the cache if it has them, else from `parse()`, whose result is stored."""
    return kept(_key(sources), parse)


def kept(key: str, make: Callable[[], FaceDataset]) -> FaceDataset:
    """The faces of a key: from the cache if it has them, else from `make()`, whose result is stored."""
    file = folder() / f"{key}.npz"
    try:
        return _load(file)
    except Exception:  # missing, or damaged, which NumPy meets with nearly any exception
        faces = make()
    with suppress(InputError):  # a full disk or a read-only folder only costs time
        fileio.write_atomic(file, _packed(faces))
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
        columns: dict[str, Any] = dict(arrays)
    text = {"source": str(columns["source"]), "names": tuple(columns["names"].tolist())}
    return FaceDataset(**columns | text)


def _packed(faces: FaceDataset) -> bytes:
    buffer = BytesIO()
    columns = {name: column for name, column in vars(faces).items() if column is not None}
    np.savez(buffer, allow_pickle=False, **columns)
    return buffer.getvalue()
