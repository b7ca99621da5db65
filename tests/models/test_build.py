"""Nets start warm from a flat net, and can be frozen up to their head."""

import numpy as np
import pytest

from hierarchy.config.schema import VGGConfig
from hierarchy.models import build
from hierarchy.taxonomy import BRANCHES, FLAT, LEAVES, TREE

TINY = VGGConfig(stages=((4,), (6, 6)), dropout=0.0)


def test_a_specialist_starts_as_the_flat_net_restricted_to_its_leaves(rng):
    faces = rng.integers(0, 256, (4, 48, 48), dtype=np.uint8)
    flat = build.build(FLAT, TINY)
    said = np.asarray(flat(faces))
    for branch in BRANCHES:
        net = build.build(branch, TINY)
        build.warm_start(net, flat)
        columns = [LEAVES.index(leaf) for leaf in TREE[branch]]
        np.testing.assert_allclose(np.asarray(net(faces)), said[:, columns], atol=1e-5)


def test_the_router_starts_as_the_mean_of_each_branchs_leaves(rng):
    faces = rng.integers(0, 256, (4, 48, 48), dtype=np.uint8)
    flat, router = build.build(FLAT, TINY), build.build("router", TINY)
    build.warm_start(router, flat)
    said = np.asarray(flat(faces))
    means = [said[:, [LEAVES.index(leaf) for leaf in TREE[branch]]].mean(axis=1) for branch in BRANCHES]
    np.testing.assert_allclose(np.asarray(router(faces)), np.stack(means, axis=1), atol=1e-5)


@pytest.mark.parametrize("net, fitted", [(VGGConfig(stages=((4,),), dense=(5,)), 5), (TINY, 2)])
def test_a_frozen_net_has_its_head_left_to_fit(net, fitted):
    built = build.build(FLAT, net)
    build.freeze(built)
    assert len(built.trainable_variables) == fitted  # kernel, gamma, beta of the dense layer; the logits' two
    assert all(layer.trainable for layer in built.layers if layer.name.startswith(("dense", "logits")))


@pytest.mark.parametrize("net", [VGGConfig(stages=((4,),), dense=(5,)), TINY])
def test_the_two_parts_of_a_net_give_together_what_it_gives(net, rng):
    faces = rng.integers(0, 256, (4, 48, 48), dtype=np.uint8)
    whole = build.build(FLAT, net)
    body, head = build.split(whole)
    said = whole.predict_on_batch(faces)
    np.testing.assert_allclose(head.predict_on_batch(body.predict_on_batch(faces)), said, atol=1e-5)
    assert head.layers[-1] is whole.layers[-1]
