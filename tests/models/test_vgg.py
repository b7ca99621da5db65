import numpy as np
import pytest

from hierarchy.config import recipes
from hierarchy.config.schema import VGGConfig
from hierarchy.errors import InputError
from hierarchy.models import vgg
from hierarchy.taxonomy import FLAT, VALENCE, Tree

TINY = VGGConfig(stages=((4,), (6, 6)), dropout=0.0)


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [("short", 662_622), ("half", 1_176_102), ("full", 4_693_062), ("earlier", 1_389_446)],
)
def test_named_recipes_keep_their_size(recipe, parameters):
    assert vgg.build(VALENCE, FLAT, recipes.named(recipe).net).count_params() == parameters


def test_a_node_has_a_logit_for_each_of_its_classes(other_tree, rng):
    faces = rng.integers(0, 256, (3, 48, 48), dtype=np.uint8)
    for tree in (VALENCE, other_tree):
        for node in tree.nets:
            logits = np.asarray(vgg.build(tree, node, TINY)(faces))
            assert logits.shape == (len(faces), len(tree.classes_of(node))) and np.isfinite(logits).all()


def test_a_branch_of_one_leaf_has_no_net():
    tree = Tree({"mouth": ("happy", "sad"), "neutral": ("neutral",)})
    with pytest.raises(InputError, match="'neutral'"):
        vgg.build(tree, "neutral", TINY)


@pytest.mark.parametrize("net", [VGGConfig(crop=8), VGGConfig(crop=20, padding="valid")])
def test_impossible_nets_are_refused(net):
    with pytest.raises(InputError, match="net\\."):
        vgg.build(VALENCE, FLAT, net)
