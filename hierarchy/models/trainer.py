"""Fitting one net in Keras.

What this achieves and what it costs stands in results/*/REPORT.md. The order of faces, augmentation and
dropout follow from (seed, epoch), every epoch leaves a checkpoint, and so `--resume` after any interruption
goes on as if there had been none: bit for bit under `deterministic`, closely without.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hierarchy.config.schema import TrainConfig
from hierarchy.models import build, distributed, keras_setup, serialization
from hierarchy.models.augmentation import Augmentation
from hierarchy.models.callbacks import (
    CheckpointCallback,
    LRCallback,
    ProgressCallback,
    RawWeightsCallback,
    ReseedCallback,
)
from hierarchy.models.dataloader import KerasDataset
from hierarchy.training.backend import VALIDATION_BATCH, TrainTask, check_roles, run_training
from hierarchy.training.checkpoints import CheckpointManager
from hierarchy.training.precision import arithmetic
from hierarchy.training.progress import Progress
from hierarchy.training.targets import class_weights, node_dataset, one_hot


def fit_node(task: TrainTask) -> None:
    """Fit one net on its Training faces, choose its best epoch on PublicTest, and store it in the run.

    Raises:
        InputError: a split is empty for the node.
        KeyboardInterrupt: after the best weights so far have been stored.
    """
    check_roles(task)
    distributed.check(task.fit.batch_size)
    with distributed.everywhere():
        _fit(task)


def _fit(task: TrainTask) -> None:
    keras_setup.seed(task.rng_seed)
    told = node_dataset(task.train, task.node, task.fit, task.taught)
    net = trainable(task)
    if task.start:
        build.warm_start(net, serialization.load(task.start))
    logbook = CheckpointManager(task.run, task.node, task.fit, ".weights.h5", task.on_epoch_end)
    fitted, shown, started = net, task.valid.pixels, time.perf_counter()
    if task.fit.freeze_backbone and task.recipe.augment.still and not logbook.done:
        # what the body says of a face is always the same: it is asked once
        body, fitted = build.split(net)
        told, shown = replace(told, pixels=_features(body, told.pixels)), _features(body, shown)
    batches = KerasDataset(told, task.fit, task.recipe.augment, task.seed)
    trainee = _compiled(fitted, task, len(batches))
    before = time.perf_counter() - started
    if logbook.weights and not logbook.done:
        with logbook.going_on():
            trainee.load_weights(logbook.weights)

    judged = one_hot(task.valid.target(task.node), task.node)

    def epochs(progress: Progress) -> None:
        trainee.fit(
            batches,
            shuffle=False,  # the batches are in the order that the seed gives
            epochs=task.fit.epochs,
            initial_epoch=logbook.epoch,
            validation_data=distributed.judged(shown, judged, VALIDATION_BATCH),
            validation_batch_size=distributed.batch_size(VALIDATION_BATCH),
            class_weight=dict(enumerate(class_weights(told.label))) if task.fit.class_weights else None,
            callbacks=[
                ReseedCallback(batches, task.seed),
                *([] if task.fit.schedule == "cosine" else [LRCallback(logbook)]),
                RawWeightsCallback(
                    logbook
                ),  # before the averaged ones are swapped in, which the journal judges
                *_swap_and_events(task),
                ProgressCallback(progress),
                CheckpointCallback(logbook, net, before),
            ],
            verbose=0,
        )

    run_training(task, logbook, epochs, lambda best: _packed(task, best), ".keras")


def trainable(task: TrainTask) -> keras.Model:
    """A task's net of random weights, in the precision and with the layers that it is fitted in."""
    kit: Any = keras.layers
    if keras.backend.backend() == "torch":
        from hierarchy.models import torch_layers as kit
    with _precision(arithmetic(task.fit, keras_setup.accelerated())):
        net = build.build(task.node, task.recipe.net, task.fit.l2, kit)
    if task.fit.freeze_backbone:
        build.freeze(net)
    return net


def _features(body: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """What a body says of faces, float32[N, its features]."""
    features: np.ndarray = body.predict(pixels, batch_size=serialization.CHUNK, verbose=0)
    return features


@contextmanager
def _precision(name: str) -> Iterator[None]:
    """Layers made inside compute in this precision; their weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if name == "bfloat16" else name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _compiled(net: keras.Model, task: TrainTask, steps: int) -> keras.Model:
    """The net behind its augmentation, with loss and optimizer; features are not augmented."""
    shown = keras.Input(net.input_shape[1:], dtype=net.input.dtype)
    changed = Augmentation(task.recipe.augment)(shown) if net.input.dtype == "uint8" else shown
    trainee = keras.Model(shown, net(changed))
    trainee.compile(
        _optimizer(task.fit, steps),
        loss_of(task.fit),
        weighted_metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
    )
    trainee.optimizer.build(trainee.trainable_variables)
    return trainee


def loss_of(fit: TrainConfig) -> keras.losses.Loss:
    """The recipe's loss, of targets and logits float32[N, K]."""
    common: dict[str, Any] = {"from_logits": True, "label_smoothing": fit.label_smoothing}
    if fit.loss == "focal":
        return keras.losses.CategoricalFocalCrossentropy(gamma=fit.focal_gamma, **common)
    return keras.losses.CategoricalCrossentropy(**common)


def _optimizer(fit: TrainConfig, steps: int) -> keras.optimizers.Optimizer:
    """SGD or Adam.

    Keras decays weights apart from the gradient, by rate * decay a step. Recipes give the decay in the
    coupled sense of SGD, where momentum lets it act 1 / (1 - momentum) times; hence the factor.
    """
    common: dict[str, Any] = {
        "learning_rate": _schedule(fit, steps),
        "global_clipnorm": fit.clip_norm or None,
        "use_ema": bool(fit.ema),
        "ema_momentum": fit.ema or 0.99,
    }
    if fit.optimizer == "sgd":
        decay = fit.weight_decay / (1 - fit.momentum)
        optimizer = keras.optimizers.SGD(
            momentum=fit.momentum, nesterov=True, weight_decay=decay or None, **common
        )
    else:
        optimizer = keras.optimizers.Adam(weight_decay=fit.weight_decay or None, **common)
    if fit.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(fit: TrainConfig, steps: int) -> Any:
    """The cosine of fitting/schedule.py, inside Keras' own step; else a first rate for `LRCallback`."""
    if fit.schedule != "cosine":
        return fit.learning_rate
    total = steps * fit.epochs
    rise = int(total * fit.warm_up)
    return keras.optimizers.schedules.CosineDecay(
        fit.learning_rate / 25, total - rise, warmup_target=fit.learning_rate, warmup_steps=rise
    )


def _swap_and_events(task: TrainTask) -> list[keras.callbacks.Callback]:
    """Averaged weights where the recipe averages, TensorBoard where it works."""
    swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if task.fit.ema else []
    folder = str(task.run.log / task.node / "events")
    events = [keras.callbacks.TensorBoard(folder, write_graph=False)] if tensorboard_works() else []
    return [*swap, *events]


def tensorboard_works() -> bool:
    """Whether Keras can write TensorBoard events on this backend."""
    return keras.backend.backend() == "tensorflow"


def _packed(task: TrainTask, best: Path) -> tuple[bytes, dict[str, Any]]:
    """The best epoch's net, in Keras' own layers."""
    net = build.empty(task.node, task.recipe.net)
    net.load_weights(best)
    size = {"parameters": net.count_params(), "macs": build.macs(net)}
    how = {"precision": arithmetic(task.fit, keras_setup.accelerated()), "backend": keras.backend.backend()}
    return serialization.to_bytes(net), size | how
