"""The protocol that Keras and PyTorch fulfil: train a net, and open a stored one."""

import os
import pickle
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import numpy as np

from hierarchy.errors import COMMAND, STDERR, InputError
from hierarchy.routing import Logits

if TYPE_CHECKING:
    from hierarchy.training.backend import TrainTask

KERAS: Final = "Keras"
COMMANDS: Final = {KERAS: COMMAND, "PyTorch": "python -m pt_files"}  # by name of the backend
UNREADABLE: Final = (  # what Keras, HDF5 and torch raise for damaged files
    *(OSError, EOFError, KeyError, TypeError, AttributeError, ValueError, RuntimeError, MemoryError),
    *(RecursionError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error),
)
_started: dict[str, int] = {}  # framework -> the process that started it


def check_process(framework: str) -> None:
    """Refuse a fork of the process that started a framework: its threads are missing, and calls would hang.

    Raises:
        InputError: another process called this first.
    """
    if _started.setdefault(framework, os.getpid()) != os.getpid():
        raise InputError(
            f"{framework} does not work in a fork of the process that started it: "
            "use the start method spawn, or an exported engine (export --format onnx)"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Redirect file descriptor 2 to null, for one thread at a time: C++ libraries ignore every setting."""
    with STDERR:
        try:
            sys.stderr.flush()
            stderr = os.dup(2)
        except (AttributeError, OSError):  # it is closed
            yield
            return
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(null)


@runtime_checkable
class Backend(Protocol):
    """Trains and opens nets.

    Attributes:
        name: of the framework.
        command: its command line.
        exported: whether exported nets of a run are preferred over its own where no engine is named.
        rank: of this process among those that train together; the run of rank 0 is kept.
    """

    name: str
    command: str
    exported: bool

    @property
    def rank(self) -> int: ...  # noqa: D102

    def start(self, *, deterministic: bool = False) -> None:
        """Import the framework and set it up.

        Raises:
            InputError: it is not installed.
        """

    def fit(self, task: "TrainTask") -> None:
        """Train one net from its last checkpoint and store it in its run.

        Raises:
            KeyboardInterrupt: after the best weights so far have been stored.
        """

    def open(self, path: Path) -> Logits:
        """A stored net as a function uint8[N,48,48] -> logits float32[N, classes of the node]."""

    def sample(self, path: Path, classes: int, label: np.ndarray, seed: int) -> np.ndarray:
        """Draw faces uint8[N,48,48] of classes int[N] by a stored generator of a number of classes.

        A seed gives the same faces.

        Raises:
            InputError: the file is damaged, or the backend has no generators.
        """
