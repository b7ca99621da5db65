"""Fitting on several devices and hosts at once: Keras' own data parallelism on the JAX backend.

Every process is given its share of each batch; weights are the same everywhere. It is the one way of Keras'
that fits on several hosts.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np

from hierarchy.errors import InputError

log = logging.getLogger(__name__)

PATIENCE: Final = 60  # seconds that the hosts wait for each other
ASKED: Final = 3  # seconds that a host may take to say that it is there
LOST: Final = ("Gloo", "coordination", "heartbeat")  # words of JAX's error where another process is gone
_SPREAD: list[int] = []  # the number of devices, where there are to be several
_HOSTS: list[str] = []
_HERE: list[socket.socket] = []  # tells the others that this process is alive


def begin(devices: int, hosts: Sequence[str], rank: int) -> None:
    """Join the other hosts, and name the devices that fit. Called once, before any net is built.

    Args:
        devices: of each process; of processors so many are made.
        hosts: HOST:PORT of every process, the first of them leads; empty: this process alone.
        rank: which of the hosts this process is.

    Raises:
        InputError: fewer devices than asked for, or a host that does not answer.
    """
    import jax

    if devices > 1:
        jax.config.update("jax_num_cpu_devices", devices)
    if hosts:
        _meet(hosts, rank)
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(hosts[0], len(hosts), rank)
    if jax.local_device_count() < devices:
        raise InputError(f"--devices {devices}: this machine has {jax.local_device_count()}")
    _SPREAD[:], _HOSTS[:] = [devices * max(len(hosts), 1)], hosts


def _meet(hosts: Sequence[str], rank: int) -> None:
    """Be there for the others, and wait until those are there whom JAX would wait for.

    The first host's port is JAX's; at its own, every other one says that it is alive.
    """
    if rank:
        name, _, port = hosts[rank].rpartition(":")
        try:
            _HERE[:] = [socket.create_server((name, int(port)))]
        except OSError as error:
            raise InputError(f"--hosts {hosts[rank]}: cannot be listened on ({error.strerror})") from None
    until = time.monotonic() + PATIENCE
    missing = hosts[:1] if rank else hosts[1:]
    log.info(f"waiting for {', '.join(missing)}, {PATIENCE} s at most")
    while missing := [host for host in missing if not _answers(host)]:
        if time.monotonic() > until:
            raise InputError(f"--hosts: no answer from {', '.join(missing)} in {PATIENCE} s")
        time.sleep(0.2)


def _answers(host: str) -> bool:
    name, _, port = host.rpartition(":")
    try:
        socket.create_connection((name, int(port)), timeout=ASKED).close()
    except OSError:
        return False
    return True


@contextmanager
def everywhere() -> Iterator[None]:
    """Nets built inside are fitted on all devices; without `begin`, on one as ever.

    Where another process is gone, this one says which and ends at once with exit code 2; its last whole
    epoch is kept. (Left to itself, JAX would wait for the dead for a minute and more, and abort.)
    """
    if not _SPREAD:
        yield
        return
    import keras

    try:
        with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
            yield
    except Exception as error:
        if not _HOSTS or not any(word in str(error) for word in LOST):
            raise
        gone = [host for host in _HOSTS if not _answers(host)]
        print(
            f"error: lost {', '.join(gone) or 'another process'} of --hosts; go on with --resume on all",
            file=sys.stderr,
            flush=True,
        )
        os._exit(2)


def check(batch_size: int) -> None:
    """Refuse batches that the devices cannot share equally.

    Raises:
        InputError: a number of faces that is no multiple of the devices.
    """
    if _SPREAD and batch_size % _SPREAD[0]:
        raise InputError(f"fit.batch_size={batch_size}: allowed are multiples of the {_SPREAD[0]} devices")


def share(batch: np.ndarray) -> np.ndarray:
    """This process's rows of a batch."""
    if not _SPREAD:
        return batch
    import jax

    part: np.ndarray = np.split(batch, jax.process_count())[jax.process_index()]
    return part


def judged(pixels: np.ndarray, target: np.ndarray, batch_size: int) -> tuple[np.ndarray, ...]:
    """Validation faces and targets as `fit` takes them: this process's share of every batch.

    Batches are filled up with faces of no weight.
    """
    if not _SPREAD:
        return pixels, target
    missing = -len(pixels) % batch_size
    weight = np.concatenate([np.ones(len(pixels)), np.zeros(missing)]).astype(np.float32)
    rows = np.concatenate([np.arange(len(pixels)), np.zeros(missing, int)])
    batches = [share(batch) for batch in np.split(rows, len(rows) // batch_size)]
    mine = np.concatenate(batches)
    weights = np.concatenate([share(batch) for batch in np.split(weight, len(weight) // batch_size)])
    return pixels[mine], target[mine], weights


def batch_size(whole: int) -> int:
    """How many faces of a batch are this process's."""
    if not _SPREAD:
        return whole
    import jax

    return whole // jax.process_count()
