"""A run that starts from another run's flat net: taken as it is, or trained further."""

import shutil

import numpy as np
import pytest

from hierarchy import runs
from hierarchy.errors import InputError
from hierarchy.fitting import campaign
from hierarchy.fitting.origin import check_taught_alike
from hierarchy.nets import store, vgg
from hierarchy.nets.framework import KERAS
from hierarchy.taxonomy import FLAT, NODES

LAYERS = "net.stages=[[4],[8]]"


@pytest.fixture
def first(few_sketches, monkeypatch):
    """A finished flat net."""
    from hierarchy.data import sources

    monkeypatch.setattr(sources, "SKETCHES", len(few_sketches))
    return train(name="first", node=FLAT)


def train(name, node, start=None, resume=False, settings=(LAYERS,)):
    short = (*settings, "fit.epochs=1", "warm.epochs=1")
    plan = {
        "data": "sketch",
        "deterministic": False,
        "say": lambda line: None,
        "resume": resume,
        "seed": None,
        "framework": KERAS,
    }
    return next(campaign.campaign(recipe="sketch", name=name, node=node, start=start, settings=short, **plan))


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
    before, after = (store.load(each.net(FLAT)).get_weights()[0] for each in (first, run))
    assert 0 < np.abs(before - after).max() < 0.5  # one gentle epoch away, not another draw


@pytest.mark.parametrize("node", [FLAT, *NODES])
def test_a_warm_start_gives_each_class_the_mean_of_its_leaves(node):
    from hierarchy.hyperparameters import Net
    from hierarchy.nets import architecture
    from hierarchy.taxonomy import members

    flat, net = (vgg.build(each, Net(stages=((4,),))) for each in (FLAT, node))
    architecture.warm_start(net, flat)
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


def test_a_start_that_does_not_fit_is_told_before_anything_is_trained(first):
    with pytest.raises(InputError, match="run 'first': its flat net has other layers than the recipe's"):
        train("wide", "positive", start="first", settings=("net.stages=[[8],[8]]",))
    with pytest.raises(InputError, match="run 'nobody' has not been trained"):
        train("none", "positive", start="nobody")
    with pytest.raises(InputError, match="its flat net learned fer2013 labels, not ferplus; --node all,flat"):
        check_taught_alike(first, {"labels": "ferplus"}, print)
    warned = []
    check_taught_alike(first, {"labels": "fer2013", "data": {"fingerprint": "others"}}, warned.append)
    assert "learned other data, which may hold faces that test this run" in warned[0]
    nets = first.card()["nets"]
    first.amend({"nets": {FLAT: nets[FLAT] | {"finished": False}}})
    with pytest.raises(InputError, match="its flat net is not trained to the end"):
        train("early", "positive", start="first")
    assert runs.names() == ["first"]
