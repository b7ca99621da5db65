"""PyTorch as the backend that trains and opens the nets of a run."""

from pathlib import Path

import numpy as np

from hierarchy.backends import COMMANDS, KERAS, Backend
from hierarchy.errors import InputError, require
from hierarchy.routing import Logits
from hierarchy.training.backend import TrainTask

MODULES = ("torch", "safetensors")


class PyTorch:
    """PyTorch: trains on a GPU where there is one, predicts on the CPU."""

    name = "PyTorch"
    command = COMMANDS[name]
    exported = False
    rank = 0

    def start(self, *, deterministic: bool = False) -> None:
        """Check that torch is installed, and set it up.

        Raises:
            InputError: it is not installed.
        """
        require(*MODULES)
        if deterministic:
            import torch

            torch.use_deterministic_algorithms(True)

    def fit(self, task: TrainTask) -> None:
        """Train one net."""
        from pt_files import trainer

        trainer.fit_node(task)

    def open(self, path: Path) -> Logits:
        """A .safetensors file, or a .keras file, whose weights are ported.

        Raises:
            InputError: PyTorch is not installed; the file is damaged, or not a net of this package.
        """
        require(*MODULES)
        from pt_files import serialization

        return serialization.Lazy(path)

    def sample(self, path: Path, classes: int, label: np.ndarray, seed: int) -> np.ndarray:
        """Refused: generators are Keras nets.

        Raises:
            InputError: names the command that has them.
        """
        raise InputError(f"{path}: generators need Keras: use {COMMANDS[KERAS]}")


TORCH_BACKEND: Backend = PyTorch()
