"""A run that starts from another run's flat net: taken as it is, or trained further."""

import shutil

import numpy as np
import pytest

from hierarchy import fileio, runs
from hierarchy.data.dataset import Split
from hierarchy.data.formats import registry
from hierarchy.errors import InputError
from hierarchy.models import serialization, vgg
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import FLAT, NODES
from hierarchy.training import sweep
from hierarchy.training.checkpoints import CheckpointManager
from hierarchy.training.train import LOCK
from hierarchy.training.warm_start import check_taught_alike

LAYERS = "net.stages=[[4],[8]]"


@pytest.fixture
def first(few_sketches, monkeypatch):
    """A finished flat net."""
    from hierarchy.data import loading

    monkeypatch.setattr(loading, "SKETCHES", len(few_sketches))
    return train(name="first", node=FLAT)


def train(name, node, start=None, resume=False, settings=(LAYERS,)):
    short = (*settings, "fit.epochs=1", "warm_start.epochs=1")
    plan = {
        "data": "sketch",
        "deterministic": False,
        "resume": resume,
        "seed": None,
        "framework": KERAS_BACKEND,
    }
    return next(sweep.sweep(recipe="sketch", name=name, node=node, start=start, settings=short, **plan))


def test_the_flat_net_is_taken_as_it_is(first):
    run = train("second", "positive,negative", start="first")
    assert list(run.card()["nets"]) == [FLAT, "positive", "negative"]
    assert run.net(FLAT).read_bytes() == first.net(FLAT).read_bytes()
    assert run.card()["start"] == {"first": runs.checksums(first.card())[FLAT]}
    assert run.card()["nets"][FLAT]["from"] == "first"
    assert [row["node"] for row in run.history()] == [FLAT, "positive", "negative"]
    again = train("second", "positive,negative", start="first", resume=True)
    assert again.card() == run.card()


def test_the_flat_net_goes_on_where_it_is_named(first):
    run = train("further", FLAT, start="first")
    assert run.card()["nets"][FLAT]["warm_start"] is True
    assert "from" not in run.card()["nets"][FLAT]
    before, after = (serialization.load(each.net(FLAT)).get_weights()[0] for each in (first, run))
    assert 0 < np.abs(before - after).max() < 0.5  # one gentle epoch away, not another draw


@pytest.mark.parametrize("node", [FLAT, *NODES])
def test_a_warm_start_gives_each_class_the_mean_of_its_leaves(node):
    from hierarchy.config.schema import VGGConfig
    from hierarchy.models import build
    from hierarchy.taxonomy import members

    flat, net = (vgg.build(each, VGGConfig(stages=((4,),))) for each in (FLAT, node))
    build.warm_start(net, flat)
    logits = flat.get_layer(vgg.HEAD).get_weights()[0]
    expected = np.stack([logits[:, group].mean(axis=1) for group in members(node)], axis=1)
    np.testing.assert_allclose(net.get_layer(vgg.HEAD).get_weights()[0], expected)


def test_a_run_goes_on_as_it_was_begun(first):
    train("other", FLAT)
    train("second", "positive", start="first")
    for wrong, complaint in (("other", "start first .* not other"), ("second", "start first .* not second")):
        with pytest.raises(InputError, match=f"was begun with {complaint}"):
            train("second", "negative", start=wrong, resume=True)
    with pytest.raises(InputError, match="was begun with start no run, not first"):
        train("other", "positive", start="first", resume=True)
    shutil.rmtree(first.folder)  # what was taken is there, so the giver is not needed
    assert "negative" in train("second", "negative", resume=True).card()["nets"]


def test_a_flat_net_that_was_begun_is_not_given_up_for_the_starts(first):
    run = train("further", FLAT, start="first")
    card = run.card()
    run.amend({"nets": {FLAT: card["nets"][FLAT] | {"finished": False}}})
    again = train("further", "positive", start="first", resume=True)
    assert "from" not in again.card()["nets"][FLAT] and again.card()["nets"][FLAT]["finished"]


@pytest.mark.parametrize("node", ["positive", FLAT])
def test_a_start_that_learned_other_data_is_said_to_have(first, node, logged):
    train("same", node, start="first")
    assert not any("other data" in line for line in logged.messages)
    first.amend({"data": first.card()["data"] | {"fingerprint": "others"}})
    train("other", node, start="first")
    assert "run 'first' learned other data, which may hold faces that test this run" in logged.messages


def test_one_run_is_trained_by_one_process(first):
    with (
        fileio.exclusive_lock(first.log / LOCK, "taken"),
        pytest.raises(InputError, match="'first' is being trained by"),
    ):
        train("first", FLAT, resume=True)


def test_a_node_without_faces_is_told_before_any_other_is_trained(monkeypatch, few_sketches):
    from hierarchy.data import loading

    gone = (few_sketches.split == Split.PublicTest) & (few_sketches.target("negative") >= 0)
    monkeypatch.setattr(loading, "training_faces", lambda *_: few_sketches.take(~gone))
    with pytest.raises(InputError, match="no PublicTest faces for the negative net"):
        train("x", "all")
    assert not runs.run("x").folder.exists() and not runs.run("x").log.exists()


def test_where_the_data_lie_is_kept_whole(monkeypatch, few_sketches, tmp_path):
    monkeypatch.chdir(tmp_path)
    registry.export(few_sketches, tmp_path / "small", "folders")
    plan = {
        "settings": (LAYERS, "fit.epochs=1"),
        "seed": None,
        "framework": KERAS_BACKEND,
        "deterministic": False,
    }
    about = {"name": "x", "node": FLAT} | plan
    next(sweep.sweep(recipe="sketch", data="small", resume=False, **about))
    monkeypatch.chdir(tmp_path.parent)
    again = next(sweep.sweep(recipe=None, data=None, resume=True, **(about | {"settings": ()})))
    assert again.card()["data"]["source"] == "small/"


def test_a_net_whose_training_went_astray_is_refused(few_sketches):
    with pytest.raises(InputError, match="its flat net gives what is not a number"):
        train("x", FLAT, settings=(LAYERS, "fit.learning_rate=1e30"))


def test_a_damaged_checkpoint_is_named(first, monkeypatch):
    state = first.log / FLAT / "epoch-000.weights.h5"
    monkeypatch.setattr(CheckpointManager, "done", False)
    first.amend({"nets": {FLAT: first.card()["nets"][FLAT] | {"finished": False}}})
    for damage in (lambda: state.write_bytes(state.read_bytes()[:100]), state.unlink):
        damage()
        with pytest.raises(InputError, match=r"epoch-000.weights.h5: cannot go on from it"):
            train("first", FLAT, resume=True)


def test_a_start_that_does_not_fit_is_told_before_anything_is_trained(first):
    with pytest.raises(InputError, match="run 'first': its flat net has other layers than the recipe's"):
        train("wide", "positive", start="first", settings=("net.stages=[[8],[8]]",))
    with pytest.raises(InputError, match="run 'nobody' has not been trained"):
        train("none", "positive", start="nobody")
    with pytest.raises(InputError, match="its flat net learned fer2013 labels, not ferplus; --node all,flat"):
        check_taught_alike(first, {"labels": "ferplus"})
    nets = first.card()["nets"]
    first.amend({"nets": {FLAT: nets[FLAT] | {"finished": False}}})
    with pytest.raises(InputError, match="its flat net is not trained to the end"):
        train("early", "positive", start="first")
    assert runs.names() == ["first"]
