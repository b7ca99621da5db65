"""Runs that start from another run's flat net: reused as it is, or trained further."""

import shutil

import numpy as np
import pytest

from hierarchy import fileio, runs
from hierarchy.config import recipes
from hierarchy.config.overrides import with_settings
from hierarchy.data.dataset import Split
from hierarchy.data.formats import registry
from hierarchy.errors import InputError
from hierarchy.models import serialization, vgg
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.training import sweep
from hierarchy.training.checkpoints import CheckpointManager
from hierarchy.training.train import LOCK
from hierarchy.training.train import train as fit
from hierarchy.training.warm_start import take_flat

LAYERS = "net.stages=[[4],[8]]"


@pytest.fixture
def first(few_sketches, monkeypatch):
    """A finished flat net."""
    from hierarchy.data import loading

    monkeypatch.setattr(loading, "SKETCHES", len(few_sketches))
    return train(name="first", node=FLAT)


def stored(run):
    return fileio.read_json(run.folder / runs.MANIFEST)


def train(name, node, start=None, resume=False, settings=(LAYERS,)):
    short = (*settings, "fit.epochs=1", "warm_start.epochs=1")
    plan = {
        "data": "sketch",
        "deterministic": False,
        "resume": resume,
        "seed": None,
        "backend": KERAS_BACKEND,
    }
    return next(sweep.sweep(recipe="sketch", name=name, node=node, start=start, settings=short, **plan))


def test_the_flat_net_is_taken_as_it_is(first):
    run = train("second", "positive,negative", start="first")
    assert list(run.manifest().nets) == [FLAT, "positive", "negative"]
    assert run.net(FLAT).read_bytes() == first.net(FLAT).read_bytes()
    assert run.manifest().start == {"first": first.manifest().checksums[FLAT]}
    assert run.manifest().nets[FLAT].copied_from == "first"
    assert [row["node"] for row in run.history()] == [FLAT, "positive", "negative"]
    again = train("second", "positive,negative", start="first", resume=True)
    assert again.manifest() == run.manifest()


def test_the_flat_net_goes_on_where_it_is_named(first):
    run = train("further", FLAT, start="first")
    assert run.manifest().nets[FLAT].warm_start is True
    assert run.manifest().nets[FLAT].copied_from is None
    before, after = (serialization.load(each.net(FLAT)).get_weights()[0] for each in (first, run))
    assert 0 < np.abs(before - after).max() < 0.5  # one gentle epoch away, not another draw


@pytest.mark.parametrize("node", VALENCE.nets)
def test_a_warm_start_gives_each_class_the_mean_of_its_leaves(node):
    from hierarchy.config.schema import VGGConfig
    from hierarchy.models import build

    flat, net = (vgg.build(VALENCE, each, VGGConfig(stages=((4,),))) for each in (FLAT, node))
    build.warm_start(VALENCE, net, [flat])
    logits = flat.get_layer(vgg.HEAD).get_weights()[0]
    expected = np.stack([logits[:, group].mean(axis=1) for group in VALENCE.members(node)], axis=1)
    np.testing.assert_allclose(net.get_layer(vgg.HEAD).get_weights()[0], expected)


def test_a_run_goes_on_as_it_was_begun(first):
    train("other", FLAT)
    train("second", "positive", start="first")
    for wrong in ("other", "second"):
        with pytest.raises(InputError, match=f"start first .*{wrong}"):
            train("second", "negative", start=wrong, resume=True)
    with pytest.raises(InputError, match="start .*first"):
        train("other", "positive", start="first", resume=True)
    shutil.rmtree(first.folder)  # what was taken is there, so the giver is not needed
    assert "negative" in train("second", "negative", resume=True).manifest().nets


def test_a_flat_net_that_was_begun_is_not_given_up_for_the_starts(first):
    run = train("further", FLAT, start="first")
    run.amend({"nets": {FLAT: stored(run)["nets"][FLAT] | {"finished": False}}})
    again = train("further", "positive", start="first", resume=True)
    flat = again.manifest().nets[FLAT]
    assert flat.copied_from is None and flat.finished


@pytest.mark.parametrize("node", ["positive", FLAT])
def test_a_start_trained_on_other_data_is_reported(first, node, logged):
    train("same", node, start="first")
    assert not any("'first'" in line for line in logged.messages)
    first.amend({"data": stored(first)["data"] | {"fingerprint": "others"}})
    train("other", node, start="first")
    assert any("'first'" in line and "dataset" in line for line in logged.messages)


def test_one_run_is_trained_by_one_process(first):
    with (
        fileio.exclusive_lock(first.log / LOCK, "taken"),
        pytest.raises(InputError, match="'first'"),
    ):
        train("first", FLAT, resume=True)


def test_a_node_without_faces_is_refused_before_any_other_is_trained(monkeypatch, few_sketches):
    from hierarchy.data import loading

    gone = (few_sketches.split == Split.PublicTest) & (few_sketches.target(VALENCE, "negative") >= 0)
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
        "backend": KERAS_BACKEND,
        "deterministic": False,
    }
    about = {"name": "x", "node": FLAT} | plan
    next(sweep.sweep(recipe="sketch", data="small", resume=False, **about))
    monkeypatch.chdir(tmp_path.parent)
    again = next(sweep.sweep(recipe=None, data=None, resume=True, **(about | {"settings": ()})))
    assert again.manifest().data["source"] == "small/"


def test_a_net_that_outputs_nan_is_refused(few_sketches):
    with pytest.raises(InputError, match="flat net.*learning_rate"):
        large = ("fit.learning_rate=1e6", "fit.weight_decay=1e6", "fit.momentum=0.99")
        train("x", FLAT, settings=(LAYERS, "net.batch_norm=false", *large))


def test_a_damaged_checkpoint_is_named(first, monkeypatch):
    state = first.log / FLAT / "epoch-000.weights.h5"
    monkeypatch.setattr(CheckpointManager, "done", False)
    first.amend({"nets": {FLAT: stored(first)["nets"][FLAT] | {"finished": False}}})
    for damage in (lambda: state.write_bytes(state.read_bytes()[:100]), state.unlink):
        damage()
        with pytest.raises(InputError, match=r"epoch-000.weights.h5"):
            train("first", FLAT, resume=True)


def test_a_start_that_does_not_fit_is_refused_before_anything_is_trained(first, few_sketches):
    with pytest.raises(InputError, match="'first'.*net\\."):
        train("wide", "positive", start="first", settings=("net.stages=[[8],[8]]",))
    with pytest.raises(InputError, match="'nobody'"):
        train("none", "positive", start="nobody")
    recipe = with_settings(recipes.SKETCH, [LAYERS])
    with pytest.raises(InputError, match="'first'.*fer2013.*ferplus"):
        identity = {"labels": "ferplus", "start": {"first": ""}}
        take_flat(runs.run("votes"), recipe, ("positive",), identity, KERAS_BACKEND)
    wide = with_settings(recipes.SKETCH, ["net.stages=[[8],[8]]"])
    with pytest.raises(InputError, match="'first'.*net\\."):  # as in the log of a run that is resumed
        identity = {"labels": "fer2013", "start": {"first": ""}}
        fit(runs.run("wide"), few_sketches, wide, nodes=(FLAT,), identity=identity, backend=KERAS_BACKEND)
    nets = stored(first)["nets"]
    first.amend({"nets": {FLAT: nets[FLAT] | {"finished": False}}})
    with pytest.raises(InputError, match="'first'"):
        train("early", "positive", start="first")
    assert runs.names() == ["first"]


def test_a_start_of_another_tree_is_refused_with_both_printed(first, other_tree, tmp_path):
    from dataclasses import replace

    from hierarchy.config import overrides

    overrides.store(replace(recipes.SKETCH, name="x", tree=other_tree), tmp_path / "recipe.json")
    about = {"data": "sketch", "deterministic": False, "seed": None, "backend": KERAS_BACKEND, "name": "x"}
    with pytest.raises(InputError, match="'first'") as error:
        next(
            sweep.sweep(
                recipe=str(tmp_path / "recipe.json"),
                node=None,
                settings=(),
                start="first",
                resume=False,
                **about,
            )
        )
    assert str(other_tree) in str(error.value) and str(VALENCE) in str(error.value)
