"""Atomic file writes, typed reading, locks between processes, and checksums."""

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from hierarchy.errors import InputError, first_line

PACKAGE: Final = Path(__file__).resolve().parent
DOTS: Final = 100  # in a line of TOML
TEXT_BYTES: Final = 16 << 20  # of a manifest, recipe, tree or log: hundreds of times what is written here
DEPTH: Final = 50  # of nested values in JSON
ARCHIVE_BYTES: Final = 1 << 30  # of all members of a zip archive, unpacked
Record = TypeVar("Record")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, of the same suffix; renamed to `path` if the block succeeds.

    Raises:
        InputError: the folder cannot be written or is of this package, the disk is full, or `path` is a
            folder or a device.
    """
    try:
        target = Path(os.path.realpath(path))  # keep a link and write the file that it points to
    except OSError as error:  # the working folder was deleted
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    temporary = target.with_name(f".{target.stem[:40]}.{os.urandom(4).hex()}{target.suffix}")
    try:
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: cannot be written (not a file)")
        if target.is_relative_to(PACKAGE):
            raise InputError(f"{path}: cannot be written (part of the installed package)")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:  # also on Ctrl-C
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def exclusive_lock(file: Path, refusal: str) -> Iterator[None]:
    """Hold a lock on a file, whose content stays as it is; the system releases it if the process dies.

    Raises:
        InputError: with `refusal`, if another process holds the lock; or the file cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file).acquire(blocking=False)
    except Timeout:
        raise InputError(refusal) from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from None
    with lock:
        yield


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Wait until no other process holds this lock of a folder; no file is left. Not on Windows."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):  # such as of a file system without locks
            import fcntl

            place = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, place)
            fcntl.flock(place, fcntl.LOCK_EX)
        yield


def write_atomic(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file atomically, chunk by chunk if `data` is an iterable.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.writelines([data] if isinstance(data, bytes) else data)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, floats unrounded."""
    write_atomic(path, (json.dumps(value, indent=2) + "\n").encode())


def read_text(path: Path, most: int = TEXT_BYTES) -> str:
    """The text of a file of at most `most` bytes.

    Raises:
        InputError: the file is missing, no regular file, too large, or not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for its writer
            raise OSError(errno.EINVAL, "not a file")
        with path.open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise OSError(errno.EFBIG, f"larger than {most >> 10:,} KiB")
        return data.decode()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # not UTF-8; a NUL in the path
        raise InputError(f"{path}: cannot be read ({error})") from None


def read_json(path: Path) -> Any:
    """The value of a JSON file, nested at most DEPTH deep.

    Raises:
        InputError: the file is missing, not JSON, or nested deeper.
    """
    text = read_text(path)
    try:
        level = [value := json.loads(text)]
        for _ in range(DEPTH):
            level = [inner for outer in level for inner in _inside(outer)]
        if level:
            raise RecursionError
        return value
    except RecursionError:
        raise InputError(f"{path}: cannot be read as JSON (nested deeper than {DEPTH})") from None
    except ValueError as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None


def _inside(value: Any) -> Iterable[Any]:
    """The values of a list or dict; none of any other value."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def read_object(path: Path) -> dict[str, Any]:
    """The value of a JSON file that holds an object.

    Raises:
        InputError: as `read_json`; or it holds another kind of value.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected an object, got {type(value).__name__}")
    return value


def read_toml(path: Path, most: int) -> dict[str, Any]:
    """The values of a TOML file of at most `most` bytes.

    Raises:
        InputError: as `read_text`; it is not TOML, or a line has more than DOTS dots.
    """
    import tomllib

    text = read_text(path, most)
    try:
        # the parser takes time and memory by the square of a key's dots
        if any(line.count(".") > DOTS for line in text.split("\n")):
            raise ValueError(f"more than {DOTS} dots in a line")
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as TOML ({first_line(error)})") from None


def check_archive(path: Path) -> None:
    """Refuse a zip archive whose members unpack to more than ARCHIVE_BYTES; nothing is unpacked.

    Raises:
        InputError: it does.
        OSError, zipfile.BadZipFile: it cannot be read.
    """
    import zipfile

    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > ARCHIVE_BYTES:
            raise InputError(f"{path}: unpacks to more than {ARCHIVE_BYTES >> 20:,} MiB")


def typed(values: Any, kind: type[Record], source: str) -> Record:
    """Plain values, as of a JSON file, as a record of a dataclass or struct.

    Raises:
        InputError: a key is missing or of another type; names `source`.
    """
    try:
        return msgspec.convert(values, kind)
    except ValueError as error:  # ValidationError is one; a lone surrogate is another
        raise InputError(f"{source}: {error}") from None


def sha256(data: bytes) -> str:
    """SHA-256 checksum, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def check_file(path: Path, checksum: str, remedy: str = "") -> None:
    """Compare a file with the checksum in its manifest.

    Raises:
        InputError: it is missing or damaged; the message ends with `remedy`, if given.
    """
    end = f"; {remedy}" if remedy else ""
    if not path.is_file():
        raise InputError(f"{path}: no such file, but the run's manifest lists it{end}")
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}){end}") from None
    if actual != checksum:
        raise InputError(f"{path}: damaged, its checksum differs from the run's manifest{end}")
