"""Batch prediction by Ray's actors, on this machine or on a cluster."""

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from hierarchy import runs
from hierarchy.apps.batch.job import Done, Job, Part, Worker, limit_to_one_core
from hierarchy.data.image_sources import REMOTE, Entry
from hierarchy.errors import InputError, first_line

if TYPE_CHECKING:
    import pyarrow

WAVE: Final = 50  # parts submitted to Ray at once, so that the list of images is never in memory
TIMEOUT: Final = 10  # seconds for an address to respond


class RayWorker:
    """The worker as Ray Data calls it.

    Args:
        job: the fields of a Job.
    """

    def __init__(self, job: dict[str, str]) -> None:
        limit_to_one_core()
        self.worker = Worker(Job(**job))

    def __call__(self, table: "pyarrow.Table") -> "pyarrow.Table":
        """Predict the parts of a table {number, pictures}: a table of finished parts."""
        import pyarrow

        parts = [(row["number"], list(map(_unpacked, row["pictures"]))) for row in table.to_pylist()]
        return pyarrow.Table.from_pylist([self.worker.part(*part) for part in parts])


def predict_parts(
    job: Job, parts: Iterator[Part], workers: int | None, address: str | None
) -> Iterator[Done]:
    """Predict parts by Ray Data's actors, which Ray replaces when they die."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        ray = _ray(address, folder)
        fields = asdict(job) | {"out": str(Path(job.out).resolve())}
        number = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            while wave := list(islice(parts, WAVE)):
                rows = [{"number": index, "pictures": list(map(_packed, part))} for index, part in wave]
                done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                    RayWorker,
                    fn_constructor_args=(fields,),
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


def _packed(entry: Entry) -> dict[str, bytes | None]:
    """An entry as Arrow takes it; paths may hold bytes that are not valid UTF-8."""
    return {"path": os.fsencode(entry.path), "data": entry.data}


def _unpacked(entry: dict[str, Any]) -> Entry:
    return Entry(os.fsdecode(entry["path"]), entry["data"])


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
        import ray.data
    except ModuleNotFoundError:
        raise InputError("ray is not installed: pip install -r requirements-scale.txt") from None
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
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def check_address(address: str) -> None:
    """Check that an address accepts connections.

    Raises:
        InputError: no response within TIMEOUT.
    """
    place = urlsplit(address if REMOTE in address else f"ray://{address}")
    try:
        with socket.create_connection((place.hostname or "", place.port or 10001), timeout=TIMEOUT):
            return
    except (OSError, ValueError) as error:
        raise InputError(f"--address {address}: no response in {TIMEOUT} s ({first_line(error)})") from None
