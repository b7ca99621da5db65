"""What a training run leaves behind while it runs: checkpoints, history, the best epoch, a progress bar.

logs/<run>/<node>/ holds the raw weights of the last whole epoch, the best epoch's weights, and state.json,
which names both and is written last: a run killed at any moment goes on from the epoch that state.json
tells of.
"""

import csv
import io
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import rich.console
import rich.progress

from hierarchy.nets.augment import Augment
from hierarchy.nets.batches import Batches
from hierarchy.nets.store import weights_to_bytes
from hierarchy.recipes import Fit
from hierarchy.runs import HISTORY, Run, read_json, write_atomic, write_json
from hierarchy.taxonomy import FLAT, NODES

STATE: Final = "state.json"
BEST: Final = "best.weights.h5"


@dataclass
class Position:
    """Where a node's training stands: the weights after its whole epochs, and a row of history for each."""

    weights: Path | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return len(self.rows)


def position(run: Run, node: str) -> Position:
    """Where the log folder says a node stands; at the beginning where it says nothing."""
    path = run.log / node / STATE
    if not path.is_file():
        return Position()
    state = read_json(path)
    return Position(path.with_name(state["weights"]), state["rows"])


def best_of(run: Run, node: str) -> Path | None:
    """Weights of a node's best whole epoch, or None before there is one."""
    path = run.log / node / BEST
    return path if path.is_file() and (run.log / node / STATE).is_file() else None


def _raw(run: Run, node: str, epoch: int) -> Path:
    return run.log / node / f"epoch-{epoch:03d}.weights.h5"


class Restart(keras.callbacks.Callback):
    """At every epoch's start, derive order, augmentation and dropout from (seed, epoch)."""

    def __init__(self, batches: Batches, seed: int) -> None:
        super().__init__()
        self.batches, self.seed = batches, seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the batches' order and every random layer's state."""
        self.batches.begin(epoch)
        inner = [layer for part in self.model.layers for layer in getattr(part, "layers", [part])]
        for index, layer in enumerate(inner):
            random = isinstance(layer, Augment) or (
                isinstance(layer, keras.layers.Dropout) and layer.rate > 0
            )
            if random:
                state = layer.seed_generator.state
                high = np.random.default_rng([self.seed, epoch, index]).integers(2**31)
                state.assign(np.array([high, 0], dtype=state.dtype))


class RawWeights(keras.callbacks.Callback):
    """Keep weights and optimizer of the last whole epoch, as they are before any averaging."""

    def __init__(self, run: Run, node: str) -> None:
        super().__init__()
        self.run, self.node = run, node

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the epoch's own file; the journal makes it count."""
        write_atomic(_raw(self.run, self.node, epoch), weights_to_bytes(self.model))


class Journal(keras.callbacks.Callback):
    """Judge each epoch by its PublicTest accuracy, keep the best, and commit the epoch to disk."""

    def __init__(self, run: Run, node: str, net: keras.Model, fit: Fit, rows: list[dict[str, Any]]) -> None:
        super().__init__()
        self.run, self.node, self.net, self.fit, self.rows = run, node, net, fit, rows

    @property
    def best(self) -> dict[str, Any]:
        """The history row of the best epoch; the earlier one of equals."""
        return max(self.rows, key=lambda row: row["val_accuracy"])

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return bool(
            self.fit.patience and self.rows and len(self.rows) - self.best["epoch"] >= self.fit.patience
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop the clock of the training part of the epoch."""
        self.fitted = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write best weights, history and state, the state last, then drop the epoch before."""
        logs = logs or {}
        steps = int(self.params["steps"])
        self.rows.append(
            {
                "node": self.node,
                "epoch": epoch + 1,
                **{key: float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")},
                "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
                "images_per_second": steps * self.fit.batch_size / (self.fitted - self.started),
                "seconds": time.perf_counter() - self.started,
            }
        )
        folder = self.run.log / self.node
        if self.best is self.rows[-1]:
            write_atomic(folder / BEST, weights_to_bytes(self.net))
        raw = _raw(self.run, self.node, epoch)
        write_json(folder / STATE, {"weights": raw.name, "rows": self.rows})
        write_history(self.run, self.run.log)
        _raw(self.run, self.node, epoch - 1).unlink(missing_ok=True)
        self.model.stop_training = self.exhausted


class Progress(keras.callbacks.Callback):
    """A bar on stderr with faces a second and time left; a line an epoch where stderr is no terminal."""

    def __init__(self, node: str, fit: Fit) -> None:
        super().__init__()
        self.node, self.fit = node, fit

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put the bar up."""
        self.bar = rich.progress.Progress(
            "{task.description}",
            rich.progress.BarColumn(),
            "{task.fields[rate]:.0f} faces/s",
            rich.progress.TimeRemainingColumn(),
            console=rich.console.Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start from the epochs already done."""
        steps = int(self.params["steps"])
        if not self.bar.tasks:
            self.bar.add_task("", total=steps * self.fit.epochs, completed=steps * epoch, rate=0.0)
        self.bar.update(self.bar.task_ids[0], description=f"{self.node}, epoch {epoch + 1}/{self.fit.epochs}")
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """One step on."""
        rate = (batch + 1) * self.fit.batch_size / (time.perf_counter() - self.started)
        self.bar.update(self.bar.task_ids[0], advance=1, rate=rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Say how the epoch went."""
        logs = logs or {}
        line = (
            f"{self.node}: epoch {epoch + 1}/{self.fit.epochs}, loss {logs['loss']:.3f}, "
            f"accuracy {logs['accuracy']:.3f}, PublicTest {logs['val_accuracy']:.4f}, "
            f"{time.perf_counter() - self.started:.0f} s"
        )
        self.bar.console.print(line, highlight=False, soft_wrap=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Take the bar down."""
        self.bar.stop()


def write_history(run: Run, folder: Path) -> None:
    """history.csv of all nodes of a run, a row an epoch, into `folder`."""
    rows = [row for node in (FLAT, *NODES) for row in position(run, node).rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(folder / HISTORY, text.getvalue().encode())
