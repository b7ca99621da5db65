"""Two processes on the loopback train as one: the same weights and loss; a dead one is named."""

import csv
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tf_model
from hierarchy.errors import InputError
from hierarchy.models import distributed
from hierarchy.models.keras_backend import KERAS_BACKEND, Keras, with_devices
from hierarchy.taxonomy import FLAT
from pt_files.torch_backend import TORCH_BACKEND

PATIENCE = 300
TRAIN = (
    "train --data sketch --recipe sketch --node flat --set fit.samples_per_class=100 --set fit.batch_size=32"
)

needs_jax = pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")


def started(home: Path, *more: object) -> subprocess.Popen:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "HIERARCHY_HOME": str(home), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, tf_model.__file__, *TRAIN.split(), *map(str, more)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def hosts() -> str:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0)), two.bind(("127.0.0.1", 0))
        return ",".join(f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two))


def finished(*processes: subprocess.Popen) -> None:
    for process in processes:
        _, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, stderr


def losses(results: Path) -> np.ndarray:
    with (results / "history.csv").open(newline="") as file:
        return np.array(
            [[float(row[key]) for key in ("loss", "val_accuracy")] for row in csv.DictReader(file)]
        )


def after_a_loss(home: Path, killed: int, *more: object) -> None:
    """Two hosts, one killed during an epoch: the other one names it in one line, and not in JAX's."""
    where = hosts()
    pair = [started(home, *more, "--hosts", where, "--rank", rank) for rank in (0, 1)]
    limit = threading.Timer(PATIENCE, pair[killed].kill)  # ends the reading below where nothing else does
    limit.start()
    any("epoch 1/" in line for line in pair[killed].stderr)
    pair[killed].send_signal(signal.SIGKILL)
    _, stderr = pair[1 - killed].communicate()
    limit.cancel()
    pair[killed].communicate()
    assert pair[1 - killed].returncode == 2, stderr
    last = stderr.splitlines()[-1]
    assert where.split(",")[killed] in last
    assert "--resume" in last
    assert not [line for line in stderr.splitlines() if "coordination" in line or line.startswith(" ")]


@pytest.mark.long
@needs_jax
def test_two_hosts_and_two_devices_fit_as_one_process_does(tmp_path):
    """Also where the leading host is killed, and both go on."""
    import keras

    short = ("--set", "fit.epochs=2")
    after_a_loss(tmp_path, 0, *short, "--run", "hosts")
    where = ("--run", "hosts", "--resume", "--hosts", hosts())
    finished(*(started(tmp_path, *short, *where, "--rank", rank) for rank in (0, 1)))
    finished(started(tmp_path, *short, "--run", "devices", "--devices", 2))
    finished(started(tmp_path, *short, "--run", "alone"))
    results = tmp_path / "results"
    other = tmp_path / "logs" / "hosts" / "rank-1" / "results"
    nets = [keras.models.load_model(place / f"{FLAT}.keras") for place in (results / "hosts", other)]
    for ours, theirs in zip(*(net.get_weights() for net in nets), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with_devices = losses(results / "hosts")
    np.testing.assert_array_equal(with_devices, losses(other))
    np.testing.assert_allclose(with_devices[:, 0], losses(results / "devices")[:, 0], atol=1e-3)
    np.testing.assert_allclose(with_devices[:, 0], losses(results / "alone")[:, 0], atol=2e-2)
    np.testing.assert_allclose(with_devices[0, 1], losses(results / "alone")[0, 1], atol=2e-2)


@pytest.mark.long
@needs_jax
def test_a_host_that_dies_is_named_and_not_waited_for(tmp_path):
    after_a_loss(tmp_path, 1, "--set", "fit.epochs=200", "--run", "long")


@pytest.mark.parametrize(
    ("devices", "where", "rank", "named"),
    [
        (1, "a,b", 0, "--hosts a,b"),
        (1, "a:1,b:x", 0, "--hosts a:1,b:x"),
        (1, "a:1,b:99999", 0, "--hosts a:1,b:99999"),
        (1, f"a:1,b:{'9' * 5000}", 0, "--hosts a:1,b:9"),
        (1, "a:1,a:1", 0, "--hosts a:1,a:1"),
        (1, "a:1,b:2", 2, "--rank 2"),
    ],
)
def test_invalid_hosts_are_refused(monkeypatch, devices, where, rank, named):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(InputError, match=named):
        with_devices(KERAS_BACKEND, devices, where, rank)


def test_alone_nothing_changes_and_the_mirror_has_one_device(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert with_devices(KERAS_BACKEND, 1, None, 0) is KERAS_BACKEND
    assert with_devices(KERAS_BACKEND, 2, "a:1,b:2", 1) == Keras(2, ("a:1", "b:2"), 1)
    with pytest.raises(InputError, match="--devices"):
        with_devices(TORCH_BACKEND, 2, None, 0)
    batch = np.arange(10)
    assert distributed.share(batch) is batch
    about = distributed.validation(batch, batch, 7)
    assert about == {"validation_data": (batch, batch), "validation_batch_size": 7}
    distributed.check(7)


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(InputError, match="KERAS_BACKEND=jax"):
        with_devices(KERAS_BACKEND, 2, None, 0)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_host_that_never_comes_is_named(monkeypatch, rank):
    monkeypatch.setattr(distributed, "PATIENCE", 0)
    where = hosts().split(",")
    with pytest.raises(InputError, match=where[1 - rank]):
        distributed._meet(where, rank)
    for server in distributed._LISTENING:
        server.close()
    distributed._LISTENING.clear()


def test_a_host_whose_name_can_be_none_is_named(monkeypatch):
    monkeypatch.setattr(distributed, "PATIENCE", 0)
    for rank in (0, 1):
        with pytest.raises(InputError, match=r"--hosts.* \.\.:1"):
            distributed._meet(["..:1", "..:1"], rank)


def test_a_batch_that_cannot_be_shared_equally_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "_DEVICES", [3])
    with pytest.raises(InputError, match="fit.batch_size=64"):
        distributed.check(64)
