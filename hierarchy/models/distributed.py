"""Data-parallel training on several devices and hosts, by keras.distribution on the JAX backend.

Every process gets its share of each batch; weights are replicated.
"""

import ctypes
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from hierarchy.errors import InputError, first_line
from hierarchy.fileio import write_atomic
from hierarchy.manifest import FileName

log = logging.getLogger(__name__)

PATIENCE: Final = 60  # seconds that hosts wait for each other at the start
CONNECT: Final = 3  # seconds to connect to a host
LOST: Final = ("Gloo", "coordination", "heartbeat")  # words in JAX's errors after another process has died
STDERR: Final = 2  # its file descriptor
_ENDING: Final = threading.Lock()  # of the thread that ends this process
_HANDLERS: Final = list[Any]()  # of C, which does not count references
_DEVICES: list[int] = []  # their total number; empty without `begin`
_HOSTS: list[str] = []
_LISTENING: list[socket.socket] = []  # keeps this process reachable for the others


def begin(devices: int, hosts: Sequence[str], rank: int) -> None:
    """Join the other hosts and set up the devices. Called once, before any net is built.

    Args:
        devices: per process; on a CPU, virtual ones.
        hosts: HOST:PORT of every process, the coordinator first; empty: this process only.
        rank: index of this process in `hosts`.

    Raises:
        InputError: too few devices, or a host that does not respond.
    """
    import jax

    if devices > 1:
        jax.config.update("jax_num_cpu_devices", devices)
    with _lost_hosts_named():
        if hosts:
            _meet(hosts, rank)
            _HOSTS[:] = hosts
            _name_lost_hosts_at_abort()
            jax.config.update("jax_cpu_collectives_implementation", "gloo")
            # the default would listen on every interface
            jax.distributed.initialize(hosts[0], len(hosts), rank, coordinator_bind_address=hosts[0])
        if jax.local_device_count() < devices:
            raise InputError(f"--devices {devices}: this machine has {jax.local_device_count()}")
    _DEVICES[:] = [devices * max(len(hosts), 1)]


def _meet(hosts: Sequence[str], rank: int) -> None:
    """Listen on this host's port and wait for the others, since JAX would wait without a message.

    The first host's port is JAX's; the others listen on theirs.
    """
    if rank:
        name, _, port = hosts[rank].rpartition(":")
        try:
            _LISTENING[:] = [socket.create_server((name, int(port)))]
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or first_line(error)
            raise InputError(f"--hosts {hosts[rank]}: cannot listen ({reason})") from None
    until = time.monotonic() + PATIENCE
    missing = hosts[:1] if rank else hosts[1:]
    log.info(f"waiting up to {PATIENCE} s for {', '.join(missing)}")
    while missing := [host for host in missing if not _answers(host)]:
        if time.monotonic() > until:
            raise InputError(f"--hosts: no answer from {', '.join(missing)} in {PATIENCE} s")
        time.sleep(0.2)


def _answers(host: str) -> bool:
    name, _, port = host.rpartition(":")
    try:
        socket.create_connection((name, int(port)), timeout=CONNECT).close()
    except (OSError, ValueError):  # the latter of a name that can be none
        return False
    return True


@contextmanager
def data_parallel() -> Iterator[None]:
    """Nets built inside are trained on all devices; without `begin`, on one.

    When another process has died, this one names it and exits with code 2 at once; JAX itself would wait for
    a minute and abort. The last completed epoch is kept.
    """
    if not _DEVICES:
        yield
        return
    import keras

    with _lost_hosts_named(), keras.distribution.DataParallel(auto_shard_dataset=False).scope():
        yield


@contextmanager
def _lost_hosts_named() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _exit_if_lost(str(error))
        raise


def _exit_if_lost(message: str) -> None:
    """Name the hosts that went away, and exit; return where the message speaks of something else."""
    if not _HOSTS or not any(word in message for word in LOST):
        return
    _ENDING.acquire()  # never released: one thread prints
    gone = [host for host in _HOSTS if not _answers(host)]
    line = f"error: lost {', '.join(gone) or 'another process'} of --hosts; restart all with --resume"
    print(line, file=sys.stderr, flush=True)
    os._exit(2)


def _name_lost_hosts_at_abort() -> None:
    """Name a leading host that went away, upon which a thread of JAX prints on stderr and aborts.

    What is not Python's goes to a file from here on, which is shown if the reason is another.
    """
    try:
        stderr, native = os.dup(STDERR), tempfile.TemporaryFile()
    except OSError:  # it is closed
        return

    def aborted(number: int) -> None:
        native.seek(0)
        message = native.read()
        _exit_if_lost(message.decode(errors="replace"))
        os.write(stderr, message)

    os.dup2(native.fileno(), STDERR)
    sys.stderr = os.fdopen(stderr, "w", buffering=1, errors="backslashreplace")
    for handler in logging.getLogger("hierarchy").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)
    _HANDLERS[:] = [ctypes.CFUNCTYPE(None, ctypes.c_int)(aborted)]
    ctypes.CDLL(None).signal(signal.SIGABRT, *_HANDLERS)  # Python's handlers run in the main thread, too late


def share_checkpoints(folder: Path) -> None:
    """Give the leading host's checkpoints of a node to the others.

    They are an epoch apart where a host died while the epoch's end was written.
    """
    if not _HOSTS:
        return
    import jax
    from jax.experimental.multihost_utils import broadcast_one_to_all

    files = {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*")) if path.is_file()}
    data = msgspec.msgpack.encode(files)
    sent = np.zeros(int(broadcast_one_to_all(np.int32(len(data)))), np.uint8)
    if not jax.process_index():
        sent[:] = np.frombuffer(data, np.uint8)
    received = np.asarray(broadcast_one_to_all(sent)).tobytes()
    if jax.process_index():
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in msgspec.msgpack.decode(received, type=dict[FileName, bytes]).items():
            write_atomic(folder / name, content)  # the last one is state.json


def check(batch_size: int) -> None:
    """Refuse batches that cannot be split equally.

    Raises:
        InputError: the batch size is not a multiple of the number of devices.
    """
    if _DEVICES and batch_size % _DEVICES[0]:
        raise InputError(f"fit.batch_size={batch_size}: expected a multiple of the {_DEVICES[0]} devices")


def share(batch: np.ndarray) -> np.ndarray:
    """This process's rows of a batch."""
    if not _DEVICES:
        return batch
    import jax

    part: np.ndarray = np.split(batch, jax.process_count())[jax.process_index()]
    return part


def validation(pixels: np.ndarray, target: np.ndarray, batch_size: int) -> dict[str, Any]:
    """Validation faces and targets as arguments of `fit`: this process's share of every batch.

    The last batch is padded with faces of weight 0.
    """
    if not _DEVICES:
        return {"validation_data": (pixels, target), "validation_batch_size": batch_size}
    own = share(np.arange(batch_size))
    rows = (np.arange(0, len(pixels), batch_size)[:, None] + own).ravel()
    weight = (rows < len(pixels)).astype(np.float32)
    rows[weight == 0] = 0
    data = (pixels[rows], target[rows], weight)
    return {"validation_data": data, "validation_batch_size": len(own)}
