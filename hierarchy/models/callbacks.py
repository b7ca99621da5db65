"""Keras callbacks of a training run: seeds, learning rate, checkpoints, progress bar."""

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
    """Derive order, augmentation and dropout of every epoch from (seed, epoch)."""

    def __init__(self, batches: KerasDataset, seed: int) -> None:
        super().__init__()
        self.batches, self.seed = batches, seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the order of the batches and the state of every random layer."""
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

    def __init__(self, checkpoints: CheckpointManager) -> None:
        super().__init__()
        self.checkpoints = checkpoints

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compute it from the history."""
        steps = int(self.params["steps"])
        rate = learning_rate(self.checkpoints.fit, epoch * steps, steps, self.checkpoints.rows)
        self.model.optimizer.learning_rate = rate


class RawWeightsCallback(keras.callbacks.Callback):
    """Store weights and optimizer of every epoch before averaged weights are swapped in."""

    def __init__(self, checkpoints: CheckpointManager) -> None:
        super().__init__()
        self.checkpoints = checkpoints

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the epoch's file; CheckpointCallback completes the epoch."""
        self.checkpoints.write_raw(weights_to_bytes(self.model))


class CheckpointCallback(keras.callbacks.Callback):
    """Complete each epoch with its metrics; `before` seconds are added to the first one."""

    def __init__(self, checkpoints: CheckpointManager, net: keras.Model, before: float = 0.0) -> None:
        super().__init__()
        self.checkpoints, self.net, self.before = checkpoints, net, before

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the timer."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop the timer of the training part of the epoch."""
        self.fitted = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the epoch with its metrics, and stop where training is over."""
        logs = logs or {}
        faces = int(self.params["steps"]) * self.checkpoints.fit.batch_size
        row = {
            **{key: float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")},
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "images_per_second": faces / (self.fitted - self.started),
            "seconds": time.perf_counter() - self.started + self.before,
        }
        self.before = 0.0
        self.checkpoints.add(row, weights_to_bytes(self.net))
        self.model.stop_training = self.checkpoints.done


class ProgressCallback(keras.callbacks.Callback):
    """Update a progress bar."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begin the epoch."""
        self.progress.begin(epoch, int(self.params["steps"]))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance by one step."""
        self.progress.step()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print the metrics of the epoch."""
        self.progress.end(logs or {})
