"""The protocol that Keras and PyTorch fulfil: what fits a net and opens it."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hierarchy.routing import Logits

if TYPE_CHECKING:
    pass


class Backend(Protocol):
    """Fits and opens nets.

    Attributes:
        name: of the framework.
        command: how the user calls it.
        exported: whether a run's exported nets answer in its stead where nothing else is said.
        rank: of several processes that fit together, which this is; the first one's run is kept.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def command(self) -> str: ...  # noqa: D102

    @property
    def exported(self) -> bool: ...  # noqa: D102

    @property
    def rank(self) -> int: ...  # noqa: D102

    def start(self, *, deterministic: bool = False) -> None:
        """Import what is needed, and tell the user what will be missing.

        Raises:
            InputError: it is not installed.
        """

    def fit(self, task: "TrainTask") -> None:
        """Fit one net and store it in its run, going on from the last whole epoch.

        Raises:
            KeyboardInterrupt: after the best weights so far have been stored.
        """

    def open(self, path: Path) -> Logits:
        """A stored net as a function uint8[N,48,48] -> logits float32[N, its classes]."""
