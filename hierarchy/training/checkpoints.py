"""Checkpoints of a node in logs/<run>/<node>/: weights of the last and the best epoch, and state.json.

state.json names both files and is written last, so that a run killed at any moment resumes from the last
complete epoch.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Required, TypedDict

import msgspec

from hierarchy import runs
from hierarchy.backends import UNREADABLE
from hierarchy.errors import InputError, first_line
from hierarchy.fileio import read_object, typed, write_atomic, write_json
from hierarchy.manifest import FileName
from hierarchy.runs import Run
from hierarchy.taxonomy import TRUNK, Tree

if TYPE_CHECKING:
    from hierarchy.training.backend import TrainTask

STATE: Final = "state.json"
EpochCallback = Callable[[Mapping[str, Any]], None]  # with each epoch's row; may stop by an exception


class Row(TypedDict, total=False):
    """A completed epoch; what else it holds is for the history only."""

    node: Required[str]
    epoch: Required[Annotated[int, msgspec.Meta(ge=1)]]
    val_accuracy: Required[Annotated[float, msgspec.Meta(ge=0, le=1)]]
    seconds: Required[Annotated[float, msgspec.Meta(ge=0, le=1e9)]]
    images_per_second: Required[Annotated[float, msgspec.Meta(ge=0, le=1e12)]]


class State(TypedDict, total=False):
    """What state.json holds."""

    rows: Required[list[Row]]
    weights: FileName
    best: FileName


def read_state(path: Path) -> dict[str, Any]:
    """The content of state.json, checked.

    Raises:
        InputError: it is damaged.
    """
    state = read_object(path)
    typed(state, State, str(path))
    others = [value for row in state["rows"] for key, value in row.items() if key != "node"]
    if not all(isinstance(value, int | float) for value in others):
        raise InputError(f"{path}: damaged, an epoch holds other values than numbers")
    if [row["epoch"] for row in state["rows"]] != list(range(1, len(state["rows"]) + 1)):
        raise InputError(f"{path}: damaged, its epochs are not 1, 2, ...; retrain the run under another name")
    return state


@dataclass
class CheckpointManager:
    """The completed epochs of one node.

    Attributes:
        task: the training of the node.
        suffix: of files of weights.
        rows: the history, a row per completed epoch.
    """

    task: "TrainTask"
    suffix: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fit = self.task.fit
        self._folder = self.task.run.log / self.task.node
        self._state = self._folder / STATE
        self._best = self._folder / f"best{self.suffix}"
        self._folder.mkdir(parents=True, exist_ok=True)  # before libraries write there
        if self._state.is_file():
            state = read_state(self._state)
            self.rows = state["rows"]
            self._best = self._folder / state.get("best", self._best.name)

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return len(self.rows)

    @property
    def weights(self) -> Path | None:
        """Raw weights of the last completed epoch; None before there is one."""
        return self._raw(self.epoch - 1) if self.rows else None

    @property
    def best_weights(self) -> Path | None:
        """Weights of the best completed epoch; None before there is one."""
        return self._best if self.rows else None

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best epoch; of equals, the first."""
        return max(self.rows, key=lambda row: row["val_accuracy"])

    @property
    def done(self) -> bool:
        """Whether training is over: all epochs completed, or patience or time used up."""
        if not self.rows:
            return False
        waited = self.fit.patience and self.epoch - self.best["epoch"] >= self.fit.patience
        late = self.fit.max_minutes and self.minutes >= self.fit.max_minutes
        return bool(self.epoch >= self.fit.epochs or waited or late)

    @property
    def minutes(self) -> float:
        """Duration of the completed epochs."""
        return float(sum(row["seconds"] for row in self.rows)) / 60

    @contextmanager
    def reading(self, weights: Path) -> Iterator[None]:
        """Context for reading weights of a completed epoch.

        Raises:
            InputError: they are missing or damaged.
        """
        try:
            if weights.exists() and not weights.is_file():  # reading a pipe would wait for its writer
                raise ValueError("not a file")
            yield
        except InputError:
            raise
        except UNREADABLE as error:
            raise InputError(
                f"{weights}: cannot be resumed from ({first_line(error)}); retrain the run under another name"
            ) from None

    def write_raw(self, weights: bytes) -> None:
        """Write the raw weights of the epoch that `add` completes."""
        write_atomic(self._raw(self.epoch), weights)

    def add(self, row: Mapping[str, Any], weights: bytes) -> None:
        """Complete an epoch, after `write_raw`.

        Args:
            row: of the history.
            weights: that were scored; kept if they are the best.
        """
        before = best = self._best
        if not self.rows or row["val_accuracy"] > self.best["val_accuracy"]:
            best = self._folder / f"best-{self.epoch + 1:03d}{self.suffix}"
            write_atomic(best, weights)  # after Ctrl-C here, the epoch is repeated
        self.rows.append({"node": self.task.node, "epoch": self.epoch + 1, **row})
        self._best = best
        names = {"weights": self._raw(self.epoch - 1).name, "best": self._best.name}
        write_json(self._state, names | {"rows": self.rows})
        write_history(self.task.run, self.task.tree, self.task.run.log)
        self._raw(self.epoch - 2).unlink(missing_ok=True)
        if before != self._best:
            before.unlink(missing_ok=True)
        if self.task.on_epoch_end:
            self.task.on_epoch_end(self.rows[-1])

    def _raw(self, epoch: int) -> Path:
        """The file after an epoch, counted from 0."""
        return self._folder / f"epoch-{epoch:03d}{self.suffix}"


def write_history(run: Run, tree: Tree, folder: Path) -> None:
    """Write history.csv of all nodes of a run into `folder`; the run's own rows for nodes without a log."""
    rows: list[Mapping[str, Any]] = []
    for node in (*tree.nets, TRUNK):
        state = run.log / node / STATE
        stored = read_state(state)["rows"] if state.is_file() else run.history()
        rows += [row for row in stored if row["node"] == node]
    runs.write_history(folder, rows)
