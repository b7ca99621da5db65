"""Nets are initialised from a flat net, and can be frozen up to their head."""

import keras
import numpy as np
import pytest

from hierarchy.config.schema import VGGConfig
from hierarchy.models import build
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE

TINY = VGGConfig(stages=((4,), (6, 6)), dropout=0.0)


def test_a_specialist_starts_as_the_flat_net_restricted_to_its_leaves(rng, other_tree):
    faces = rng.integers(0, 256, (4, 48, 48), dtype=np.uint8)
    for tree in (VALENCE, other_tree):
        flat = build.build(tree, FLAT, TINY)
        logits = np.asarray(flat(faces))
        for branch in tree.nodes[1:]:
            net = build.build(tree, branch, TINY)
            build.warm_start(tree, net, [flat])
            np.testing.assert_allclose(np.asarray(net(faces)), logits[:, tree.leaf_slice(branch)], atol=1e-5)


def test_the_router_starts_as_the_mean_of_each_branchs_leaves(rng, other_tree):
    faces = rng.integers(0, 256, (4, 48, 48), dtype=np.uint8)
    for tree in (VALENCE, other_tree):
        flat, router = build.build(tree, FLAT, TINY), build.build(tree, ROUTER, TINY)
        build.warm_start(tree, router, [flat])
        logits = np.asarray(flat(faces))
        means = [logits[:, tree.leaf_slice(branch)].mean(axis=1) for branch in tree.branches]
        np.testing.assert_allclose(np.asarray(router(faces)), np.stack(means, axis=1), atol=1e-5)


@pytest.mark.parametrize("net, fitted", [(VGGConfig(stages=((4,),), dense=(5,)), 5), (TINY, 2)])
def test_a_frozen_net_has_its_head_left_to_fit(net, fitted):
    built = build.build(VALENCE, FLAT, net)
    build.freeze(built)
    assert len(built.trainable_variables) == fitted  # kernel, gamma, beta of the dense layer; the logits' two
    assert all(layer.trainable for layer in built.layers if layer.name.startswith(("dense", "logits")))


@pytest.mark.parametrize("last, fitted", [("block1_pool", 8), ("block2_conv2", 4)])
def test_a_net_is_frozen_up_to_a_layer(last, fitted):
    built = build.build(VALENCE, FLAT, TINY)
    build.freeze(built, last)
    assert len(built.trainable_variables) == fitted


@pytest.mark.parametrize("net", [VGGConfig(stages=((4,),), dense=(5,)), TINY])
def test_the_two_parts_of_a_net_give_together_what_it_gives(net, rng):
    faces = rng.integers(0, 256, (4, 48, 48), dtype=np.uint8)
    whole = build.build(VALENCE, FLAT, net)
    body, head = build.split(whole)
    said = whole.predict_on_batch(faces)
    np.testing.assert_allclose(head.predict_on_batch(body.predict_on_batch(faces)), said, atol=1e-5)
    assert head.layers[-1] is whole.layers[-1]


def test_macs_count_depthwise_convolutions():
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.DepthwiseConv2D(3, padding="same")(pixels)
    x = keras.layers.Flatten()(keras.layers.Conv2D(5, 1)(x))
    net = keras.Model(pixels, keras.layers.Dense(2)(x))
    assert build.macs(net) == 64 * 9 * 3 + 64 * 3 * 5 + 64 * 5 * 2
