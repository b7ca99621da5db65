"""Speed of the REST service by clients, and ten thousand requests of which one in twenty is malformed.

REST_REQUESTS is the number of requests of the long run; a tenth of it is sent for each number of clients. The
clients share the cores with the service. `python tests/benchmarks/bench_rest.py` prints the figures only.
"""

import http.client
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import psutil
import pytest

from hierarchy.data.synthetic.sketch import sketch_faces

ROOT = Path(__file__).parents[2]
REQUESTS = int(os.environ.get("REST_REQUESTS", "10000"))
CLIENTS = (1, 8, 64)
GROWTH = 1.05  # of memory after the first tenth of the long run
BOUNDARY = "b7d1"


class Sent(NamedTuple):
    """A request: its body, type, and the status that it must get."""

    body: bytes
    kind: str
    status: int


def photograph() -> Sent:
    return Sent((ROOT / "samples" / "portrait.jpg").read_bytes(), "image/jpeg", 200)


def crop() -> Sent:
    return Sent(cv2.imencode(".png", sketch_faces(1).pixels[0])[1].tobytes(), "image/png", 200)


def malformed() -> list[Sent]:
    form = f"multipart/form-data; boundary={BOUNDARY}"
    return [
        Sent(b"", "image/png", 422),
        Sent(b"a text", "image/png", 422),
        Sent(photograph().body[:3000], "image/jpeg", 422),
        Sent(b'{"images": [', "application/json", 400),
        Sent(b'{"images": [{"image": "%"}]}', "application/json", 422),
        Sent(b"no form", form, 400),
    ]


@contextmanager
def service() -> Iterator[tuple[psutil.Process, str]]:
    """A service of its own on a free port: its process and host:port."""
    command = [sys.executable, str(ROOT / "tf_model.py"), "serve", "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield psutil.Process(process.pid), process.stdout.readline().strip().removeprefix("http://")
        finally:
            process.terminate()


def ask(place: str, requests: Iterator[Sent], seconds: list[float], wrong: Counter) -> None:
    """One client with one connection, until there are no more requests."""
    connection = http.client.HTTPConnection(place, timeout=60)
    for sent in requests:
        started = time.perf_counter()
        try:
            connection.request("POST", "/predict", sent.body, {"Content-Type": sent.kind})
            answer = connection.getresponse()
            json.loads(answer.read())
            seconds.append(time.perf_counter() - started)
            wrong.update([answer.status] if answer.status != sent.status else [])
        except (OSError, ValueError, http.client.HTTPException) as error:
            wrong.update([type(error).__name__])
            connection.close()
    connection.close()


def load(place: str, clients: int, requests: list[Sent]) -> dict[str, Any]:
    """Requests by several clients at a time: figures, and what was answered otherwise than it must be."""
    seconds: list[float] = []
    wrong: Counter = Counter()
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for share in range(clients):
            pool.submit(ask, place, itertools.islice(requests, share, None, clients), seconds, wrong)
    total = time.perf_counter() - started
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    answered = {"requests": len(requests), "seconds": total, "wrong": dict(wrong)}
    return {"clients": clients, "p50_ms": p50, "p99_ms": p99, **answered}


def long_run(process: psutil.Process, place: str, requests: int = REQUESTS) -> dict[str, Any]:
    """Crops, one in twenty malformed: the first tenth fills pools and caches, then memory must be flat."""
    bad = itertools.cycle(malformed())
    good = crop()
    sent = [next(bad) if number % 20 == 19 else good for number in range(requests)]
    first = load(place, 8, sent[: requests // 10])
    before = process.memory_full_info().uss
    found = load(place, 8, sent[requests // 10 :])
    grown = process.memory_full_info().uss / before
    return {**found, "bytes": before, "growth": grown, "wrong": {**first["wrong"], **found["wrong"]}}


@pytest.fixture(scope="module")
def running():
    with service() as found:
        yield found


@pytest.mark.parametrize("kind", [photograph, crop])
@pytest.mark.parametrize("clients", CLIENTS)
def test_requests(all_cores, figures, running, clients, kind):
    found = load(running[1], clients, [kind()] * (REQUESTS // 10))
    assert not found["wrong"]
    figures.setdefault("rest", {})[f"{kind.__name__}, {clients} clients"] = found


def test_none_is_lost_and_memory_is_flat(all_cores, figures, running):
    found = long_run(*running)
    assert not found["wrong"] and found["growth"] < GROWTH
    figures.setdefault("rest", {})["crop, 8 clients, 5 % malformed"] = found


if __name__ == "__main__":
    with service() as (process, place):
        for kind, clients in itertools.product((photograph, crop), CLIENTS):
            load(place, clients, [kind()] * clients)
            print(kind.__name__, json.dumps(load(place, clients, [kind()] * (REQUESTS // 10))), flush=True)
        print("long run", json.dumps(long_run(process, place)))
