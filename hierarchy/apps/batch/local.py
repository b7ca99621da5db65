"""Batch prediction on all cores of this machine, or by Ray: Parquet files, one per part.

A part is predicted by one worker and written atomically, then recorded in PARTS. After an interruption, the
next start continues with the parts that are not recorded.
"""

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from hierarchy import fileio, runtimes
from hierarchy.apps.batch import job as jobs
from hierarchy.apps.batch import ray, records
from hierarchy.apps.batch.job import Job, Part
from hierarchy.apps.batch.records import Done
from hierarchy.data import image_sources
from hierarchy.data.image_sources import Entry
from hierarchy.errors import InputError

log = logging.getLogger(__name__)

SIZE: Final = 1000  # images per part
TRIES: Final = 3  # a part fails after this many workers died on it
COUNTS: Final = ("pictures", "faces", "errors")
EXECUTORS: Final = ("local", "ray")


def batch(
    source: str,
    job: Job,
    *,
    executor: str = EXECUTORS[0],
    workers: int | None = None,
    address: str | None = None,
    size: int = SIZE,
) -> dict[str, int]:
    """Predict every image of a source that is not predicted yet.

    Args:
        source: see `data.image_sources`.
        job: what to do, and the output folder.
        executor: one of EXECUTORS.
        workers: number of processes; None: one per core.
        address: of a Ray cluster; None: this machine.
        size: images per part.

    Returns:
        pictures, faces and errors of all parts together.

    Raises:
        InputError: an empty source, an output folder of another job, a missing package, a full disk.
    """
    if executor not in EXECUTORS:
        raise InputError(f"--executor {executor}: expected one of {', '.join(EXECUTORS)}")
    if address and executor != "ray":
        raise InputError("--address needs --executor ray")
    jobs.loaded(job)
    if address:
        ray.check_address(address)
    number, names = image_sources.fingerprint(source)
    jobs.begin(job, {"source": source, "pictures": number, "names": names, "part": size})
    with fileio.exclusive_lock(Path(job.out) / records.JOB, f"{job.out}: in use by another batch"):
        finished = records.finished(Path(job.out))
        left = (part for part in enumerate(image_sources.parts(source, size)) if part[0] not in finished)
        if executor == "ray":
            results = ray.predict_parts(job, left, workers, address)
        else:
            results = _predict_parts(job, left, workers)
        total = Counter[str]()
        for done in finished.values():
            total.update(_counts(done))
        for done in results:
            records.add(Path(job.out), done)
            total.update(_counts(done))
            log.info(f"{total['pictures']:,} of {number:,} images, {total['errors']:,} errors")
    return {key: total[key] for key in COUNTS}


def _counts(done: Done) -> dict[str, int]:
    return {key: getattr(done, key) for key in COUNTS}


def _predict_parts(job: Job, parts: Iterator[Part], workers: int | None) -> Iterator[Done]:
    """Predict parts on this machine; if a worker dies, all are replaced and their parts repeated."""
    number = workers or runtimes.cores()
    deaths = Counter[int]()
    unfinished: dict[int, list[Entry]] = {}

    def taken() -> Iterator[Part]:
        for index, pictures in chain(list(unfinished.items()), parts):
            unfinished[index] = pictures
            yield index, pictures

    while True:
        pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), _start)
        try:
            for done in jobs.completed(partial(_submit, pool, job), taken(), 2 * number):
                del unfinished[done.part]
                yield done
            return
        except BrokenProcessPool:
            deaths.update(unfinished.keys())
            if fatal := [index for index, times in deaths.items() if times >= TRIES]:
                raise InputError(f"part {fatal[0]}: its worker died {TRIES} times") from None
            log.info("a worker died; its parts are repeated")
        except BaseException:  # such as Ctrl-C: do not wait for unfinished parts
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)  # without waiting, its thread may fail at the end of Python


def _submit(pool: ProcessPoolExecutor, job: Job, number: int, pictures: list[Entry]) -> Future[Done]:
    """Begin to predict a part, in a process that may begin here: Ctrl-C is not for it, nor for its start."""
    if os.name == "nt":
        return pool.submit(jobs.predict_part, job, number, pictures)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        return pool.submit(jobs.predict_part, job, number, pictures)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    jobs.limit_to_one_core()


def _end_with_parent() -> None:
    """Exit when the parent is killed, instead of waiting for work forever."""
    parent = multiprocessing.parent_process()
    if parent:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
