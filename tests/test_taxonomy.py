"""Trees hold together, FER-2013's codes never move, and whatever is not a tree is refused on one line."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.data.formats import FER2013_NAMES, FERPLUS_NAMES
from hierarchy.errors import InputError
from hierarchy.taxonomy import (
    ALIASES,
    COLOURS,
    CYCLE,
    FLAT,
    RESERVED,
    ROUTER,
    TREES,
    VALENCE,
    Tree,
    colour,
    ink,
    tree_named,
)

SHAPES = {
    "2x2": Tree({"up": ["a", "b"], "down": ["c", "d"]}),
    "3+1": Tree({"one": ["a", "b", "c"], "lone": ["d"]}),
    "2x4": Tree({"left": list("abcd"), "right": list("efgh")}),
    "lone": Tree({"engaged": ["engaged"], "bored": ["bored"]}),
    "three": Tree({"x": ["a", "b"], "y": ["c"], "z": ["d", "e"]}),
    **TREES,
}
each_tree = pytest.mark.parametrize("tree", SHAPES.values(), ids=list(SHAPES))

names = some.text(some.sampled_from("abcd"), min_size=1, max_size=4)
children = some.lists(names, unique=True, min_size=4, max_size=8).map(
    lambda each: {each[0]: each[2::2], each[1]: each[3::2]}
)


def test_codes_are_those_of_fer2013():
    assert FER2013_NAMES == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert set(FER2013_NAMES) < set(FERPLUS_NAMES)


def test_the_default_tree_is_the_one_of_every_stored_run():
    assert VALENCE.hash == "8ad23beafa18" and VALENCE is TREES["valence"]
    assert VALENCE.nets == (FLAT, ROUTER, *VALENCE.branches)


def test_the_named_trees_hold_every_class_of_their_data():
    assert set(TREES["valence7"].leaves) == set(FER2013_NAMES)
    assert set(TREES["ferplus8"].leaves) == set(FERPLUS_NAMES)


@each_tree
def test_every_leaf_is_found_from_its_branch(tree):
    for leaf in tree.leaves:
        branch = tree.branch_of(leaf)
        assert leaf in tree.children[branch] and leaf in tree.leaves[tree.leaf_slice(branch)]
        assert tree.classes_of(ROUTER)[tree.class_index(ROUTER, leaf)] == branch
        assert tree.classes_of(FLAT)[tree.class_index(FLAT, leaf)] == leaf
    assert (
        tuple(leaf for branch in tree.branches for leaf in tree.leaves[tree.leaf_slice(branch)])
        == tree.leaves
    )


@each_tree
def test_a_net_is_trained_on_its_own_classes(tree):
    for node in tree.nets:
        trained = [tree.class_index(node, leaf) for leaf in tree.leaves]
        assert set(trained) - {-1} == set(range(len(tree.classes_of(node))))
        for number, group in enumerate(tree.members(node)):
            assert [trained[place] for place in group] == [number] * len(group)
        assert tree.class_index(node, None) == -1


@each_tree
def test_a_branch_of_one_leaf_has_no_specialist(tree):
    for branch, leaves in tree.children.items():
        assert (branch in tree.nodes) == (len(leaves) > 1)
    assert tree.complete(dict.fromkeys(tree.nodes)) and not tree.complete({FLAT: None})


@each_tree
def test_a_tree_comes_back_from_plain_values(tree):
    again = Tree.from_dict(tree.to_dict())
    assert again == tree and again.hash == tree.hash and hash(again) == hash(tree) and str(again) == str(tree)


def test_nodes_are_named_one_by_one_or_all_at_once():
    assert VALENCE.nodes_named("all") == VALENCE.nodes
    first = VALENCE.branches[0]
    assert VALENCE.nodes_named(f"{first},flat,{first}") == (first, FLAT)
    assert VALENCE.nodes_named("all,flat") == (*VALENCE.nodes, FLAT)
    for wrong in (f"{first},", f"{first},{VALENCE.leaves[0]}", "", "sideways"):
        with pytest.raises(InputError, match="node"):
            VALENCE.nodes_named(wrong)
    with pytest.raises(InputError, match="sideways"):
        VALENCE.classes_of("sideways")


@pytest.mark.parametrize("name", (*VALENCE.leaves, *ALIASES))
def test_spellings_of_an_expression_are_one(name):
    plain = ALIASES.get(name, name)
    assert VALENCE.leaf_named(f"  {name.title()} ") == (plain if plain in VALENCE.leaves else None)


def test_a_trees_own_spellings_come_first():
    tree = Tree({"on": ["Joy", "calm"], "off": ["bored"]}, aliases={"sad": "bored"})
    assert tree.leaf_named("happiness") == tree.leaf_named("joy") == "Joy"
    assert tree.leaf_named(" SAD") == "bored" and tree.leaf_named("angry") is None
    assert Tree.from_dict(tree.to_dict()).leaf_named("sad") == "bored"


@given(children, children)
def test_the_hash_distinguishes_any_two_trees(left, right):
    same = list(left.items()) == list(right.items())
    assert (Tree(left).hash == Tree(right).hash) is same


def test_the_hash_changes_with_the_order():
    turned = Tree(dict(reversed(VALENCE.children.items())))
    shuffled = Tree({branch: leaves[::-1] for branch, leaves in VALENCE.children.items()})
    assert len({VALENCE.hash, turned.hash, shuffled.hash}) == len((VALENCE, turned, shuffled))
    assert turned != VALENCE != shuffled and Tree.from_dict(turned.to_dict()).branches == turned.branches


def test_another_tree_is_refused_with_both_printed():
    other = SHAPES["3+1"]
    with pytest.raises(InputError) as refusal:
        VALENCE.check_same(other, "results/old")
    for part in ("results/old", str(other), str(VALENCE)):
        assert part in str(refusal.value)
    VALENCE.check_same(Tree.from_dict(VALENCE.to_dict()), "results/new")


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        ["a"],
        {"only": ["a", "b"]},
        {"up": [], "down": ["a"]},
        {"up": "ab", "down": ["c"]},
        {"up": ["a", "a"], "down": ["b"]},
        {"up": ["a"], "down": ["a"]},
        {"up": ["a", "A"], "down": ["b"]},
        {"up": ["a", "up"], "down": ["b"]},
        {"up": ["up"], "down": ["up", "b"]},
        {"up": ["a", "down"], "down": ["b"]},
        {"up": [1], "down": ["b"]},
        {"up": [""], "down": ["b"]},
        {"up": ["a/b"], "down": ["b"]},
        {"up": ["x" * 41], "down": ["b"]},
        *({name: ["a", "b"], "down": ["c"]} for name in RESERVED),
        {"up": ["Router"], "down": ["b"]},
        {"up": ["path"], "down": ["b"]},
        {"up": ["a"], "down": ["Label", "c"]},
    ],
    ids=str,
)
def test_what_is_not_a_tree_is_refused_on_one_line(values):
    with pytest.raises(InputError, match="^here: ") as refusal:
        Tree.from_dict(values, "here")
    assert "\n" not in str(refusal.value)


def test_a_file_holds_a_tree(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[branches]\non = ["engaged"]\noff = ["bored", "tired"]\n[aliases]\nsleepy = "tired"\n')
    tree = tree_named(str(file))
    assert tree.children == {"on": ("engaged",), "off": ("bored", "tired")} and tree.name == "mine"
    assert tree.leaf_named("Sleepy") == "tired"
    assert tree_named("valence") is VALENCE
    assert Tree.from_toml(file) == Tree.from_toml(str(file)) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[branches]\n",
        "branches = 3",
        "not toml",
        '[branches]\na = ["x"]\nb = []\n',
        '[branches]\na = ["x"]\nb = ["x"]\n',
        '[branches]\na = ["x"]\nb = ["y"]\n[aliases]\nz = "q"\n',
        '[branches]\na = ["x"]\nb = ["y"]\n[aliases]\nz = 1\n',
        '[branches]\na = ["x"]\nb = ["y"]\n[colours]\n',
        '[branches]\nrouter = ["x"]\nb = ["y"]\n',
    ],
)
def test_a_file_that_holds_no_tree_is_named(tmp_path, text):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bad\.toml") as refusal:
        tree_named(str(file))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["nowhere.toml", "valance", "valence,valence7"])
def test_a_missing_tree_is_named(name):
    with pytest.raises(InputError, match=name):
        tree_named(name)


@each_tree
def test_every_name_has_a_colour_of_its_own_kind(tree):
    for name in (*tree.leaves, *tree.nets, *tree.branches):
        assert colour(name) == colour(name) and colour(name).startswith("#") and len(colour(name)) == 7


EYES = {  # linear RGB as colour-blind eyes see it: Machado, Oliveira and Fernandes (2009), severity 1
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def linear(shade: str) -> np.ndarray:
    parts = np.frombuffer(bytes.fromhex(shade[1:]), np.uint8) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Of two colours, 1 to 21, as WCAG 2 defines it."""
    dark, light = sorted(linear(shade) @ (0.2126, 0.7152, 0.0722) for shade in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB, under D65."""
    white = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(white) @ rgb.clip(0.001, 1) / (0.9505, 1, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("shade", sorted({*COLOURS.values(), *CYCLE}))
def test_text_and_bars_have_the_contrast_of_wcag_aa(shade):
    assert contrast(ink(shade), shade) >= 4.5 and contrast(shade, "#ffffff") >= 3


@pytest.mark.parametrize("name", [*VALENCE.branches, *VALENCE.nets])
def test_names_of_nets_are_legible_on_white(name):
    assert contrast(colour(name), "#ffffff") >= 4.5


@pytest.mark.parametrize("eyes", EYES)
def test_expressions_are_told_apart_by_colour_blind_eyes(eyes):
    seen = [lab(np.array(EYES[eyes]) @ linear(colour(name))) for name in FERPLUS_NAMES]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 20
