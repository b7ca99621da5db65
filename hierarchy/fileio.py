"""Files that appear whole or not at all, locks between processes, and checksums."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hierarchy.errors import InputError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, of the same suffix; it takes that name when the block ends well.

    Raises:
        InputError: the folder cannot be written, the disk is full, or `path` is a folder or a device.
    """
    place = Path(os.path.realpath(path))  # a link stays, what it leads to is written
    temporary = place.with_name(f".{place.stem}.{os.urandom(4).hex()}{place.suffix}")
    try:
        if place.exists() and not place.is_file():
            raise InputError(f"{path}: cannot be written (not a file)")
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        yield temporary
        os.replace(temporary, place)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:  # Ctrl-C leaves nothing behind either
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def exclusive_lock(file: Path, refusal: str) -> Iterator[None]:
    """Keep other processes from what a file stands for meanwhile, where the system has such locks.

    Raises:
        InputError: with `refusal`: another process is at it; or the file cannot be written.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = file.open("ab")
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from None
    with opened as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(refusal) from None
        yield


def write_atomic(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file so that it appears whole or not at all; parts are written as they come.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.writelines([data] if isinstance(data, bytes) else data)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole, floats unrounded."""
    write_atomic(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """A JSON file's value.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None


def sha256(data: bytes) -> str:
    """Checksum of a file's bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def check_file(path: Path, checksum: str, instead: str = "") -> None:
    """Refuse a file whose bytes are not that its manifest lists.

    Raises:
        InputError: it is missing or damaged; then what to do `instead`, where that is given.
    """
    end = f"; {instead}" if instead else ""
    if not path.is_file():
        raise InputError(f"{path}: no such file, though its run names it{end}")
    if sha256(path.read_bytes()) != checksum:
        raise InputError(f"{path}: damaged, its bytes do not have the checksum of its run{end}")
