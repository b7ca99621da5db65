"""The learning rate of every step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hierarchy.config.schema import TrainConfig


def learning_rate(fit: TrainConfig, step: int, steps: int, rows: Sequence[Mapping[str, Any]] = ()) -> float:
    """The learning rate of a step.

    cosine: a linear warm-up to the peak, then half a cosine to zero. constant: the peak. step: multiplied by
    `fit.lr_decay` every `fit.lr_step_epochs` epochs. plateau: multiplied by `fit.lr_decay` after every
    `fit.lr_step_epochs` epochs without a better PublicTest accuracy.

    Args:
        fit: the recipe's.
        step: counted from 0 over all epochs.
        steps: per epoch.
        rows: the history, a row per completed epoch.
    """
    if fit.schedule == "cosine":
        return fit.learning_rate * _cosine(fit, step, steps * fit.epochs)
    if fit.schedule == "step":
        return float(fit.learning_rate * fit.lr_decay ** (step // steps // fit.lr_step_epochs))
    if fit.schedule == "plateau":
        return float(fit.learning_rate * fit.lr_decay ** _plateaus(fit, rows))
    return fit.learning_rate


def _cosine(fit: TrainConfig, step: int, total: int) -> float:
    rise = int(total * fit.warm_up)
    if step < rise:
        return 1 / 25 + (1 - 1 / 25) * step / rise
    return (1 + math.cos(math.pi * (step - rise) / (total - rise))) / 2


def _plateaus(fit: TrainConfig, rows: Sequence[Mapping[str, Any]]) -> int:
    """How many times `fit.lr_step_epochs` epochs went by without a better accuracy."""
    plateaus, waited, best = 0, 0, -math.inf
    for row in rows:
        waited = 0 if row["val_accuracy"] > best else waited + 1
        best = max(best, row["val_accuracy"])
        if waited == fit.lr_step_epochs:
            plateaus, waited = plateaus + 1, 0
    return plateaus
