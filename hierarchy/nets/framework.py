"""Keras as what fits nets and opens them."""

from collections.abc import Callable
from pathlib import Path

from hierarchy.errors import InputError
from hierarchy.fitting.framework import DOORS, Framework, Task
from hierarchy.routing import Logits


class Keras:
    """Keras 3 on the backend that KERAS_BACKEND names."""

    name = "Keras"
    command = DOORS[name]
    exported = True

    def start(self, say: Callable[[str], None], *, deterministic: bool = False) -> None:
        """Import keras, quietly."""
        from hierarchy.nets import backend

        backend.start()
        from hierarchy.nets import train

        if not train.tensorboard_works():
            say(
                "TensorBoard needs the TensorFlow backend and is left out; history.csv holds the same figures"
            )
        if deterministic:
            backend.make_deterministic()

    def fit(self, task: Task) -> None:
        """Fit one net with `fit`."""
        from hierarchy.nets import train

        train.fit_node(task)

    def open(self, path: Path) -> Logits:
        """A .keras file, opened at the first call.

        Raises:
            InputError: another framework's file.
        """
        if path.suffix != ".keras":
            raise InputError(f"{path}: a net of the PyTorch mirror; `python -m pt_files` opens it")
        from hierarchy.nets import backend

        backend.start()
        from hierarchy.nets import store

        return store.Lazy(path)


KERAS: Framework = Keras()
