"""A batch job: what to do, its parts, each predicted by one worker and written atomically."""

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchy import fileio, runs
from hierarchy.apps.batch import records
from hierarchy.apps.batch.records import Done
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import image_sources
from hierarchy.data.image_sources import REMOTE, Entry
from hierarchy.errors import InputError, SkippedImage
from hierarchy.inference.predictor import FacePrediction, Picture, predict_stream
from hierarchy.taxonomy import Tree
from hierarchy.vision.detectors import STILL, Detector, Searching, create_detector

if TYPE_CHECKING:
    import pyarrow

Part = tuple[int, list[Entry]]
PATIENCE = 5.0  # seconds


@dataclass(frozen=True)
class Job:
    """What to do with every image.

    Attributes:
        run: name of the run.
        detector: of faces, see `vision.detectors.create_detector`.
        engine: what runs the nets, see `hierarchy.runtimes`.
        out: folder of the parts, which all workers can write.
        searching: how the detector searches.
    """

    run: str
    detector: str
    engine: str
    out: str
    searching: Searching = STILL


@functools.cache  # once in a worker
def loaded(job: Job) -> tuple[HierarchicalClassifier, Detector]:
    """The nets and the detector of a job.

    Raises:
        InputError: there is no such run, engine or detector.
    """
    find = create_detector(job.detector, job.searching)
    return HierarchicalClassifier.load(job.run, engine=job.engine), find


def predict_part(job: Job, number: int, pictures: list[Entry]) -> Done:
    """Predict a part and write it.

    Raises:
        InputError: it cannot be written.
    """
    model, find = loaded(job)
    rows = list(map(_row, predict_stream(model, map(_opened, pictures), find=find)))
    data = _parquet(rows, model.tree_)
    fileio.write_atomic(Path(job.out) / records.name(number), data)
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
    identity |= {"tree": manifest.tree.hash, "nets": manifest.checksums, **job.searching._asdict()}
    if (out / records.JOB).exists():
        known = fileio.read_object(out / records.JOB)
        other = [key for key, value in identity.items() if known.get(key) != value]
        if other:
            raise InputError(f"{out}: holds another job (differs in {', '.join(other)}); choose a new folder")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: not empty, and not written by batch; choose a new folder")
    else:
        fileio.write_json(out / records.JOB, identity)


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
