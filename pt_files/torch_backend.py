"""PyTorch as the framework that fits and opens the nets of a run."""

import importlib.util
from pathlib import Path

from hierarchy.backends import Backend
from hierarchy.errors import InputError
from hierarchy.routing import Logits
from hierarchy.training.backend import DOORS, TrainTask

INSTALL = "requirements-torch.txt"


class PyTorch:
    """PyTorch: fits on a GPU where there is one, answers on the CPU."""

    name = "PyTorch"
    command = DOORS[name]
    exported = False
    rank = 0

    def start(self, *, deterministic: bool = False) -> None:
        """Look for torch, and set it up.

        Raises:
            InputError: it is not installed.
        """
        _installed()
        if deterministic:
            import torch

            torch.use_deterministic_algorithms(True)

    def fit(self, task: TrainTask) -> None:
        """Fit one net in the mirror's own loop."""
        from pt_files import trainer

        trainer.fit_node(task)

    def open(self, path: Path) -> Logits:
        """A .safetensors file of the mirror's, or a .keras file, ported as it is read.

        Raises:
            InputError: PyTorch is not installed; the file is damaged, or of another net or tree.
        """
        _installed()
        from pt_files import serialization

        return serialization.Lazy(path)


def _installed() -> None:
    for name in ("torch", "safetensors"):
        if importlib.util.find_spec(name) is None:
            raise InputError(f"{name} is not installed: pip install -r {INSTALL}")


TORCH_BACKEND: Backend = PyTorch()
