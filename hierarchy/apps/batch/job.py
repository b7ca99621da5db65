"""A batch job: its identity, its parts, each predicted by one worker and written atomically, its progress."""

import functools
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from hierarchy import fileio, runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import image_sources
from hierarchy.data.image_sources import REMOTE, Entry
from hierarchy.errors import InputError, SkippedImage
from hierarchy.inference.predictor import FacePrediction, Picture, predict_stream
from hierarchy.taxonomy import Tree
from hierarchy.vision.detectors import Detector, create_detector

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger(__name__)

JOB, PARTS = "_batch.json", "_parts.jsonl"  # Parquet readers ignore files whose names start with "_"
Part = tuple[int, list[Entry]]
PATIENCE = 5.0
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


@dataclass(frozen=True)
class Job:
    """What to do with every image.

    Attributes:
        run: name of the run.
        detector: of faces, see `vision.detectors.create_detector`.
        engine: what runs the nets, see `hierarchy.runtimes`.
        out: folder of the parts, which all workers can write.
    """

    run: str
    detector: str
    engine: str
    out: str


@functools.cache  # once in a worker
def loaded(job: Job) -> tuple[HierarchicalClassifier, Detector]:
    """The nets and the detector of a job.

    Raises:
        InputError: there is no such run, engine or detector.
    """
    return HierarchicalClassifier.load(job.run, engine=job.engine), create_detector(job.detector)


def predict_part(job: Job, number: int, pictures: list[Entry]) -> Done:
    """Predict a part and write it.

    Raises:
        InputError: it cannot be written.
    """
    model, find = loaded(job)
    rows = list(map(_row, predict_stream(model, map(_opened, pictures), find=find)))
    data = _parquet(rows, model.tree_)
    fileio.write_atomic(Path(job.out) / _name(number), data)
    faces, errors = (sum(row[key] is not None for row in rows) for key in ("label", "error"))
    return Done(number, len(pictures), faces, errors, len(data), fileio.sha256(data))


def completed(
    submit: Callable[[int, list[Entry]], Future[Done]],
    parts: Iterator[Part],
    most: int,
    check: Callable[[], object] = lambda: None,
) -> Iterator[Done]:
    """Finished parts in any order; at most `most` are submitted at once, so that few are in memory.

    Args:
        submit: begins to predict a part.
        parts: to be predicted.
        most: number of parts.
        check: called whenever no part was finished for PATIENCE seconds; may raise.
    """
    running: set[Future[Done]] = set()
    while True:
        running |= {submit(*part) for part in islice(parts, most - len(running))}
        if not running:
            return
        done, running = wait(running, PATIENCE, FIRST_COMPLETED)
        if not done:
            check()
        yield from (future.result() for future in done)


def limit_to_one_core() -> None:
    """Let the nets and detectors of this process use one core, since there is a worker for each."""
    import cv2

    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)


def begin(job: Job, about: dict[str, Any]) -> None:
    """Write the identity of a job, or compare it with that in the folder.

    Raises:
        InputError: the folder holds something else.
    """
    out = Path(job.out)
    manifest = runs.run(job.run).manifest()
    identity = about | {"run": job.run, "faces": job.detector, "engine": job.engine}
    identity |= {"tree": manifest.tree.hash, "nets": manifest.checksums}
    if (out / JOB).exists():
        known = fileio.read_object(out / JOB)
        other = [key for key, value in identity.items() if known.get(key) != value]
        if other:
            raise InputError(f"{out}: holds another job (differs in {', '.join(other)}); choose a new folder")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: not empty, and not written by batch; choose a new folder")
    else:
        fileio.write_json(out / JOB, identity)


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
    file = out / _name(done.part)
    if not file.is_file() or file.stat().st_size != done.bytes:
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == done.sha256


def _opened(entry: Entry) -> Path | Picture | InputError:
    """An entry as `predict_stream` takes it."""
    if entry.data is not None:
        return Picture(entry.path, entry.data)
    if REMOTE not in entry.path:
        return Path(entry.path)
    try:
        return Picture(entry.path, image_sources.read(entry.path))
    except SkippedImage as error:
        return error


def _row(result: FacePrediction | InputError) -> dict[str, Any]:
    if isinstance(result, FacePrediction):
        fields = {name: getattr(result, name) for name in ("face", "score", "branch", "label")}
        return {"path": _text(result.path), **fields, **result.probabilities, "error": None}
    return {"path": _text(getattr(result, "path", "")), "label": None, "error": _text(str(result))}


def _text(path: str) -> str:
    """A path as Arrow takes it: bytes that are not valid UTF-8 are replaced."""
    return os.fsencode(path).decode(errors="replace")


def schema(tree: Tree) -> "pyarrow.Schema":
    """The columns of every part."""
    import pyarrow as pa

    text, real = pa.string(), pa.float64()
    columns = {"path": text, "face": pa.list_(pa.int32()), "score": real, "branch": text, "label": text}
    return pa.schema({**columns, **dict.fromkeys(tree.leaves, real), "error": text})


def _parquet(rows: list[dict[str, Any]], tree: Tree) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet

    out = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema(tree)), out)
    return out.getvalue().to_pybytes()


def _name(number: int) -> str:
    return f"part-{number:06d}.parquet"
