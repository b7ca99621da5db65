"""A batch job: its identity, its parts, each predicted by one worker and written atomically, its progress."""

import functools
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchy import fileio, runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.image_sources import REMOTE, Entry
from hierarchy.errors import InputError, SkippedImage, first_line
from hierarchy.inference.predictor import FacePrediction, Picture, predict_stream
from hierarchy.taxonomy import Tree
from hierarchy.vision.detectors import Detector, create_detector

if TYPE_CHECKING:
    import pyarrow

JOB, PARTS = "_batch.json", "_parts.jsonl"  # Parquet readers ignore files whose names start with "_"
Part = tuple[int, list[Entry]]
Done = dict[str, int]  # a line of PARTS: part, pictures, faces, errors


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
    fileio.write_atomic(Path(job.out) / _name(number), _parquet(rows, model.tree_))
    faces, errors = (sum(row[key] is not None for row in rows) for key in ("label", "error"))
    return {"part": number, "pictures": len(pictures), "faces": faces, "errors": errors}


def completed(
    submit: Callable[[int, list[Entry]], Future[Done]], parts: Iterator[Part], most: int
) -> Iterator[Done]:
    """Finished parts in any order; at most `most` are submitted at once, so that few are in memory."""
    running: set[Future[Done]] = set()
    while True:
        running |= {submit(*part) for part in islice(parts, most - len(running))}
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


def limit_to_one_core() -> None:
    """Let the nets and detectors of this process use one core, since there is a worker for each."""
    import cv2

    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)


def begun(job: Job, about: dict[str, Any]) -> dict[int, Done]:
    """The finished parts of a job, whose identity is written when it begins.

    Raises:
        InputError: the folder holds something else.
    """
    out = Path(job.out)
    manifest = runs.run(job.run).manifest()
    identity = about | {"run": job.run, "faces": job.detector, "engine": job.engine}
    identity |= {"tree": manifest.tree.hash, "nets": manifest.checksums}
    if (out / JOB).exists():
        known = fileio.read_json(out / JOB)
        other = [key for key, value in identity.items() if known.get(key) != value]
        if other:
            raise InputError(f"{out}: holds another job (differs in {', '.join(other)}); choose a new folder")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: not empty, and not written by batch; choose a new folder")
    else:
        fileio.write_json(out / JOB, identity)
    return finished(out)


def add(out: Path, done: Done) -> None:
    """Record a finished part: a line at the end of PARTS.

    Raises:
        InputError: the disk is full.
    """
    try:
        with (out / PARTS).open("a") as file:
            file.write(f"{json.dumps(done)}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{out / PARTS}: cannot be written ({error.strerror})") from None


def finished(out: Path) -> dict[int, Done]:
    """The parts recorded in PARTS; an incomplete last line is removed."""
    path = out / PARTS
    whole, newline, incomplete = (path.read_text() if path.is_file() else "").rpartition("\n")
    if incomplete:
        fileio.write_atomic(path, (whole + newline).encode())
    parts = map(json.loads, whole.splitlines())
    return {done["part"]: done for done in parts if (out / _name(done["part"])).is_file()}


def _opened(entry: Entry) -> Path | Picture | InputError:
    """An entry as `predict_stream` takes it."""
    if entry.data is not None:
        return Picture(entry.path, entry.data)
    if REMOTE not in entry.path:
        return Path(entry.path)
    import fsspec

    try:
        with fsspec.open(entry.path, "rb") as file:
            return Picture(entry.path, file.read())
    except Exception as error:  # every protocol has its own exceptions
        return SkippedImage(entry.path, f"{entry.path}: cannot be read ({first_line(error)})")


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
