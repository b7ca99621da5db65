"""Training one net in Keras; results and costs are in results/*/REPORT.md.

The order of faces, augmentation and dropout follow from (seed, epoch), and every epoch leaves a checkpoint.
A resumed run therefore gives the same net as an uninterrupted one: bit-identical with `deterministic`, nearly
so without.
"""

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
from keras import ops

from hierarchy.config.schema import TrainConfig, VGGConfig
from hierarchy.errors import InputError
from hierarchy.models import build, distributed, keras_setup, serialization
from hierarchy.models.augmentation import Augmentation
from hierarchy.models.callbacks import EpochCallback
from hierarchy.models.dataloader import KerasDataset
from hierarchy.taxonomy import FLAT
from hierarchy.training.backend import VALIDATION_BATCH, TrainTask, check_roles, run_training
from hierarchy.training.precision import arithmetic
from hierarchy.training.progress import Progress
from hierarchy.training.targets import class_weights, labels_of, leaf_scores, node_dataset


@distributed.data_parallel()
def fit_node(task: TrainTask) -> None:
    """Train one net, choose its best epoch on PublicTest, and store it in the run.

    Raises:
        InputError: a split is empty for the node.
        KeyboardInterrupt: after the best weights so far have been stored.
    """
    check_roles(task)
    distributed.check(task.fit.batch_size)
    with keras_setup.quiet():  # Keras imports TensorFlow for it where installed
        keras.utils.set_random_seed(task.rng_seed)
    dataset = node_dataset(task.train, task.tree, task.node, task.fit, task.taught)
    net = trainable(task)
    if task.start:
        build.warm_start(task.tree, net, [serialization.load(path) for path in task.start])
    distributed.share_checkpoints(task.run.log / task.node)
    checkpoints = task.checkpoints(".weights.h5")
    trained, valid, started = net, task.valid.pixels, time.perf_counter()
    if task.frozen is not None and task.recipe.augment.still and not checkpoints.done:
        # features of frozen layers are constant without augmentation: compute them once
        body, trained = build.split(net, task.frozen)
        features = partial(body.predict, batch_size=serialization.CHUNK, verbose=0)
        dataset, valid = replace(dataset, pixels=features(dataset.pixels)), features(valid)
    batches = KerasDataset(dataset, task.fit, task.recipe.augment, task.seed)
    model = _compiled(trained, task, len(batches))
    before = time.perf_counter() - started
    if checkpoints.weights and not checkpoints.done:
        with checkpoints.reading(checkpoints.weights):
            serialization.load_weights(model, checkpoints.weights)
    target = labels_of(task.valid, task.tree, task.node)
    weights = dict(enumerate(class_weights(dataset.label, task.classes))) if task.fit.class_weights else None

    @_room_for_events(task)
    def epochs(progress: Progress) -> None:
        model.fit(
            batches,
            shuffle=False,  # the sampler has shuffled
            epochs=task.fit.epochs,
            initial_epoch=checkpoints.epoch,
            **distributed.validation(valid, target, VALIDATION_BATCH),
            class_weight=weights,
            callbacks=[
                # before averaged weights are swapped in for validation
                keras.callbacks.LambdaCallback(
                    on_epoch_end=lambda *_: checkpoints.write_raw(serialization.weights_to_bytes(model))
                ),
                *_swap_and_events(task),
                EpochCallback(checkpoints, net, batches, progress, before),
            ],
            verbose=0,
        )

    run_training(task, checkpoints, epochs, lambda best: _packed(task, best), ".keras")


def trainable(task: TrainTask) -> keras.Model:
    """A task's net with random weights, in the precision and layers of its training."""
    policy, precision = keras.config.dtype_policy(), arithmetic(task.fit, keras_setup.accelerated())
    # layers built with it compute in this precision; their weights stay float32
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
    try:
        net = build.build(task.tree, task.node, task.recipe.net, task.fit.l2)
    finally:
        keras.config.set_dtype_policy(policy)
    if keras.backend.backend() == "torch" and isinstance(task.recipe.net, VGGConfig):
        from hierarchy.models import torch_layers

        net = torch_layers.of(net)
    if task.frozen is not None:
        build.freeze(net, task.frozen)
    return net


def _compiled(net: keras.Model, task: TrainTask, steps: int) -> keras.Model:
    """The net with augmentation of uint8 faces, loss and optimizer."""
    inputs = keras.Input(net.input_shape[1:], dtype=net.input.dtype)
    augmented = Augmentation(task.recipe.augment)(inputs) if net.input.dtype == "uint8" else inputs
    model = keras.Model(inputs, net(augmented))
    model.compile(
        _optimizer(task.fit, steps),
        loss_of(task.fit, list(task.tree.columns(task.node).values())),
        weighted_metrics=[accuracy_of(task)],
    )
    model.optimizer.build(model.trainable_variables)
    return model


class _HeadsLoss(keras.losses.Loss):
    """The sum of the cross-entropies of a net's heads; a head whose targets are zero adds nothing."""

    def __init__(self, columns: Sequence[slice], label_smoothing: float) -> None:
        super().__init__()
        self.columns, self.smoothing = columns, label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        losses = []
        for own in self.columns:
            target, log_probability = y_true[:, own], ops.log_softmax(y_pred[:, own])
            spread = ops.mean(target, axis=1, keepdims=True)
            smooth = (1 - self.smoothing) * target + self.smoothing * spread
            losses.append(-ops.sum(smooth * log_probability, axis=1))
        return sum(losses)


def accuracy_of(task: TrainTask) -> keras.metrics.Metric:
    """Share of faces with the right class; of the trunk, with the right leaf by router and specialist."""
    columns = task.tree.columns(task.node)
    if len(columns) == 1:
        return keras.metrics.CategoricalAccuracy("accuracy")
    heads, labels, table = list(columns.values()), columns[FLAT], leaf_scores(task.tree)

    def correct(y_true: Any, y_pred: Any) -> Any:
        scores = ops.concatenate([ops.log_softmax(y_pred[:, own]) for own in heads], axis=1)
        answer = ops.argmax(ops.matmul(scores, table), axis=1)
        return ops.cast(answer == ops.argmax(y_true[:, labels], axis=1), "float32")

    return keras.metrics.MeanMetricWrapper(correct, name="accuracy")


def loss_of(fit: TrainConfig, columns: Sequence[slice] = ()) -> keras.losses.Loss:
    """The recipe's loss for targets and logits float32[N, K], summed over the columns of several heads."""
    if len(columns) > 1:
        return _HeadsLoss(columns, fit.label_smoothing)
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
    if keras.backend.backend() != "tensorflow":
        return swap
    return [*swap, keras.callbacks.TensorBoard(str(task.run.log / task.node / "events"), write_graph=False)]


@contextmanager
def _room_for_events(task: TrainTask) -> Iterator[None]:
    """Word TensorFlow's error of a full disk, where TensorBoard writes.

    Raises:
        InputError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        if (full := os.strerror(errno.ENOSPC)) in str(error) and not isinstance(error, InputError):
            raise InputError(f"{task.run.log}: cannot be written ({full})") from None
        raise


def _packed(task: TrainTask, best: Path) -> tuple[bytes, dict[str, Any]]:
    """The best epoch's net in stock Keras layers, and values of the manifest."""
    net = build.empty(task.tree, task.node, task.recipe.net)
    serialization.load_weights(net, best)
    size = {"parameters": net.count_params(), "macs": build.macs(net)}
    used = {"precision": arithmetic(task.fit, keras_setup.accelerated()), "backend": keras.backend.backend()}
    return serialization.to_bytes(net), size | used
