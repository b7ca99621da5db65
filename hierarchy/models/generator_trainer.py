"""Training a generator: velocities by least squares, averaged weights, a checkpoint for every epoch.

Noise, times and order follow from (seed, epoch, batch), so that a resumed training gives the same net. The
rate is constant after a warm-up, and the average of the weights takes the place of its decay, so that a
training may end, or be continued, after any epoch.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import keras
import msgspec
import numpy as np

from hierarchy import fileio, runs
from hierarchy.backends import UNREADABLE
from hierarchy.config.schema import TrainConfig
from hierarchy.data.dataset import FaceDataset
from hierarchy.errors import InputError, first_line
from hierarchy.models import build, generator, keras_setup, serialization
from hierarchy.training.generators import Epoch, Generator, State
from hierarchy.training.precision import arithmetic
from hierarchy.training.progress import Progress
from hierarchy.training.targets import one_hot

FIT: Final = TrainConfig(
    batch_size=64, optimizer="adam", learning_rate=1e-3, clip_norm=1.0, precision="bfloat16"
)
WARM_UP: Final = 100  # steps
AVERAGED: Final = 0.05  # of all steps, about: how far the average of the weights looks back
UNNAMED: Final = 0.1  # of the faces lose their class, as guidance needs it
RARE: Final = 0.5  # exponent of a class' frequency: 0: as in the data, 1: every class equally often


class Flows(keras.utils.PyDataset):
    """Batches of faces on their way from noise, and their velocities.

    Args:
        pixels: uint8[N,48,48].
        label: int[N], class codes from 0.
        seed: of everything random.
    """

    def __init__(self, pixels: np.ndarray, label: np.ndarray, seed: int) -> None:
        super().__init__()
        self.pixels, self.label, self.seed = pixels, label, seed
        weight = np.bincount(label)[label] ** -RARE
        self.weight = weight / weight.sum()
        self.begin(0)

    def __len__(self) -> int:
        return max(1, len(self.label) // FIT.batch_size)

    def begin(self, epoch: int) -> None:
        """Draw the faces of an epoch, counted from 0."""
        self.epoch = epoch
        random, size = np.random.default_rng([self.seed, epoch]), (len(self), FIT.batch_size)
        self.order = random.choice(len(self.label), size, p=self.weight)

    def __getitem__(self, step: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        random, rows = np.random.default_rng([self.seed, self.epoch, step]), self.order[step]
        face = self.pixels[rows].astype(np.float32) / 127.5 - 1
        mirrored = random.random(len(rows)) < 0.5
        face[mirrored] = face[mirrored, :, ::-1]
        noise = random.standard_normal(face.shape, dtype=np.float32)
        # most often in the middle of the way (Esser et al., "Scaling rectified flow transformers", 2024)
        t = 1 / (1 + np.exp(-random.standard_normal(len(rows), dtype=np.float32)))
        any_class = self.label.max() + 1
        label = np.where(random.random(len(rows)) < UNNAMED, any_class, self.label[rows])
        x = noise + t[:, None, None] * (face - noise)
        return (x, generator.time_features(t), one_hot(label, any_class + 1)), face - noise


def fit(place: Generator, state: State, faces: FaceDataset, about: dict[str, Any]) -> None:
    """Train the remaining epochs, storing the generator after each.

    Args:
        place: where it is stored.
        state: of the training.
        faces: Training rows with a label; every name has some.
        about: what is recorded of it besides the net and its training.

    Raises:
        InputError: the weights to resume from are damaged.
    """
    keras.utils.set_random_seed(state.seed)
    batches, precision = (
        Flows(faces.pixels, faces.label, state.seed),
        arithmetic(FIT, keras_setup.accelerated()),
    )
    model = _compiled(precision, len(faces.names), state.epochs * len(batches))
    begun = model.get_weights()
    if state.weights:
        _resume(model, place.log / state.weights)
    with Progress(place.name, replace(FIT, epochs=state.epochs)) as progress:
        epochs = _Epochs(place, state, batches, progress, about | {"precision": precision}, begun)
        model.fit(
            batches,
            shuffle=False,  # drawn at random
            epochs=state.epochs,
            initial_epoch=len(state.rows),
            callbacks=[
                # before averaged weights are swapped in
                keras.callbacks.LambdaCallback(on_epoch_end=epochs.write_raw),
                keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
                epochs,
            ],
            verbose=0,
        )


def _compiled(precision: str, classes: int, steps: int) -> keras.Model:
    """A net with random weights that computes in a precision, and its optimizer for a number of steps."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
    try:
        model = generator.build(classes)
    finally:
        keras.config.set_dtype_policy(policy)
    rate = keras.optimizers.schedules.CosineDecay(  # that ends where it begins: constant
        0.0, 1, alpha=1.0, warmup_target=FIT.learning_rate, warmup_steps=WARM_UP
    )
    momentum = 1 - 1 / min(max(AVERAGED * steps, 2), 1000)
    model.compile(
        keras.optimizers.Adam(rate, global_clipnorm=FIT.clip_norm, use_ema=True, ema_momentum=momentum), "mse"
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _resume(model: keras.Model, weights: Path) -> None:
    try:
        serialization.load_weights(model, weights)
    except UNREADABLE as error:
        raise InputError(
            f"{weights}: cannot be resumed from ({first_line(error)}); train under another --run"
        ) from None


class _Epochs(keras.callbacks.Callback):
    """Set up every epoch, and complete it: store the averaged net, then the state to resume from."""

    def __init__(
        self,
        place: Generator,
        state: State,
        batches: Flows,
        progress: Progress,
        about: dict[str, Any],
        begun: list[np.ndarray],
    ) -> None:
        super().__init__()
        self.begun = begun
        self.place, self.state, self.batches, self.progress = place, state, batches, progress
        self.net = generator.build(int(batches.label.max()) + 1)  # in float32
        size = {"parameters": self.net.count_params(), "macs": build.macs(self.net)}
        backend = keras.backend.backend()
        self.about = about | size | {"backend": backend, "versions": runs.versions(backend)}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw the faces of the epoch."""
        self.batches.begin(epoch)
        self.progress.begin(epoch, len(self.batches))
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance by one step."""
        self.progress.step()

    def write_raw(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the weights of an epoch and the optimizer's state, before the average is swapped in."""
        fileio.write_atomic(self._raw(epoch), serialization.weights_to_bytes(self.model))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Complete the epoch, and stop where training is over."""
        logs = logs or {}
        self.progress.end(logs)
        row = Epoch(float(logs["loss"]), time.perf_counter() - self.started)
        rows = (*self.state.rows, row)
        self.state = msgspec.structs.replace(self.state, rows=rows, weights=self._raw(epoch).name)
        self.net.set_weights(self._averaged())
        done = {"history": msgspec.to_builtins(rows), "finished": self.state.done}
        self.place.write(serialization.to_bytes(self.net), self.about | done)
        self.place.save(self.state)
        self._raw(epoch - 1).unlink(missing_ok=True)
        self.model.stop_training = self.state.done

    def _averaged(self) -> list[np.ndarray]:
        """The average without the random weights that it began with, which outweigh the first epochs."""
        optimizer = self.model.optimizer
        left = optimizer.ema_momentum ** int(keras.ops.convert_to_numpy(optimizer.iterations))
        pairs = zip(self.model.get_weights(), self.begun, strict=True)
        return [(average - left * begun) / (1 - left) for average, begun in pairs]

    def _raw(self, epoch: int) -> Path:
        return self.place.log / f"epoch-{epoch + 1:03d}.weights.h5"
