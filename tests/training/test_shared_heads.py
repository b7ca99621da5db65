"""One net with a head for every node, and nets of several bodies."""

import numpy as np
import pytest

from hierarchy import runs, runtimes
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.config import recipes
from hierarchy.config.overrides import from_dict, with_settings
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.models import build, serialization, trainer
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.routing import node_logits_from_flat
from hierarchy.taxonomy import FLAT, ROUTER, TRUNK, VALENCE
from hierarchy.training import targets, train

SHORT = ("net.stages=[[4],[8]]", "fit.epochs=1", "warm_start.epochs=1")


@pytest.fixture
def sketches(few_sketches, monkeypatch):
    from hierarchy.data import loading

    monkeypatch.setattr(loading, "SKETCHES", len(few_sketches))
    return few_sketches


def trained(name, *settings, recipe="sketch", node=None, start=None, resume=False):
    return train.run(
        data="sketch",
        recipe=recipe,
        settings=settings,
        node=node,
        name=name,
        seed=None,
        resume=resume,
        deterministic=True,
        start=start,
        backend=KERAS_BACKEND,
    )


def test_outputs_of_a_trunk_are_those_of_all_nodes_and_of_the_leaves(other_tree):
    columns = other_tree.columns(TRUNK)
    assert list(columns) == [*other_tree.nodes, FLAT]
    names = other_tree.classes_of(TRUNK)
    assert all(names[own] == other_tree.classes_of(node) for node, own in columns.items())
    assert sum(own.stop - own.start for own in columns.values()) == len(names)


def test_leaf_scores_are_those_of_router_and_specialist(other_tree, rng):
    table, columns = targets.leaf_scores(other_tree), other_tree.columns(TRUNK)
    scores = rng.normal(size=len(other_tree.classes_of(TRUNK)))
    for leaf, name in enumerate(other_tree.leaves):
        branch = other_tree.branch_of(name)
        expected = scores[columns[ROUTER]][other_tree.branches.index(branch)]
        if branch in columns:
            expected += scores[columns[branch]][other_tree.children[branch].index(name)]
        assert (scores @ table)[leaf] == pytest.approx(expected)


def test_the_loss_is_the_sum_of_the_heads(few_sketches, rng):
    columns = VALENCE.columns(TRUNK)
    wanted = targets.labels_of(few_sketches.of(Split.Training), VALENCE, TRUNK)
    logits = rng.normal(size=wanted.shape).astype(np.float32)
    fit = recipes.named("sketch").fit
    whole = float(trainer.loss_of(fit, list(columns.values()))(wanted, logits))
    parts = 0.0
    for own in columns.values():
        rows = wanted[:, own].any(axis=1)
        parts += float(trainer.loss_of(fit)(wanted[rows, own], logits[rows, own])) * rows.mean()
    assert whole == pytest.approx(parts, rel=1e-5)


def test_a_trunk_is_one_net_for_all_nodes(sketches):
    run = trained("one", *SHORT, "heads=shared")
    manifest = run.manifest()
    assert all(manifest.nets[node].shared for node in VALENCE.nodes)
    assert {manifest.nets[node].file for node in VALENCE.nodes} == {f"{TRUNK}.keras"}
    assert from_dict(manifest.recipe, "one").heads == "shared"
    classifier = HierarchicalClassifier.load("one")
    net = serialization.load(run.net(ROUTER))
    expected = net.predict(sketches.pixels, verbose=0)
    for node, logits in classifier.outputs(sketches).items():
        if node != FLAT:
            assert logits == pytest.approx(expected[:, VALENCE.columns(TRUNK)[node]], abs=1e-4)
    soft = classifier.predict(sketches)
    valid = (sketches.split == Split.PublicTest) & (sketches.target(VALENCE, FLAT) >= 0)
    right = soft[valid] == np.array(VALENCE.leaves)[sketches.target(VALENCE, FLAT)[valid]]
    assert manifest.public_test_accuracy == pytest.approx(right.mean())
    assert classifier.set_params(routing="lazy").predict(sketches).tolist() == soft.tolist()
    assert {row["node"] for row in run.history()} == {FLAT, TRUNK}
    assert trained("one", *SHORT, "heads=shared", resume=True).manifest() == manifest


def test_a_shared_net_runs_once_for_all_its_nodes():
    calls = []

    def net(pixels):
        calls.append(len(pixels))
        return np.arange(6.0)[None].repeat(len(pixels), axis=0)

    heads = {"a": runtimes.Head(net, slice(0, 2)), "b": runtimes.Head(net, slice(2, 6)), "c": net}
    logits = runtimes.outputs(heads, np.zeros((3, 48, 48), np.uint8))
    assert [len(values[0]) for values in logits.values()] == [2, 4, 6]
    assert calls == [3, 3]


@pytest.fixture
def two_bodies(sketches, monkeypatch):
    """A run of two bodies, from the flat nets of two runs."""
    small = with_settings(recipes.named("sketch"), (*SHORT, "net.blur=0.4")).net
    wide = with_settings(recipes.named("sketch"), ("net.stages=[[6],[6]]",)).net
    duo = recipes.replace(recipes.DUO, net=recipes.ParallelConfig((small, wide)))
    monkeypatch.setitem(recipes.RECIPES, "duo", duo)
    trained("small", *SHORT, "net.blur=0.4", node=FLAT)
    trained("wide", "net.stages=[[6],[6]]", "fit.epochs=1", node=FLAT)
    return trained("duo", "fit.epochs=1", recipe="duo", start="small,wide")


def test_bodies_of_two_runs_have_one_head(two_bodies, sketches):
    manifest = two_bodies.manifest()
    assert list(manifest.start) == ["small", "wide"]
    assert HierarchicalClassifier.load("duo").predict_proba(sketches).sum(axis=1) == pytest.approx(1)
    parts = [runs.run(name).manifest().nets[FLAT].macs for name in manifest.start]
    assert manifest.nets[FLAT].macs == pytest.approx(sum(parts), rel=0.01)


def test_two_bodies_begin_as_the_mean_of_their_flat_nets(two_bodies, sketches):
    flats = [serialization.load(runs.run(name).net(FLAT)) for name in ("small", "wide")]
    net = build.build(VALENCE, FLAT, from_dict(two_bodies.manifest().recipe, "duo").net)
    build.warm_start(VALENCE, net, flats)
    expected = np.mean([flat.predict(sketches.pixels, verbose=0) for flat in flats], axis=0)
    assert net.predict(sketches.pixels, verbose=0) == pytest.approx(expected, abs=1e-4)


def test_a_trunk_begins_near_its_flat_net(sketches):
    run = trained("flat", *SHORT, node=FLAT)
    flat = serialization.load(run.net(FLAT))
    net = build.build(VALENCE, TRUNK, from_dict(run.manifest().recipe, "flat").net)
    build.warm_start(VALENCE, net, [flat])
    logits, source = (each.predict(sketches.pixels, verbose=0) for each in (net, flat))
    columns = VALENCE.columns(TRUNK)
    for branch in VALENCE.branches:
        assert logits[:, columns[branch]] == pytest.approx(
            node_logits_from_flat(VALENCE, source, branch), abs=1e-4
        )


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        (("heads=shared", "fit.outlier_ratio=0.5"), None),
        (("heads=shared", "fit.loss=focal"), None),
        (("heads=shared", "fit.class_weights=true"), None),
        (("heads=both",), None),
    ],
)
def test_what_heads_cannot_share_is_refused(sketches, settings, start):
    with pytest.raises(InputError, match="heads"):
        trained("bad", *SHORT, *settings, start=start)


@pytest.mark.parametrize("start", ["small", "small,small", "small,wide,small"])
def test_every_body_needs_a_run(two_bodies, start):
    with pytest.raises(InputError, match="--init-from"):
        trained("other", recipe="duo", start=start)
