"""The laws of routing: rows sum to one, lazy is soft, and a row's answer depends on that row only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from hierarchy import routing
from hierarchy.routing import Predictions
from hierarchy.taxonomy import ROUTER, VALENCE, Tree

TREES = [
    VALENCE,
    Tree({"up": ["a", "b"], "down": ["c", "d"]}),
    Tree({"one": ["a", "b", "c"], "lone": ["d"]}),
    Tree({"left": list("abcd"), "right": list("efgh")}),
    Tree({"x": ["a", "b"], "y": ["c"], "z": ["d", "e"]}),
]
# Ordinary logits, extreme ones, and few enough values that ties are common.
VALUES = some.one_of(
    some.floats(-20, 20), some.floats(-1e4, 1e4), some.sampled_from([-700.0, -1.0, 0.0, 1.0, 40.0])
)


def tables(width) -> some.SearchStrategy[tuple[Tree, np.ndarray]]:
    """A tree, and up to eight rows of as many values as `width` says of it."""

    def rows(tree: Tree) -> some.SearchStrategy[tuple[Tree, np.ndarray]]:
        shapes = arrays.array_shapes(min_dims=1, max_dims=1, max_side=8).map(lambda s: (*s, width(tree)))
        return some.tuples(some.just(tree), arrays.arrays(np.float64, shapes, elements=VALUES))

    return some.sampled_from(TREES).flatmap(rows)


def columns(tree: Tree) -> int:
    """Logits of all nodes side by side."""
    return sum(len(tree.classes_of(node)) for node in tree.nodes)


def leaves(tree: Tree) -> int:
    return len(tree.leaves)


def predicted(case: tuple[Tree, np.ndarray]) -> Predictions:
    """Predictions of float64[N, columns], the nodes' logits side by side."""
    tree, table = case
    ends = np.cumsum([len(tree.classes_of(node)) for node in tree.nodes])[:-1]
    return routing.from_logits(tree, dict(zip(tree.nodes, np.split(table, ends, axis=1), strict=True)))


def lazily(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    tree = predictions.tree
    specialists = {
        name: lambda rows, name=name: predictions.leaf[rows, tree.leaf_slice(name)]
        for name in tree.branches
        if name in tree.nodes
    }
    return routing.lazy(tree, predictions.branch, specialists)


def everything(case: tuple[Tree, np.ndarray]) -> list[np.ndarray]:
    """All that routing computes from a table of logits, one row per face."""
    found = predicted(case)
    rules = [routing.soft(found), routing.hard(found), routing.abstain(found, 0.3), *lazily(found)]
    return [found.branch, found.leaf, found.joint, *rules]


@given(tables(columns))
def test_probabilities_sum_to_one(case):
    found, tree = predicted(case), case[0]
    parts = (found.leaf[:, tree.leaf_slice(name)] for name in tree.branches)
    for rows in (found.branch, found.joint, *parts):
        assert rows.dtype == np.float64 and (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert found.joint.shape == (len(found), len(tree.leaves))


@given(tables(columns))
def test_the_joint_is_the_product(case):
    found, tree = predicted(case), case[0]
    for column, name in enumerate(tree.branches):
        product = found.branch[:, [column]] * found.leaf[:, tree.leaf_slice(name)]
        assert np.array_equal(found.joint[:, tree.leaf_slice(name)], product)


@given(tables(columns))
def test_lazy_is_soft(case):
    found = predicted(case)
    labels, nets = lazily(found)
    assert np.array_equal(labels, routing.soft(found))
    assert ((nets >= 1) & (nets <= len(case[0].nodes))).all()


@given(tables(columns))
def test_lazy_skips_specialists_that_cannot_win(case):
    found, tree = predicted(case), case[0]
    asked = np.zeros(found.branch.shape, bool)

    def specialist(name: str):
        def answer(rows: np.ndarray) -> np.ndarray:
            asked[rows, tree.branches.index(name)] = True
            return found.leaf[rows, tree.leaf_slice(name)]

        return answer

    own = [name in tree.nodes for name in tree.branches]
    _, nets = routing.lazy(
        tree, found.branch, {name: specialist(name) for name in tree.branches if name in tree.nodes}
    )
    assert np.array_equal(nets, 1 + asked.sum(axis=1))
    winner = found.joint.max(axis=1, keepdims=True)
    assert asked[(found.branch >= winner) & own].all(), "it might have won"
    runner_up = found.branch < found.branch.max(axis=1, keepdims=True)
    assert not asked[runner_up & (found.branch < winner)].any(), "it could not"


def of_valence(branch: list[float], leaf: list[float]) -> Predictions:
    return Predictions(np.array([branch]), np.array([leaf]), VALENCE)


def test_lazy_saves_nets_on_clear_faces():
    clear = of_valence([0.9, 0.1], [0.8, 0.1, 0.1, 1.0, 0.0, 0.0])
    torn = of_valence([0.55, 0.45], [0.4, 0.3, 0.3, 1.0, 0.0, 0.0])
    assert [lazily(face)[1].tolist() for face in (clear, torn)] == [[2], [3]]


@given(tables(columns))
def test_hard_stays_in_the_likelier_branch(case):
    found, tree = predicted(case), case[0]
    labels = routing.hard(found)
    owner = np.array(tree.branch_of_leaf)
    assert np.array_equal(owner[labels], found.branch.argmax(axis=1))
    for row, label in enumerate(labels):
        own = found.leaf[row, tree.leaf_slice(tree.branches[owner[label]])]
        assert found.leaf[row, label] == own.max()


def test_soft_and_hard_may_differ():
    face = of_valence([0.55, 0.45], [0.4, 0.3, 0.3, 1.0, 0.0, 0.0])
    assert routing.soft(face)[0] == len(VALENCE.children["positive"]) and routing.hard(face)[0] == 0


@given(tables(columns), some.randoms(use_true_random=False), some.sampled_from("CF"))
def test_a_row_has_the_same_bits_in_any_company(case, random, layout):
    tree, table = case
    together = everything(case)
    order = random.sample(range(len(table)), len(table))
    turned = everything((tree, np.asarray(table[order], order=layout)))
    for whole, mixed in zip(together, turned, strict=True):
        assert whole[order].tobytes() == mixed.tobytes()
    for row in range(len(table)):
        for whole, single in zip(together, everything((tree, table[row : row + 1])), strict=True):
            assert whole[[row]].tobytes() == single.tobytes()


@given(tables(leaves))
def test_a_flat_net_keeps_its_probabilities(case):
    tree, table = case
    flat = routing.softmax(table)
    found = routing.from_flat(tree, flat)
    np.testing.assert_allclose(found.joint, flat, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.branch.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert np.isfinite(found.leaf).all()


@given(tables(leaves))
def test_a_flat_nets_logits_give_the_nodes_of_the_tree(case):
    tree, table = case
    nodes = {node: routing.node_logits_from_flat(tree, table, node) for node in tree.nodes}
    joint = routing.from_logits(tree, nodes).joint
    np.testing.assert_allclose(joint, routing.softmax(table), rtol=0, atol=1e-9)


def test_a_flat_net_may_be_sure_of_a_branch():
    flat = np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    assert np.array_equal(routing.from_flat(VALENCE, flat).joint, flat)


@given(tables(columns), some.floats(0, 1))
def test_abstaining_keeps_the_soft_label_or_none(case, floor):
    found = predicted(case)
    labels = routing.abstain(found, floor)
    sure = found.joint.max(axis=1) >= floor
    assert np.array_equal(labels[sure], routing.soft(found)[sure])
    assert (labels[~sure] == routing.ABSTAINED).all()


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_no_floor_no_abstention(tree):
    found = predicted((tree, np.zeros((3, columns(tree)))))
    assert (routing.abstain(found, 0.0) != routing.ABSTAINED).all()
    assert (routing.abstain(found, 1.0) == routing.ABSTAINED).all()


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_no_faces_no_answers(tree):
    assert all(len(part) == 0 for part in everything((tree, np.empty((0, columns(tree))))))


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True])])
def test_take(rows):
    found = predicted((VALENCE, np.random.default_rng(0).normal(size=(3, columns(VALENCE)))))
    part = found.take(rows)
    assert len(part) == 2 and np.array_equal(part.joint, found.joint[rows])


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_the_router_decides_the_branch(tree):
    logits = {node: np.zeros((1, len(tree.classes_of(node)))) for node in tree.nodes}
    logits[ROUTER][0, 1] = 50.0
    assert tree.branch_of_leaf[routing.soft(routing.from_logits(tree, logits))[0]] == 1


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_a_whole_branch_of_several_leaves_is_named_in_their_place(tree):
    assert routing.set_names(tree, np.zeros(len(tree.leaves), bool)) == []
    whole = [branch if len(leaves) > 1 else leaves[0] for branch, leaves in tree.children.items()]
    assert routing.set_names(tree, np.ones(len(tree.leaves), bool)) == whole
    first = np.arange(len(tree.leaves)) == 0
    assert routing.set_names(tree, first) == [tree.leaves[0]]
    assert tree.leaves[0] not in routing.set_names(tree, ~first)
