"""The Keras callback of a training run: seeds, learning rate, checkpoints, progress bar."""

import time
from typing import Any

import keras
import numpy as np

from hierarchy.models.dataloader import KerasDataset
from hierarchy.models.serialization import weights_to_bytes
from hierarchy.training.checkpoints import CheckpointManager
from hierarchy.training.progress import Progress
from hierarchy.training.schedules import learning_rate


class EpochCallback(keras.callbacks.Callback):
    """Set up every epoch, and complete it with its metrics.

    Args:
        checkpoints: of the net.
        net: whose weights are kept; the model may hold augmentation too.
        batches: that the model is fitted to.
        progress: shows the epochs.
        before: seconds that are added to the first epoch.
    """

    def __init__(
        self,
        checkpoints: CheckpointManager,
        net: keras.Model,
        batches: KerasDataset,
        progress: Progress,
        before: float,
    ) -> None:
        super().__init__()
        self.checkpoints, self.net, self.batches = checkpoints, net, batches
        self.progress, self.before = progress, before

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the order of the batches, the state of every random layer and the learning rate."""
        fit, steps = self.checkpoints.fit, len(self.batches)
        self.batches.begin(epoch)
        self._reseed(epoch)
        if fit.schedule != "cosine":  # which the optimizer computes
            self.model.optimizer.learning_rate = learning_rate(
                fit, epoch * steps, steps, self.checkpoints.rows
            )
        self.progress.begin(epoch, steps)
        self.started = time.perf_counter()

    def _reseed(self, epoch: int) -> None:
        """Derive augmentation and dropout of the epoch from (seed, epoch)."""
        inner = [layer for part in self.model.layers for layer in getattr(part, "layers", [part])]
        for index, layer in enumerate(inner):
            if generator := getattr(layer, "seed_generator", None):
                high = np.random.default_rng([self.batches.seed, epoch, index]).integers(2**31)
                generator.state.assign(np.array([high, 0], dtype=generator.state.dtype))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance by one step; the last one ends the training part of the epoch."""
        self.progress.step()
        self.fitted = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the epoch with its metrics, and stop where training is over."""
        logs = logs or {}
        self.progress.end(logs)
        faces = len(self.batches) * self.checkpoints.fit.batch_size
        row = {
            **{key: float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")},
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "images_per_second": faces / (self.fitted - self.started),
            "seconds": time.perf_counter() - self.started + self.before,
        }
        self.before = 0.0
        self.checkpoints.add(row, weights_to_bytes(self.net))
        self.model.stop_training = self.checkpoints.done
