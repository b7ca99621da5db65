"""Batch prediction by Ray's tasks, on this machine or on a cluster."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hierarchy import runs
from hierarchy.apps.batch.job import Job, Part, completed, limit_to_one_core, predict_part
from hierarchy.apps.batch.records import Done
from hierarchy.data.image_sources import REMOTE, Entry
from hierarchy.errors import InputError, first_line, not_installed

TIMEOUT: Final = 10  # seconds for an address to respond


def predict_parts(
    job: Job, parts: Iterator[Part], workers: int | None, address: str | None
) -> Iterator[Done]:
    """Predict parts by Ray's tasks, which Ray repeats up to three times when their workers die."""
    job = replace(job, out=str(Path(job.out).resolve()))
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        ray = _ray(address, folder)
        number = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        task = ray.remote(num_cpus=1)(_predict_part)
        head = partial(check_address, address or ray.get_runtime_context().gcs_address)  # else Ray would exit
        try:
            submit = partial(task.remote, os.getcwd(), job)
            yield from completed(lambda *part: submit(*part).future(), parts, number, head)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            raise InputError(first_line(cause if isinstance(cause, InputError) else error)) from None
        finally:
            ray.shutdown()


def _predict_part(folder: str, job: Job, number: int, pictures: list[Entry]) -> Done:
    limit_to_one_core()
    with suppress(OSError):  # not there on this node: paths of the source are absolute, or cannot be read
        os.chdir(folder)
    return predict_part(job, number, pictures)


def check_address(address: str) -> None:
    """Refuse an address where nothing responds.

    Raises:
        InputError: there is no server, or not within TIMEOUT.
    """
    place = urlsplit(address if REMOTE in address else f"ray://{address}")
    try:
        socket.create_connection((place.hostname or "", place.port or 10001), TIMEOUT).close()
    except (OSError, ValueError) as error:
        raise InputError(f"--address {address}: not a Ray cluster ({first_line(error)})") from None


def _ray(address: str | None, folder: str) -> Any:
    """Ray, connected to a cluster, or started on this machine and reachable from it only.

    Args:
        address: of a cluster; None: this machine.
        folder: for Ray's temporary files.

    Raises:
        InputError: it is not installed, or does not respond.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
    except ModuleNotFoundError:
        raise not_installed("ray") from None
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "error",
        "runtime_env": {"env_vars": {"HIERARCHY_HOME": str(runs.home()), "OMP_NUM_THREADS": "1"}},
    }
    if address:
        try:
            ray.init(address, **quiet)
        except Exception as error:  # of Ray and gRPC
            raise InputError(f"--address {address}: not a Ray cluster ({first_line(error)})") from None
    else:
        ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=folder, **quiet)
    return ray
