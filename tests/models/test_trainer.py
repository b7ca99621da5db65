"""Training by real commands in processes of their own: killed, resumed, repeated."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierarchy import runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.config import recipes
from hierarchy.config.schema import AugmentConfig, Recipe, TrainConfig, VGGConfig
from hierarchy.data.dataset import Split
from hierarchy.data.formats import registry
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.models import keras_setup, trainer, vgg
from hierarchy.models.dataloader import KerasDataset
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.training import train
from hierarchy.training.backend import TrainTask
from hierarchy.training.resume import begin, plan_of
from hierarchy.training.targets import class_weights, node_dataset

COMMAND_LINE = Path(__file__).parents[2] / "tf_model.py"
EPOCHS = 8
TINY = (
    *("--recipe", "sketch", "--node", "flat", "--deterministic", "--set", "net.stages=[[4],[8]]"),
    *("--set", f"fit.epochs={EPOCHS}", "--set", "fit.ema=0.9", "--set", "augment.mixup=0.2"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small data set, and the environment that makes it home."""
    folder = tmp_path_factory.mktemp("home")
    registry.export(sketch_faces(300), folder / "data", "csv")
    return folder


def command(place, run, *more):
    where = ("--data", str(place / "data"), "--run", run)
    arguments = [sys.executable, str(COMMAND_LINE), "train", *where, *TINY, *more]
    environment = {**os.environ, "HIERARCHY_HOME": str(place), "FER2013_CACHE": str(place / "cache")}
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True, cwd=place)


def finish(process):
    complaint = process.communicate()[1]
    assert process.returncode == 0, complaint


def leftovers(place, run):
    """The bytes of a run's net, and its history without durations."""
    folder = place / "results" / run
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    durations = ("seconds", "images_per_second")
    timeless = [{key: value for key, value in row.items() if key not in durations} for row in rows]
    return (folder / "flat.keras").read_bytes(), timeless


def wait_for_epochs(count, process):
    """Read its messages up to that of the epoch after `count`, which have been stored by then."""
    if not any(f"epoch {count + 1}/{EPOCHS}" in line for line in process.stderr):
        raise AssertionError("the run ended before it could be stopped")


@pytest.fixture(scope="module")
def whole(place):
    finish(command(place, "whole"))
    return leftovers(place, "whole")


@pytest.mark.long
def test_a_killed_run_is_resumed_to_the_same_weights_and_history(place, whole):
    process = command(place, "killed")
    wait_for_epochs(2, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    finish(command(place, "killed", "--resume"))
    assert leftovers(place, "killed") == whole
    assert len(whole[1]) == EPOCHS


@pytest.mark.long
def test_ctrl_c_leaves_a_usable_net_and_the_command_to_resume(place, whole):
    process = command(place, "stopped")
    wait_for_epochs(1, process)
    process.send_signal(signal.SIGINT)
    with process.stderr:
        complaint = process.stderr.read()
    assert process.wait() == 130
    assert "--run stopped --resume" in complaint and "Traceback" not in complaint
    manifest = json.loads((place / "results" / "stopped" / "recipe.json").read_text())
    assert manifest["nets"][FLAT]["finished"] is False
    finish(command(place, "stopped", "--resume"))
    assert leftovers(place, "stopped") == whole


def test_resume_needs_no_options_but_the_name(place, whole):
    environment = {**os.environ, "HIERARCHY_HOME": str(place), "FER2013_CACHE": str(place / "cache")}
    arguments = [sys.executable, str(COMMAND_LINE), "train", "--run", "whole", "--resume"]
    subprocess.run(arguments, env=environment, check=True)
    assert leftovers(place, "whole") == whole


def test_a_run_stopped_in_its_first_epoch_is_resumed_by_its_own_plan(own_home):
    run = runs.run("early")
    begun = {"recipe": recipes.HALF.as_dict(), "seed": 4}
    begin(run, begun, resume=False, asked={"data": "sketch", "node": "flat"})
    assert plan_of(run)["recipe"]["name"] == "half"
    begin(run, begun | {"seed": 5}, resume=False, asked={})  # nothing is lost by starting again
    assert plan_of(run)["seed"] == 5


def test_a_disk_that_is_full_for_events_is_named(own_home, few_sketches, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("{{node CreateSummaryFileWriter}} /logs/events; No space left on device")

    monkeypatch.setattr(trainer.keras.callbacks.TensorBoard, "on_epoch_end", full)
    net = VGGConfig(stages=((4,), (8,)))
    recipe = replace(recipes.named("sketch"), net=net)
    roles = [few_sketches.of(Split.Training), few_sketches.of(Split.PublicTest).for_node(VALENCE, FLAT)]
    task = TrainTask(FLAT, recipe, recipe.fit, 0, runs.run("x"), *roles, {"recipe": recipe.as_dict()})
    with pytest.raises(InputError, match=r"logs/x: cannot be written \(No space left on device\)$"):
        trainer.fit_node(task)


def test_an_existing_run_is_not_overwritten(place, whole):
    process = command(place, "whole")
    complaint = process.communicate()[1]
    assert process.returncode == 2 and complaint.count("\n") == 1 and "--resume" in complaint


def test_resuming_with_another_recipe_is_refused(place, whole):
    process = command(place, "whole", "--resume", "--set", "fit.learning_rate=0.5")
    complaint = process.communicate()[1]
    assert process.returncode == 2 and "fit.learning_rate 0.1, not 0.5" in complaint


def task(fit, recipe, train=None, valid=None):
    return TrainTask(FLAT, recipe, fit, 0, runs.run("none"), train, valid, {})


def test_faces_of_another_role_cannot_be_handed_in():
    faces = sketch_faces(200)
    valid, test = faces.of(Split.PublicTest), faces.of(Split.PrivateTest)
    for pair in ((test, valid), (faces.of(Split.Training), test)):
        with pytest.raises(ValueError, match="another split"):
            trainer.fit_node(
                task(recipes.SKETCH.fit, recipes.SKETCH, *(part.for_node(VALENCE, FLAT) for part in pair))
            )


@pytest.mark.long
def test_a_small_hierarchy_learns_the_sketches():
    faces = sketch_faces(3000, seed=1).for_node(VALENCE, FLAT)
    roles = {split: faces.of(split) for split in Split}
    classifier = HierarchicalClassifier(recipe="sketch").fit(roles[Split.Training], roles[Split.PublicTest])
    unseen = replace(roles[Split.PrivateTest], source="unseen")
    assert classifier.score(unseen) >= 0.90
    assert classifier.set_params(routing="hard").score(unseen) >= 0.90
    assert set(classifier.predict(unseen)) == set(VALENCE.leaves)
    np.testing.assert_allclose(classifier.predict_proba(unseen).sum(axis=1), 1)


def compiled(**changes):
    recipe = recipes.SKETCH
    fit = replace(recipe.fit, **changes)
    net = vgg.build(VALENCE, FLAT, VGGConfig(stages=((4,),)), fit.l2)
    return trainer._compiled(net, task(fit, recipe), steps=100)


def test_half_precision_is_of_the_arithmetic_alone(monkeypatch):
    monkeypatch.setattr(keras_setup, "accelerated", lambda: True)
    recipe = Recipe("half", net=VGGConfig(stages=((4,),)))
    fit = TrainConfig(precision="bfloat16")
    net = trainer.trainable(task(fit, recipe))
    assert net.get_layer("block1_conv1").compute_dtype == "bfloat16"
    assert {str(weight.dtype) for weight in net.weights} == {"float32"}
    assert net(sketch_faces(7).pixels).dtype == vgg.build(VALENCE, FLAT, recipe.net).output.dtype


def rates(model, steps):
    schedule = model.optimizer._learning_rate
    return [float(schedule(step)) for step in steps]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero():
    start, peak, middle, end = rates(compiled(epochs=10, learning_rate=0.5, warm_up=0.2), (0, 200, 600, 1000))
    assert start == pytest.approx(0.5 / 25) and peak == pytest.approx(0.5)
    assert middle == pytest.approx(0.25) and end == pytest.approx(0, abs=1e-6)


def test_weight_decay_shrinks_kernels_and_nothing_else():
    model = compiled(weight_decay=0.01, schedule="constant", learning_rate=0.1)
    before = [variable.numpy().copy() for variable in model.trainable_variables]
    still = [np.zeros_like(value) for value in before]
    model.optimizer.apply(still, model.trainable_variables)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        # coupled SGD with momentum m takes rate * decay / (1 - m) of a weight in the long run
        shrunk = value * (1 - 0.1 * 0.01 / (1 - 0.9)) if variable.name == "kernel" else value
        np.testing.assert_allclose(variable.numpy(), shrunk, rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"loss": "focal"}, {"optimizer": "adam"}, {"l2": 0.1}, {"clip_norm": 1.0}, {"class_weights": True}],
)
def test_every_option_gives_a_step_that_changes_the_weights(changes):
    model = compiled(oversample=False, **changes)
    faces = sketch_faces(80).for_node(VALENCE, FLAT)
    fit = TrainConfig(batch_size=32)
    batches = KerasDataset(node_dataset(faces, VALENCE, FLAT, fit), fit, AugmentConfig(), seed=0)
    inverse = class_weights(batches.node_dataset.label, len(VALENCE.leaves))
    weights = dict(enumerate(inverse)) if changes.get("class_weights") else None
    before = model.get_weights()
    losses = model.fit(batches, verbose=0, class_weight=weights).history["loss"]
    assert np.isfinite(losses).all()
    assert any((new != old).any() for new, old in zip(model.get_weights(), before, strict=True))


def test_the_flat_net_is_trained_first_where_the_others_start_from_it(other_tree):
    assert train.order(VALENCE.nodes, recipes.SKETCH) == list(VALENCE.nets)
    other = replace(recipes.SKETCH, tree=other_tree)
    assert train.order(other_tree.nodes[::-1], other) == list(other_tree.nets)
    assert train.order(("positive",), recipes.EARLIER) == ["positive"]
