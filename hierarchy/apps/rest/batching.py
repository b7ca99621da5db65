"""Micro-batching: faces of requests that wait at the same time go through the nets in one call.

The nets are never kept waiting for more faces: a call takes whatever has arrived while the one before ran. A
single client therefore waits for nobody, and many share calls.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np

from hierarchy.inference.predictor import BATCH, Predictor
from hierarchy.routing import Predictions
from hierarchy.taxonomy import Tree


class _Job(NamedTuple):
    pixels: np.ndarray
    result: Future[Predictions]


class MicroBatcher:
    """A `Predictor` that threads may share: one thread runs the nets for all of them.

    Args:
        model: whose `predictions` are asked for.
        on_call: receives the number of faces of every call of the nets.
    """

    def __init__(self, model: Predictor, on_call: Callable[[int], object] = lambda faces: None) -> None:
        self.model, self.on_call = model, on_call
        self.routing = model.routing
        self.waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="nets", daemon=True)
        self.thread.start()

    @property
    def tree_(self) -> Tree:
        """The model's tree."""
        return self.model.tree_

    def predictions(self, X: Any) -> Predictions:
        """Probabilities of faces uint8[N,48,48]; waits for the nets."""
        job = _Job(np.asarray(X), Future())
        self.waiting.put(job)
        return job.result.result()

    def lazy(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """The model's, not batched."""
        return self.model.lazy(X)

    def logits(self, node: str, X: Any) -> np.ndarray:
        """The model's, not batched."""
        return self.model.logits(node, X)

    def close(self) -> None:
        """Answer what waits, then end the thread."""
        self.waiting.put(None)
        self.thread.join()

    def _run(self) -> None:
        while (job := self.waiting.get()) is not None:
            jobs = [job]
            closing = self._gather(jobs)
            self._answer(jobs)
            if closing:
                return

    def _gather(self, jobs: list[_Job]) -> bool:
        """Add the jobs that wait, up to BATCH faces; whether the end was among them."""
        while sum(len(job.pixels) for job in jobs) < BATCH:
            try:
                job = self.waiting.get_nowait()
            except queue.Empty:
                return False
            if job is None:
                return True
            jobs.append(job)
        return False

    def _answer(self, jobs: list[_Job]) -> None:
        try:
            predicted = self.model.predictions(np.concatenate([job.pixels for job in jobs]))
        except BaseException as error:  # raised in the threads that wait
            for job in jobs:
                job.result.set_exception(error)
            return
        self.on_call(len(predicted))
        start = 0
        for job in jobs:
            rows = np.arange(start, start + len(job.pixels))
            job.result.set_result(predicted.take(rows))
            start += len(rows)
