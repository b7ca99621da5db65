"""What a batch records in its folder: its identity, and finished parts, known by length and checksum."""

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec

from hierarchy import fileio
from hierarchy.errors import InputError

log = logging.getLogger(__name__)

JOB, PARTS = "_batch.json", "_parts.jsonl"  # Parquet readers ignore files whose names start with "_"
MAX_LINE = 10_000  # bytes of a line of PARTS
Count = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True)
class Done:
    """A finished part, a line of PARTS: its number, counts of its rows, length and checksum of its file."""

    part: Count
    pictures: Count
    faces: Count
    errors: Count
    bytes: Count
    sha256: str


def add(out: Path, done: Done) -> None:
    """Record a finished part: a line at the end of PARTS.

    Raises:
        InputError: the disk is full.
    """
    try:
        with (out / PARTS).open("a") as file:
            file.write(f"{json.dumps(asdict(done))}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{out / PARTS}: cannot be written ({error.strerror})") from None


def finished(out: Path) -> dict[int, Done]:
    """The parts recorded in PARTS whose files are as recorded; lines that are damaged are removed.

    Raises:
        InputError: PARTS cannot be read.
    """
    path = out / PARTS
    if not path.exists():
        return {}
    try:
        if not path.is_file():
            raise InputError(f"{path}: not a file")
        with path.open("rb") as file:
            lines = list(iter(partial(file.readline, MAX_LINE), b""))
        parts = {line: done for line in lines if (done := _recorded(line)) and _is_whole(out, done)}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if removed := len(lines) - len(parts):
        log.info(f"{path}: {removed} lines without their parts, which are predicted again")
        fileio.write_atomic(path, parts)
    return {done.part: done for done in parts.values()}


def _recorded(line: bytes) -> Done | None:
    try:
        return msgspec.json.decode(line, type=Done) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):  # for example cut, or not UTF-8
        return None


def _is_whole(out: Path, done: Done) -> bool:
    """Whether a part's file has the length and the checksum of its record."""
    file = out / name(done.part)
    if not file.is_file() or file.stat().st_size != done.bytes:
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == done.sha256


def name(number: int) -> str:
    """The file of a part."""
    return f"part-{number:06d}.parquet"
