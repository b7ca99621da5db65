"""Keras callbacks of a training run: seeds, checkpoints, a progress bar."""

import time
from typing import Any

import keras
import numpy as np

from hierarchy.models.augmentation import Augmentation
from hierarchy.models.dataloader import KerasDataset
from hierarchy.models.serialization import weights_to_bytes
from hierarchy.training.checkpoints import CheckpointManager
from hierarchy.training.progress import Progress
from hierarchy.training.schedules import learning_rate


class ReseedCallback(keras.callbacks.Callback):
    """At every epoch's start, derive order, augmentation and dropout from (seed, epoch)."""

    def __init__(self, batches: KerasDataset, seed: int) -> None:
        super().__init__()
        self.batches, self.seed = batches, seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the batches' order and every random layer's state."""
        self.batches.begin(epoch)
        inner = [layer for part in self.model.layers for layer in getattr(part, "layers", [part])]
        for index, layer in enumerate(inner):
            random = isinstance(layer, Augmentation) or (
                isinstance(layer, keras.layers.Dropout) and layer.rate > 0
            )
            if random:
                state = layer.seed_generator.state
                high = np.random.default_rng([self.seed, epoch, index]).integers(2**31)
                state.assign(np.array([high, 0], dtype=state.dtype))


class LRCallback(keras.callbacks.Callback):
    """Set the learning rate of every epoch."""

    def __init__(self, logbook: CheckpointManager) -> None:
        super().__init__()
        self.logbook = logbook

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """By the epochs that have been."""
        steps = int(self.params["steps"])
        rate = learning_rate(self.logbook.fit, epoch * steps, steps, self.logbook.rows)
        self.model.optimizer.learning_rate = rate


class RawWeightsCallback(keras.callbacks.Callback):
    """Keep weights and optimizer of the last whole epoch, as they are before any averaging."""

    def __init__(self, logbook: CheckpointManager) -> None:
        super().__init__()
        self.logbook = logbook

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the epoch's own file; the journal makes it count."""
        self.logbook.keep(weights_to_bytes(self.model))


class CheckpointCallback(keras.callbacks.Callback):
    """Judge each epoch by its PublicTest accuracy and commit it to the logbook.

    `before` are seconds that went by before the first epoch, and count with it.
    """

    def __init__(self, logbook: CheckpointManager, net: keras.Model, before: float = 0.0) -> None:
        super().__init__()
        self.logbook, self.net, self.before = logbook, net, before

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop the clock of the training part of the epoch."""
        self.fitted = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the epoch with its figures, and stop where nothing more is to be done."""
        logs = logs or {}
        faces = int(self.params["steps"]) * self.logbook.fit.batch_size
        row = {
            **{key: float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")},
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "images_per_second": faces / (self.fitted - self.started),
            "seconds": time.perf_counter() - self.started + self.before,
        }
        self.before = 0.0
        self.logbook.add(row, weights_to_bytes(self.net))
        self.model.stop_training = self.logbook.done


class ProgressCallback(keras.callbacks.Callback):
    """Show how the training goes on a bar that is up."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start from the epochs already done."""
        self.progress.begin(epoch, int(self.params["steps"]))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """One step on."""
        self.progress.step()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Say how the epoch went."""
        self.progress.end(logs or {})
