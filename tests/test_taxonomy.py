"""The tree holds together, FER-2013's codes never move, and what belongs to another tree is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.errors import InputError
from hierarchy.taxonomy import (
    ALIASES,
    BRANCHES,
    FER7,
    FERPLUS8,
    FLAT,
    LEAVES,
    LEFT_OUT,
    NODES,
    ROUTER,
    TREE,
    branch_of,
    check_tree,
    classes_of,
    describe,
    expression,
    leaf_slice,
    node_target,
    nodes_named,
    tree_hash,
)

trees = some.dictionaries(
    some.text(max_size=5),
    some.lists(some.text(max_size=5), max_size=4, unique=True).map(tuple),
    max_size=4,
)


def test_codes_are_those_of_fer2013():
    assert FER7 == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_every_leaf_is_in_one_branch_and_has_a_code():
    assert sorted(LEAVES) == sorted(set(LEAVES)) == sorted(set(FER7) - set(LEFT_OUT))
    assert set(FER7) < set(FERPLUS8)
    assert not set(BRANCHES) & set(LEAVES) and not {ROUTER, FLAT} & set(TREE)


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_is_found_from_its_branch(leaf):
    branch = branch_of(leaf)
    assert leaf in TREE[branch] and leaf in LEAVES[leaf_slice(branch)]
    assert classes_of(branch)[node_target(branch, leaf)] == leaf
    assert classes_of(ROUTER)[node_target(ROUTER, leaf)] == branch
    assert classes_of(FLAT)[node_target(FLAT, leaf)] == leaf


def test_the_branches_cut_the_leaves_in_order():
    assert tuple(leaf for branch in BRANCHES for leaf in LEAVES[leaf_slice(branch)]) == LEAVES


@pytest.mark.parametrize("node", (*NODES, FLAT))
def test_a_node_trains_on_its_own_classes_alone(node):
    trained = {name: node_target(node, name) for name in FER7 if node_target(node, name) >= 0}
    assert set(trained.values()) == set(range(len(classes_of(node))))
    assert not set(trained) & set(LEFT_OUT)
    assert len(trained) == (len(TREE[node]) if node in TREE else len(LEAVES))


def test_nodes_are_named_alone_together_or_all():
    assert nodes_named("all") == NODES
    assert nodes_named("positive,flat,positive") == ("positive", FLAT)
    assert nodes_named("all,flat") == (*NODES, FLAT)
    for wrong in ("positive,", "positive,happy", ""):
        with pytest.raises(InputError, match="unknown node"):
            nodes_named(wrong)


def test_an_unknown_node_is_refused():
    with pytest.raises(InputError, match="unknown node 'sideways': allowed are router, positive"):
        classes_of("sideways")


@pytest.mark.parametrize("spelling", (*FER7, *ALIASES))
def test_spellings_of_an_expression(spelling):
    name = ALIASES.get(spelling, spelling)
    assert expression(spelling) == expression(f"  {spelling.title()} ") == expression(name) == name


@given(some.text().filter(lambda text: text.strip().lower() not in (*FER7, *ALIASES)))
def test_any_other_spelling_is_refused_on_one_line(text):
    with pytest.raises(InputError, match="unknown expression .*allowed are angry") as refusal:
        expression(text)
    assert len(str(refusal.value).splitlines()) == 1


@given(trees, trees)
def test_the_hash_tells_any_two_trees_apart(left, right):
    same = list(left.items()) == list(right.items())
    assert (tree_hash(left) == tree_hash(right)) is same


def test_the_hash_sees_a_new_order():
    turned = dict(reversed(TREE.items()))
    shuffled = {branch: tuple(reversed(leaves)) for branch, leaves in TREE.items()}
    assert len({tree_hash(), tree_hash(turned), tree_hash(shuffled)}) == 3
    assert tree_hash({branch: list(leaves) for branch, leaves in TREE.items()}) == tree_hash()


def test_another_tree_is_refused_with_both_printed():
    other = {"warm": ("happy", "surprise"), "cold": ("angry",)}
    with pytest.raises(InputError) as refusal:
        check_tree(other, "results/old")
    for part in ("results/old: ", describe(other), describe(), "warm: happy, surprise | cold: angry"):
        assert part in str(refusal.value)
    check_tree(TREE, "results/new")
