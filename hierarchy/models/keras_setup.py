"""Start Keras on $KERAS_BACKEND, or on a backend that is installed, without messages on stderr."""

import importlib.util
import logging
import os

from hierarchy.backends import check_process, quiet
from hierarchy.data.cache import keep_home_clean
from hierarchy.errors import InputError, not_installed

BACKENDS = ("tensorflow", "torch", "jax")  # of several that are installed, the first; it trains fastest
log = logging.getLogger(__name__)


def start() -> None:
    """Import keras.

    Raises:
        InputError: an unknown backend, or one that is not installed; a fork of a process with keras.
    """
    check_process("Keras")
    if "KERAS_BACKEND" not in os.environ:
        installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
        os.environ["KERAS_BACKEND"] = (installed or BACKENDS)[0]
        if installed and installed[0] != BACKENDS[0]:
            log.info(f"Keras runs on {installed[0]}: {BACKENDS[0]} is not installed")
    name = os.environ["KERAS_BACKEND"]
    if name not in BACKENDS:
        raise InputError(f"KERAS_BACKEND={name}: expected one of {', '.join(BACKENDS)}")
    keep_home_clean()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only, from C++ ...
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # ... and from Python
    try:
        with quiet():
            import keras  # noqa: F401
    except ModuleNotFoundError as error:
        raise not_installed(error.name or name) from None


def accelerated() -> bool:
    """Whether nets are trained on a GPU or TPU."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return not keras.distribution.list_devices()[0].startswith("cpu")


def make_deterministic() -> None:
    """Make every operation bit-reproducible, at some cost in speed."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    if keras.backend.backend() == "torch":
        import torch

        torch.use_deterministic_algorithms(True)
