"""Keras on the backend that KERAS_BACKEND names, TensorFlow where it names none, and no noise on stderr."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hierarchy.errors import InputError

INSTALL = {
    "tensorflow": "requirements.txt",
    "jax": "requirements-backends.txt",
    "torch": "requirements-backends.txt",
}


@contextmanager
def quiet() -> Iterator[None]:
    """Send file descriptor 2 nowhere: what TensorFlow notes there comes from C++ and obeys no setting."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def start() -> None:
    """Import keras for the first time in the process.

    Raises:
        InputError: an unknown backend, or one that is not installed.
    """
    name = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if name not in INSTALL:
        raise InputError(f"KERAS_BACKEND={name}: allowed are {', '.join(INSTALL)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only, from C++ ...
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # ... and from Python
    try:
        with quiet():
            import keras  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed: pip install -r {INSTALL[name]}") from None


def seed(value: int) -> None:
    """Seed everything random; Keras imports TensorFlow for it, wherever that is installed."""
    with quiet():
        import keras

        keras.utils.set_random_seed(value)


def accelerated() -> bool:
    """Whether nets are fitted on something else than the processor."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return not keras.distribution.list_devices()[0].startswith("cpu")


def make_deterministic() -> None:
    """Let every operation give the same bits again, at some cost in speed."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    if keras.backend.backend() == "torch":
        import torch

        torch.use_deterministic_algorithms(True)
