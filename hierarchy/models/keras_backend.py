"""Keras as a `Backend`: trains and opens nets."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hierarchy.backends import COMMANDS, Backend
from hierarchy.errors import InputError
from hierarchy.routing import Logits

if TYPE_CHECKING:
    from hierarchy.training.backend import TrainTask

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keras:
    """Keras 3 on $KERAS_BACKEND.

    Attributes:
        devices: that train in parallel, per host.
        hosts: HOST:PORT of every process that trains; empty: this one only.
        rank: index of this process in `hosts`.
    """

    devices: int = 1
    hosts: tuple[str, ...] = ()
    rank: int = 0
    name = "Keras"
    command = COMMANDS[name]
    exported = True

    def start(self, *, deterministic: bool = False) -> None:
        """Import Keras and join the other hosts."""
        from hierarchy.models import keras_setup

        keras_setup.start()
        if os.environ["KERAS_BACKEND"] != "tensorflow":
            log.info(
                "no TensorBoard events: they need the tensorflow backend; history.csv has the same metrics"
            )
        if deterministic:
            keras_setup.make_deterministic()
        if self.devices > 1 or self.hosts:
            from hierarchy.models import distributed

            distributed.begin(self.devices, self.hosts, self.rank)

    def fit(self, task: "TrainTask") -> None:
        """Train one net with Keras' own `fit`."""
        from hierarchy.models import trainer

        trainer.fit_node(task)

    def open(self, path: Path) -> Logits:
        """A .keras file, opened at the first call.

        Raises:
            InputError: a file of another backend.
        """
        if path.suffix != ".keras":
            raise InputError(f"{path}: a PyTorch net; use {COMMANDS['PyTorch']}")
        from hierarchy.models import keras_setup

        keras_setup.start()
        from hierarchy.models import serialization

        return serialization.Lazy(path)

    def sample(self, path: Path, classes: int, label: np.ndarray, seed: int) -> np.ndarray:
        """Draw faces by a generator of `models.generator`.

        Raises:
            InputError: the file is damaged.
        """
        from hierarchy.models import keras_setup

        keras_setup.start()
        from hierarchy.models import generator

        return generator.sample(generator.load(path, classes), label, seed)


KERAS_BACKEND: Backend = Keras()


def with_devices(backend: Backend, devices: int, hosts: str | None, rank: int) -> Backend:
    """The backend, training on several devices or hosts where more than one is requested.

    Raises:
        InputError: a host without a port, a rank outside of `hosts`, or not Keras on JAX.
    """
    if devices == 1 and not hosts:
        return backend
    if not isinstance(backend, Keras):
        raise InputError("--devices and --hosts need Keras, not the PyTorch mirror")
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise InputError("--devices and --hosts need the JAX backend: KERAS_BACKEND=jax python ...")
    each = tuple(hosts.split(",")) if hosts else ()
    for host in each:
        name, _, port = host.rpartition(":")
        number = int(port) if port.isdecimal() and len(port) < 6 else 0
        if not name or not 0 < number < 2**16 or each.count(host) > 1:
            raise InputError(f"--hosts {hosts}: expected HOST:PORT of every process, e.g. a:9911,b:9911")
    if each and rank >= len(each):
        raise InputError(f"--rank {rank}: expected 0 to {len(each) - 1}, an index into --hosts")
    return Keras(devices, each, rank)
