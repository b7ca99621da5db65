"""Training one net in Keras; results and costs are in results/*/REPORT.md.

The order of faces, augmentation and dropout follow from (seed, epoch), and every epoch leaves a checkpoint.
A resumed run therefore gives the same net as an uninterrupted one: bit-identical with `deterministic`, nearly
so without.
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
from hierarchy.training.precision import arithmetic
from hierarchy.training.progress import Progress
from hierarchy.training.targets import class_weights, node_dataset, one_hot


def fit_node(task: TrainTask) -> None:
    """Train one net, choose its best epoch on PublicTest, and store it in the run.

    Raises:
        InputError: a split is empty for the node.
        KeyboardInterrupt: after the best weights so far have been stored.
    """
    check_roles(task)
    distributed.check(task.fit.batch_size)
    with distributed.data_parallel():
        _fit(task)


def _fit(task: TrainTask) -> None:
    keras_setup.seed(task.rng_seed)
    dataset = node_dataset(task.train, task.tree, task.node, task.fit, task.taught)
    net = trainable(task)
    if task.start:
        build.warm_start(task.tree, net, serialization.load(task.start))
    checkpoints = task.checkpoints(".weights.h5")
    trained, valid, started = net, task.valid.pixels, time.perf_counter()
    if task.fit.freeze_backbone and task.recipe.augment.still and not checkpoints.done:
        # features of a frozen backbone are constant without augmentation: compute them once
        body, trained = build.split(net)
        dataset, valid = replace(dataset, pixels=_features(body, dataset.pixels)), _features(body, valid)
    batches = KerasDataset(dataset, task.fit, task.recipe.augment, task.seed)
    model = _compiled(trained, task, len(batches))
    before = time.perf_counter() - started
    if checkpoints.weights and not checkpoints.done:
        with checkpoints.reading():
            model.load_weights(checkpoints.weights)
    target = one_hot(task.valid.target(task.tree, task.node), task.classes)
    weights = dict(enumerate(class_weights(dataset.label, task.classes))) if task.fit.class_weights else None

    def epochs(progress: Progress) -> None:
        model.fit(
            batches,
            shuffle=False,  # the sampler has shuffled
            epochs=task.fit.epochs,
            initial_epoch=checkpoints.epoch,
            validation_data=distributed.validation_data(valid, target, VALIDATION_BATCH),
            validation_batch_size=distributed.batch_size(VALIDATION_BATCH),
            class_weight=weights,
            callbacks=[
                ReseedCallback(batches, task.seed),
                *([] if task.fit.schedule == "cosine" else [LRCallback(checkpoints)]),
                RawWeightsCallback(checkpoints),  # before averaged weights are swapped in for validation
                *_swap_and_events(task),
                ProgressCallback(progress),
                CheckpointCallback(checkpoints, net, before),
            ],
            verbose=0,
        )

    run_training(task, checkpoints, epochs, lambda best: _packed(task, best), ".keras")


def trainable(task: TrainTask) -> keras.Model:
    """A task's net with random weights, in the precision and layers of its training."""
    kit: Any = keras.layers
    if keras.backend.backend() == "torch":
        from hierarchy.models import torch_layers as kit
    with _precision(arithmetic(task.fit, keras_setup.accelerated())):
        net = build.build(task.tree, task.node, task.recipe.net, task.fit.l2, kit)
    if task.fit.freeze_backbone:
        build.freeze(net)
    return net


def _features(body: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """The features of faces, float32[N, features]."""
    features: np.ndarray = body.predict(pixels, batch_size=serialization.CHUNK, verbose=0)
    return features


@contextmanager
def _precision(name: str) -> Iterator[None]:
    """Layers built inside compute in this precision; their weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if name == "bfloat16" else name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _compiled(net: keras.Model, task: TrainTask, steps: int) -> keras.Model:
    """The net with augmentation of uint8 faces, loss and optimizer."""
    inputs = keras.Input(net.input_shape[1:], dtype=net.input.dtype)
    augmented = Augmentation(task.recipe.augment)(inputs) if net.input.dtype == "uint8" else inputs
    model = keras.Model(inputs, net(augmented))
    model.compile(
        _optimizer(task.fit, steps),
        loss_of(task.fit),
        weighted_metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
    )
    model.optimizer.build(model.trainable_variables)
    return model


def loss_of(fit: TrainConfig) -> keras.losses.Loss:
    """The recipe's loss for targets and logits float32[N, K]."""
    common: dict[str, Any] = {"from_logits": True, "label_smoothing": fit.label_smoothing}
    if fit.loss == "focal":
        return keras.losses.CategoricalFocalCrossentropy(gamma=fit.focal_gamma, **common)
    return keras.losses.CategoricalCrossentropy(**common)


def _optimizer(fit: TrainConfig, steps: int) -> keras.optimizers.Optimizer:
    """SGD or Adam.

    Keras decouples weight decay from the gradient: learning_rate * decay per step. Recipes mean the coupled
    decay of SGD, which momentum amplifies by 1 / (1 - momentum); hence the factor.
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
    """The cosine of training/schedules.py as a Keras schedule; else an initial rate for `LRCallback`."""
    if fit.schedule != "cosine":
        return fit.learning_rate
    total = steps * fit.epochs
    rise = int(total * fit.warm_up)
    return keras.optimizers.schedules.CosineDecay(
        fit.learning_rate / 25, total - rise, warmup_target=fit.learning_rate, warmup_steps=rise
    )


def _swap_and_events(task: TrainTask) -> list[keras.callbacks.Callback]:
    """Callbacks for averaged weights, and for TensorBoard where it works."""
    swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if task.fit.ema else []
    folder = str(task.run.log / task.node / "events")
    events = [keras.callbacks.TensorBoard(folder, write_graph=False)] if tensorboard_works() else []
    return [*swap, *events]


def tensorboard_works() -> bool:
    """Whether Keras can write TensorBoard events on this backend."""
    return keras.backend.backend() == "tensorflow"


def _packed(task: TrainTask, best: Path) -> tuple[bytes, dict[str, Any]]:
    """The best epoch's net in stock Keras layers, and values of the manifest."""
    net = build.empty(task.tree, task.node, task.recipe.net)
    net.load_weights(best)
    size = {"parameters": net.count_params(), "macs": build.macs(net)}
    used = {"precision": arithmetic(task.fit, keras_setup.accelerated()), "backend": keras.backend.backend()}
    return serialization.to_bytes(net), size | used
