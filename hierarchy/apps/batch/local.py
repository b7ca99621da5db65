"""Many pictures on all cores of one machine, or on many machines by Ray: answers as Parquet, part by part.

A part is answered by one worker and appears whole; its line in PARTS says that it is finished. Whatever is
killed, the next start goes on with the parts that have none.
"""

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Final

from hierarchy import fileio, runtimes
from hierarchy.apps.batch import ray
from hierarchy.apps.batch.job import JOB, Done, Job, Part, Worker, add, begun, one_core
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import image_sources
from hierarchy.data.image_sources import Entry
from hierarchy.errors import InputError
from hierarchy.vision.detectors import create_detector

log = logging.getLogger(__name__)

SIZE: Final = 1000  # pictures of a part
TRIES: Final = 3  # that a part may kill its worker
ENGINES: Final = ("local", "ray")


def batch(
    source: str,
    job: Job,
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
        raise InputError(f"--executor {how}: allowed are {', '.join(ENGINES)}")
    if address and how != "ray":
        raise InputError("--address is that of a Ray cluster: give --executor ray")
    create_detector(job.faces)
    HierarchicalClassifier.load(job.run, engine=job.engine)
    if address:
        ray.check_answers(address)
    number, names = image_sources.fingerprint(source)
    finished = begun(job, {"source": source, "pictures": number, "names": names, "part": size})
    left = (
        (index, part) for index, part in enumerate(image_sources.parts(source, size)) if index not in finished
    )
    if how == "ray":
        run = ray.answered(job, left, workers, address)
    else:
        run = _local(job, left, workers)
    total = {key: sum(done[key] for done in finished.values()) for key in ("pictures", "faces", "errors")}
    with fileio.exclusive_lock(Path(job.out) / JOB, f"{job.out}: another batch is answering into it"):
        for done in run:
            add(Path(job.out), done)
            total = {key: value + done[key] for key, value in total.items()}
            log.info(f"{total['pictures']:,} of {number:,} pictures, {total['errors']:,} errors")
    return total


def _local(job: Job, left: Iterator[Part], workers: int | None) -> Iterator[Done]:
    """On this machine; a worker that dies is replaced, and its part begun anew."""
    number = workers or runtimes.cores()
    tries: dict[int, int] = {}
    coming: list[Part] = []
    while True:
        doing: dict[Future[Done], Part] = {}
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(number, context, _start, (job,))
        try:
            while True:
                coming += islice(left, max(0, 2 * number - len(doing) - len(coming)))
                while coming and len(doing) < 2 * number:
                    future = pool.submit(_answer, *coming[0])  # where that fails, the part is still there
                    doing[future] = coming.pop(0)
                if not doing:
                    return
                for future in wait(doing, return_when=FIRST_COMPLETED).done:
                    yield future.result()
                    del doing[future]
        except BrokenProcessPool:
            coming = [*doing.values(), *coming]
            for index, _ in doing.values():
                tries[index] = tries.get(index, 0) + 1
                if tries[index] >= TRIES:
                    raise InputError(f"part {index} killed its worker {TRIES} times") from None
            log.info("a worker died; its parts are begun anew")
        except BaseException:  # such as Ctrl-C: what a worker has not finished is not waited for
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_WORKER: list[Worker] = []  # of a process, opened once


def _start(job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is its parent's
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_core()
    _WORKER[:] = [Worker(job)]


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work without end."""
    parent = multiprocessing.parent_process()
    if parent:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _answer(number: int, pictures: list[Entry]) -> Done:
    return _WORKER[0].part(number, pictures)
