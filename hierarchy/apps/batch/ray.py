"""The parts of a batch answered by Ray's actors, on this machine or on a cluster's."""

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
from hierarchy.apps import SCALE
from hierarchy.apps.batch.job import Done, Job, Part, Worker, one_core
from hierarchy.data.image_sources import REMOTE, Entry
from hierarchy.errors import InputError, first_line

if TYPE_CHECKING:
    import pyarrow

WAVE: Final = 50  # parts that are handed to Ray at once, so that the list of pictures is never held whole
PATIENCE: Final = 10  # seconds that an address may take to answer


class RayWorker:
    """The worker as Ray Data calls it.

    Args:
        job: what is asked.
    """

    def __init__(self, job: dict[str, str]) -> None:
        one_core()
        self.worker = Worker(Job(**job))

    def __call__(self, table: "pyarrow.Table") -> "pyarrow.Table":
        """Answer the parts of a table {number, pictures}: a table of what is done."""
        import pyarrow

        rows = table.to_pylist()
        done = [self.worker.part(row["number"], list(map(_received, row["pictures"]))) for row in rows]
        return pyarrow.Table.from_pylist(done)


def answered(job: Job, left: Iterator[Part], workers: int | None, address: str | None) -> Iterator[Done]:
    """By Ray Data's actors, which Ray replaces where they die."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        ray = _ray(address, folder)
        here = asdict(job) | {"out": str(Path(job.out).resolve())}
        number = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            while wave := list(islice(left, WAVE)):
                rows = [{"number": index, "pictures": list(map(_sent, part))} for index, part in wave]
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


def _sent(entry: Entry) -> dict[str, bytes | None]:
    """An entry as Arrow takes it; a file's name may hold bytes that are no text."""
    return {"path": os.fsencode(entry.path), "data": entry.data}


def _received(entry: dict[str, Any]) -> Entry:
    return Entry(os.fsdecode(entry["path"]), entry["data"])


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
        try:
            ray.init(address, **quiet)
        except Exception as error:  # Ray's own, and gRPC's
            raise InputError(f"--address {address}: not a Ray cluster ({first_line(error)})") from None
    else:
        ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=folder, **quiet)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def check_answers(address: str) -> None:
    """Refuse an address where nobody listens.

    Raises:
        InputError: no answer within PATIENCE.
    """
    place = urlsplit(address if REMOTE in address else f"ray://{address}")
    try:
        with socket.create_connection((place.hostname or "", place.port or 10001), timeout=PATIENCE):
            return
    except (OSError, ValueError) as error:
        raise InputError(f"--address {address}: no answer in {PATIENCE} s ({first_line(error)})") from None
