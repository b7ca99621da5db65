"""The learning rate follows its schedule, in the shared rule and inside Keras' own step."""

from dataclasses import replace

import pytest

from hierarchy.config.schema import TrainConfig
from hierarchy.models import keras_setup
from hierarchy.training.schedules import learning_rate

FIT = TrainConfig(epochs=10, learning_rate=0.5, warm_up=0.2, lr_decay=0.5, lr_step_epochs=2)
STEPS = 100


def scored(*accuracies):
    return [{"val_accuracy": accuracy} for accuracy in accuracies]


def test_the_cosine_is_the_one_that_keras_computes():
    keras_setup.start()
    from hierarchy.models import trainer

    theirs = trainer._schedule(FIT, STEPS)
    for step in (0, 1, 100, 199, 200, 600, 999):
        assert learning_rate(FIT, step, STEPS) == pytest.approx(float(theirs(step)), abs=1e-6)


def test_a_constant_rate_stays():
    assert learning_rate(replace(FIT, schedule="constant"), 700, STEPS) == 0.5


@pytest.mark.parametrize("step, rate", [(0, 0.5), (199, 0.5), (200, 0.25), (999, 0.03125)])
def test_steps_fall_every_so_many_epochs(step, rate):
    assert learning_rate(replace(FIT, schedule="step"), step, STEPS) == rate


@pytest.mark.parametrize(
    "accuracies, rate",
    [
        ((), 0.5),
        ((0.1, 0.2, 0.3), 0.5),
        ((0.3, 0.2), 0.5),
        ((0.3, 0.2, 0.3), 0.25),
        ((0.3, *[0.2] * 4), 0.125),
    ],
)
def test_a_plateau_lowers_the_rate(accuracies, rate):
    assert learning_rate(replace(FIT, schedule="plateau"), 0, STEPS, scored(*accuracies)) == rate
