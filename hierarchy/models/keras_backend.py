"""Keras as what fits nets and opens them."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from hierarchy.backends import Backend
from hierarchy.errors import InputError
from hierarchy.routing import Logits
from hierarchy.training.backend import DOORS, TrainTask

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keras:
    """Keras 3 on the backend that KERAS_BACKEND names.

    Attributes:
        devices: that fit at once, of each host.
        hosts: HOST:PORT of every process that fits; empty: this one alone.
        rank: which of them this process is.
    """

    devices: int = 1
    hosts: tuple[str, ...] = ()
    rank: int = 0
    name = "Keras"
    command = DOORS[name]
    exported = True

    def start(self, *, deterministic: bool = False) -> None:
        """Import keras, quietly."""
        from hierarchy.models import keras_setup

        keras_setup.start()
        from hierarchy.models import trainer

        if not trainer.tensorboard_works():
            log.info(
                "TensorBoard needs the TensorFlow backend and is left out; history.csv holds the same figures"
            )
        if deterministic:
            keras_setup.make_deterministic()
        if self.devices > 1 or self.hosts:
            from hierarchy.models import distributed

            distributed.begin(self.devices, self.hosts, self.rank)

    def fit(self, task: TrainTask) -> None:
        """Fit one net with `fit`."""
        from hierarchy.models import trainer

        trainer.fit_node(task)

    def open(self, path: Path) -> Logits:
        """A .keras file, opened at the first call.

        Raises:
            InputError: another framework's file.
        """
        if path.suffix != ".keras":
            raise InputError(f"{path}: a net of the PyTorch mirror; `python -m pt_files` opens it")
        from hierarchy.models import keras_setup

        keras_setup.start()
        from hierarchy.models import serialization

        return serialization.Lazy(path)


KERAS_BACKEND: Backend = Keras()


def with_devices(framework: Backend, devices: int, hosts: str | None, rank: int) -> Backend:
    """The framework, fitting on several devices or hosts where there are to be any.

    Raises:
        InputError: a host without a port, a rank that is none of theirs, another backend, or the mirror.
    """
    if devices == 1 and not hosts:
        return framework
    if not isinstance(framework, Keras):
        raise InputError("--devices and --hosts are for python tf_model.py, not for the PyTorch mirror")
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise InputError("--devices and --hosts fit on the JAX backend alone: KERAS_BACKEND=jax python ...")
    each = tuple(hosts.split(",")) if hosts else ()
    for host in each:
        name, _, port = host.rpartition(":")
        if not name or not port.isdecimal() or not 0 < int(port) < 2**16 or each.count(host) > 1:
            raise InputError(f"--hosts {hosts}: allowed is HOST:PORT for every process, as in a:9911,b:9911")
    if each and rank >= len(each):
        raise InputError(f"--rank {rank}: allowed are 0 to {len(each) - 1}, one for each of --hosts")
    return Keras(devices, each, rank)
