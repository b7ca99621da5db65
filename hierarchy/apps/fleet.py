"""Many pictures on all cores of one machine, or on many machines by Ray: answers as Parquet, part by part.

A part is answered by one worker and appears whole; its line in PARTS says that it is finished. Whatever is
killed, the next start goes on with the parts that have none.
"""

import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from hierarchy import runs
from hierarchy.answers import Answer, Picture, Refused, answers
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import entries
from hierarchy.data.entries import REMOTE, Entry
from hierarchy.errors import InputError, first_line
from hierarchy.reports.listing import Say
from hierarchy.taxonomy import LEAVES, tree_hash
from hierarchy.vision.detect import finder

if TYPE_CHECKING:
    import pyarrow

JOB, PARTS = "batch.json", "parts.jsonl"
SIZE: Final = 1000  # pictures of a part
WAVE: Final = 200  # parts that are handed to Ray at once, so that the list of pictures is never held whole
TRIES: Final = 3  # that a part may kill its worker
ENGINES: Final = ("local", "ray")
SCALE: Final = "requirements-scale.txt"
PATIENCE: Final = 10  # seconds that an address may take to answer
Part = tuple[int, list[Entry]]
Done = dict[str, int]  # what PARTS says of a part: part, pictures, faces, errors


@dataclass(frozen=True)
class Job:
    """What is asked of every picture.

    Attributes:
        run: name of the run whose nets answer.
        faces: what finds faces, see `vision.detect.finder`.
        engine: what runs the nets, see `hierarchy.engines`.
        out: folder of the parts, seen by every worker.
    """

    run: str
    faces: str
    engine: str
    out: str


class Worker:
    """Answers parts; the nets are opened once, and use one core.

    Args:
        job: what is asked.
    """

    def __init__(self, job: Job) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"  # there is a worker for each core
        import cv2

        cv2.setNumThreads(1)
        self.out = Path(job.out)
        self.model = HierarchicalClassifier.load(job.run, engine=job.engine)
        self.find = finder(job.faces)

    def part(self, number: int, pictures: list[Entry]) -> Done:
        """Answer a part and write it.

        Raises:
            InputError: it cannot be written.
        """
        rows = [_row(answer) for answer in answers(self.model, map(_opened, pictures), find=self.find)]
        runs.write_atomic(self.out / _name(number), _parquet(rows))
        faces, errors = (sum(row[key] is not None for row in rows) for key in ("label", "error"))
        return {"part": number, "pictures": len(pictures), "faces": faces, "errors": errors}


def batch(
    source: str,
    job: Job,
    say: Say,
    *,
    how: str = ENGINES[0],
    workers: int | None = None,
    address: str | None = None,
    size: int = SIZE,
) -> dict[str, int]:
    """Answer every picture of a source that has no answer yet.

    Args:
        source: see `data.entries`.
        job: what is asked, and where the answers go.
        say: takes progress.
        how: local, or ray.
        workers: processes; None: a core each.
        address: of a Ray cluster; None: this machine's own.
        size: pictures of a part.

    Returns:
        pictures, faces and errors of all parts together.

    Raises:
        InputError: nothing to answer, an output folder of another job, a missing package, a full disk.
    """
    if how not in ENGINES:
        raise InputError(f"--engine {how}: allowed are {', '.join(ENGINES)}")
    if address and how != "ray":
        raise InputError("--address is that of a Ray cluster: give --engine ray")
    finder(job.faces)
    HierarchicalClassifier.load(job.run, engine=job.engine)
    number, names = entries.fingerprint(source)
    finished = _begun(job, {"source": source, "pictures": number, "names": names, "size": size})
    left = ((index, part) for index, part in enumerate(entries.parts(source, size)) if index not in finished)
    run = _on_ray(job, left, workers, address) if how == "ray" else _local(job, left, workers, say)
    total = {key: sum(done[key] for done in finished.values()) for key in ("pictures", "faces", "errors")}
    with (Path(job.out) / PARTS).open("a", encoding="utf-8") as file:
        for done in run:
            file.write(json.dumps(done) + "\n")
            file.flush()
            os.fsync(file.fileno())
            total = {key: value + done[key] for key, value in total.items()}
            say(f"{total['pictures']:,} of {number:,} pictures, {total['errors']:,} errors")
    return total


def _begun(job: Job, about: dict[str, Any]) -> dict[int, Done]:
    """The finished parts of a job, whose identity is kept when it begins.

    Raises:
        InputError: the folder holds something else.
    """
    out = Path(job.out)
    asked = {key: value for key, value in asdict(job).items() if key != "out"}
    card = runs.run(job.run).card()
    identity = about | asked | {"tree": tree_hash(), "nets": runs.checksums(card)}
    if (out / JOB).exists():
        known = runs.read_json(out / JOB)
        other = [key for key, value in identity.items() if known.get(key) != value]
        if other:
            raise InputError(f"{out}: holds answers to another job ({', '.join(other)}); name a new folder")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: not an empty folder, and not begun by batch; name a new one")
    else:
        runs.write_json(out / JOB, identity)
    return _finished(out)


def _finished(out: Path) -> dict[int, Done]:
    """What PARTS says; a last line that was cut off counts for nothing."""
    found: dict[int, Done] = {}
    path = out / PARTS
    if not path.is_file():
        return found
    text = path.read_text(encoding="utf-8")
    whole, _, cut = text.rpartition("\n")
    if cut:
        runs.write_atomic(path, (whole + "\n").encode() if whole else b"")
    for line in whole.splitlines():
        done = json.loads(line)
        if (out / _name(done["part"])).is_file():
            found[done["part"]] = done
    return found


def _local(job: Job, left: Iterator[Part], workers: int | None, say: Say) -> Iterator[Done]:
    """On this machine; a worker that dies is replaced, and its part begun anew."""
    number = workers or os.cpu_count() or 1
    tries: dict[int, int] = {}
    again: list[Part] = []
    while True:
        doing: dict[Future[Done], Part] = {}
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(number, context, _start, (job,))
        try:
            while True:
                fresh = [again.pop() if again else next(left, None) for _ in range(2 * number - len(doing))]
                for item in fresh:
                    if item:
                        doing[pool.submit(_answer, *item)] = item
                if not doing:
                    return
                for future in wait(doing, return_when=FIRST_COMPLETED).done:
                    yield future.result()
                    del doing[future]
        except BrokenProcessPool:
            again = [*again, *doing.values()]
            for index, _ in doing.values():
                tries[index] = tries.get(index, 0) + 1
                if tries[index] >= TRIES:
                    raise InputError(f"part {index} killed its worker {TRIES} times") from None
            say("a worker died; its parts are begun anew")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_WORKER: list[Worker] = []  # of a process, opened once


def _start(job: Job) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _WORKER[:] = [Worker(job)]


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work without end."""
    parent = multiprocessing.parent_process()
    if parent:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _answer(number: int, pictures: list[Entry]) -> Done:
    return _WORKER[0].part(number, pictures)


class RayWorker:
    """The worker as Ray Data calls it.

    Args:
        job: what is asked.
    """

    def __init__(self, job: dict[str, str]) -> None:
        self.worker = Worker(Job(**job))

    def __call__(self, table: "pyarrow.Table") -> "pyarrow.Table":
        """Answer the parts of a table {number, pictures}: a table of what is done."""
        import pyarrow

        rows = table.to_pylist()
        done = [self.worker.part(row["number"], [Entry(**one) for one in row["pictures"]]) for row in rows]
        return pyarrow.Table.from_pylist(done)


def _on_ray(job: Job, left: Iterator[Part], workers: int | None, address: str | None) -> Iterator[Done]:
    """By Ray Data's actors, which Ray replaces where they die."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        ray = _ray(address, folder)
        here = asdict(job) | {"out": str(Path(job.out).resolve())}
        number = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            while wave := list(islice(left, WAVE)):
                rows = [
                    {"number": index, "pictures": [one._asdict() for one in part]} for index, part in wave
                ]
                done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                    RayWorker,
                    fn_constructor_args=(here,),
                    batch_size=1,
                    batch_format="pyarrow",
                    compute=ray.data.ActorPoolStrategy(size=min(number, len(rows))),
                    num_cpus=1,
                )
                yield from done.iter_rows()
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            raise InputError(first_line(cause if isinstance(cause, InputError) else error)) from None
        finally:
            ray.shutdown()


def _ray(address: str | None, folder: str) -> Any:
    """Ray, started on this machine, where nothing but this machine reaches it, or asked at an address.

    Args:
        address: of a cluster; None: this machine.
        folder: for Ray's own files.

    Raises:
        InputError: it is not installed, or does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ModuleNotFoundError:
        raise InputError(f"ray is not installed: pip install -r {SCALE}") from None
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "error",
        "runtime_env": {"env_vars": {"HIERARCHY_HOME": str(runs.home()), "OMP_NUM_THREADS": "1"}},
    }
    if address:
        _check_answers(address)
        ray.init(address, **quiet)
    else:
        ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=folder, **quiet)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def _check_answers(address: str) -> None:
    place = urlsplit(address if REMOTE in address else f"ray://{address}")
    try:
        with socket.create_connection((place.hostname or "", place.port or 10001), timeout=PATIENCE):
            return
    except (OSError, ValueError) as error:
        raise InputError(f"--address {address}: no answer in {PATIENCE} s ({first_line(error)})") from None


def _opened(entry: Entry) -> Path | Picture | InputError:
    """An entry as `answers` takes it."""
    if entry.data is not None:
        return Picture(entry.path, entry.data)
    if REMOTE not in entry.path:
        return Path(entry.path)
    import fsspec

    try:
        with fsspec.open(entry.path, "rb") as file:
            return Picture(entry.path, file.read())
    except Exception as error:  # every protocol has its own
        return Refused(entry.path, f"{entry.path}: cannot be read ({first_line(error)})")


def _row(answer: Answer | InputError) -> dict[str, Any]:
    if isinstance(answer, Answer):
        face = {"face": answer.face, "score": answer.score, "branch": answer.branch, "label": answer.label}
        return {"path": answer.path, **face, **answer.probabilities, "error": None}
    return {"path": getattr(answer, "path", None), "label": None, "error": str(answer)}


def schema() -> "pyarrow.Schema":
    """The columns of every part."""
    import pyarrow as pa

    text, real = pa.string(), pa.float64()
    columns = {"path": text, "face": pa.list_(pa.int32()), "score": real, "branch": text, "label": text}
    return pa.schema({**columns, **dict.fromkeys(LEAVES, real), "error": text})


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet

    out = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema()), out)
    return out.getvalue().to_pybytes()


def _name(number: int) -> str:
    return f"part-{number:06d}.parquet"
