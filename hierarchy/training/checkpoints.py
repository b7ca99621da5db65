"""What the training of a node leaves in logs/<run>/<node>/ while it runs, whatever the framework.

The raw weights of the last whole epoch, the best epoch's weights, and state.json, which names both and is
written last: a run killed at any moment goes on from the epoch that state.json tells of.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hierarchy import runs
from hierarchy.config.schema import TrainConfig
from hierarchy.errors import InputError, first_line
from hierarchy.fileio import read_json, write_atomic, write_json
from hierarchy.runs import Run
from hierarchy.taxonomy import FLAT, NODES

STATE: Final = "state.json"
EpochCallback = Callable[[Mapping[str, Any]], None]


@dataclass
class CheckpointManager:
    """The whole epochs of one node.

    Attributes:
        run: whose.
        node: which.
        fit: how many epochs there may be.
        suffix: of files of weights.
        watch: is told of every whole epoch's row, and may end the fitting by an exception.
        rows: a row of history for each whole epoch.
    """

    run: Run
    node: str
    fit: TrainConfig
    suffix: str
    on_epoch_end: EpochCallback | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._best = self._folder / f"best{self.suffix}"
        if self._state.is_file():
            state = read_json(self._state)
            self.rows = state["rows"]
            self._best = self._folder / state.get("best", self._best.name)

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return len(self.rows)

    @property
    def weights(self) -> Path | None:
        """Raw weights after the whole epochs; None before there is one."""
        return self._raw(self.epoch - 1) if self.rows else None

    @property
    def best_weights(self) -> Path | None:
        """Weights of the best whole epoch; None before there is one."""
        return self._best if self.rows else None

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best epoch; the earlier one of equals."""
        return max(self.rows, key=lambda row: row["val_accuracy"])

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do: all epochs are whole, or patience or time has run out."""
        if not self.rows:
            return False
        waited = self.fit.patience and self.epoch - self.best["epoch"] >= self.fit.patience
        late = self.fit.max_minutes and self.minutes >= self.fit.max_minutes
        return bool(self.epoch >= self.fit.epochs or waited or late)

    @property
    def minutes(self) -> float:
        """Spent on whole epochs."""
        return float(sum(row["seconds"] for row in self.rows)) / 60

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """For reading the weights of the last whole epoch.

        Raises:
            InputError: they are gone or damaged.
        """
        try:
            yield
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            said = first_line(error)
            raise InputError(
                f"{self.weights}: cannot go on from it ({said}); train the run anew under another name"
            ) from None

    def keep(self, weights: bytes) -> None:
        """Write the raw weights of the epoch that is about to be added; `add` makes them count."""
        write_atomic(self._raw(self.epoch), weights)

    def add(self, row: Mapping[str, Any], weights: bytes) -> None:
        """Add a whole epoch: its row, and the weights that its score is of, kept where they are the best.

        Raw weights must have been kept before.
        """
        before = best = self._best
        if not self.rows or row["val_accuracy"] > self.best["val_accuracy"]:
            best = self._folder / f"best-{self.epoch + 1:03d}{self.suffix}"
            write_atomic(best, weights)  # Ctrl-C may come here, and then the epoch was not whole
        self.rows.append({"node": self.node, "epoch": self.epoch + 1, **row})
        self._best = best
        names = {"weights": self._raw(self.epoch - 1).name, "best": self._best.name}
        write_json(self._state, names | {"rows": self.rows})
        write_history(self.run, self.run.log)
        self._raw(self.epoch - 2).unlink(missing_ok=True)
        if before != self._best:
            before.unlink(missing_ok=True)
        if self.on_epoch_end:
            self.on_epoch_end(self.rows[-1])

    @property
    def _folder(self) -> Path:
        return self.run.log / self.node

    @property
    def _state(self) -> Path:
        return self._folder / STATE

    def _raw(self, epoch: int) -> Path:
        """The file after an epoch, counted from 0."""
        return self._folder / f"epoch-{epoch:03d}{self.suffix}"


def write_history(run: Run, folder: Path) -> None:
    """history.csv of all nodes of a run into `folder`; the run's own rows where a node's log is gone."""
    rows: list[Mapping[str, Any]] = []
    for node in (FLAT, *NODES):
        state = run.log / node / STATE
        known = read_json(state)["rows"] if state.is_file() else run.history()
        rows += [row for row in known if row["node"] == node]
    runs.write_history(folder, rows)
