"""The laws of routing: rows sum to one, lazy is soft, and a row's answer depends on that row alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from hierarchy import routing
from hierarchy.routing import Predictions
from hierarchy.taxonomy import BRANCHES, LEAVES, NODES, ROUTER, classes_of, leaf_slice

WHOLE = [classes_of(node) for node in NODES]
COLUMNS = sum(map(len, WHOLE))  # logits of all nodes side by side
# Ordinary logits, extreme ones, and few enough values that ties are common.
VALUES = some.one_of(
    some.floats(-20, 20), some.floats(-1e4, 1e4), some.sampled_from([-700.0, -1.0, 0.0, 1.0, 40.0])
)


def tables(columns: int) -> some.SearchStrategy[np.ndarray]:
    shapes = arrays.array_shapes(min_dims=1, max_dims=1, max_side=8).map(lambda shape: (*shape, columns))
    return arrays.arrays(np.float64, shapes, elements=VALUES)


def predicted(table: np.ndarray) -> Predictions:
    """Predictions of float64[N, COLUMNS], the nodes' logits side by side."""
    parts = np.split(table, np.cumsum([len(classes) for classes in WHOLE])[:-1], axis=1)
    return routing.from_logits(dict(zip(NODES, parts, strict=True)))


def lazily(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    asked = [lambda rows, name=name: predictions.leaf[rows, leaf_slice(name)] for name in BRANCHES]
    return routing.lazy(predictions.branch, asked)


def everything(table: np.ndarray) -> list[np.ndarray]:
    """All that routing says of a table of logits, one row a face."""
    found = predicted(table)
    rules = [routing.soft(found), routing.hard(found), routing.abstain(found, 0.3), *lazily(found)]
    return [found.branch, found.leaf, found.joint, *rules]


@given(tables(COLUMNS))
def test_probabilities_sum_to_one(table):
    found = predicted(table)
    for rows in (found.branch, found.joint, *(found.leaf[:, leaf_slice(name)] for name in BRANCHES)):
        assert rows.dtype == np.float64 and (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert found.joint.shape == (len(found), len(LEAVES))


@given(tables(COLUMNS))
def test_the_joint_is_the_product(table):
    found = predicted(table)
    for column, name in enumerate(BRANCHES):
        product = found.branch[:, [column]] * found.leaf[:, leaf_slice(name)]
        assert np.array_equal(found.joint[:, leaf_slice(name)], product)


@given(tables(COLUMNS))
def test_lazy_is_soft(table):
    found = predicted(table)
    labels, nets = lazily(found)
    assert np.array_equal(labels, routing.soft(found))
    assert ((nets > 1) & (nets <= len(NODES))).all()


@given(tables(COLUMNS))
def test_lazy_passes_over_specialists_that_cannot_win(table):
    found = predicted(table)
    asked = np.zeros(found.branch.shape, bool)

    def specialist(column: int):
        def answer(rows: np.ndarray) -> np.ndarray:
            asked[rows, column] = True
            return found.leaf[rows, leaf_slice(BRANCHES[column])]

        return answer

    _, nets = routing.lazy(found.branch, [specialist(column) for column in range(len(BRANCHES))])
    assert np.array_equal(nets, 1 + asked.sum(axis=1))
    winner = found.joint.max(axis=1, keepdims=True)
    assert asked[found.branch >= winner].all(), "it might have won"
    runner_up = found.branch < found.branch.max(axis=1, keepdims=True)
    assert not asked[runner_up & (found.branch < winner)].any(), "it could not"


def test_lazy_saves_nets_on_clear_faces():
    clear = Predictions(np.array([[0.9, 0.1]]), np.array([[0.8, 0.1, 0.1, 1.0, 0.0, 0.0]]))
    torn = Predictions(np.array([[0.55, 0.45]]), np.array([[0.4, 0.3, 0.3, 1.0, 0.0, 0.0]]))
    assert [lazily(face)[1].tolist() for face in (clear, torn)] == [[2], [3]]


@given(tables(COLUMNS))
def test_hard_stays_in_the_likelier_branch(table):
    found = predicted(table)
    labels = routing.hard(found)
    assert np.array_equal(routing.OWNER[labels], found.branch.argmax(axis=1))
    for row, label in enumerate(labels):
        own = found.leaf[row, leaf_slice(BRANCHES[routing.OWNER[label]])]
        assert found.leaf[row, label] == own.max()


def test_soft_and_hard_may_differ():
    face = Predictions(np.array([[0.55, 0.45]]), np.array([[0.4, 0.3, 0.3, 1.0, 0.0, 0.0]]))
    assert LEAVES[routing.soft(face)[0]] == "angry" and LEAVES[routing.hard(face)[0]] == "happy"


@given(tables(COLUMNS), some.randoms(use_true_random=False), some.sampled_from("CF"))
def test_a_row_has_the_same_bits_in_any_company(table, random, layout):
    together = everything(table)
    order = random.sample(range(len(table)), len(table))
    turned = everything(np.asarray(table[order], order=layout))
    for whole, mixed in zip(together, turned, strict=True):
        assert whole[order].tobytes() == mixed.tobytes()
    for row in range(len(table)):
        for whole, alone in zip(together, everything(table[row : row + 1]), strict=True):
            assert whole[[row]].tobytes() == alone.tobytes()


@given(tables(len(LEAVES)))
def test_a_flat_net_keeps_its_probabilities(table):
    flat = routing.softmax(table)
    found = routing.from_flat(flat)
    np.testing.assert_allclose(found.joint, flat, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.branch.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert np.isfinite(found.leaf).all()


@given(tables(len(LEAVES)))
def test_a_flat_nets_logits_give_the_nodes_of_the_tree(table):
    nodes = {node: routing.node_logits_from_flat(table, node) for node in NODES}
    np.testing.assert_allclose(routing.from_logits(nodes).joint, routing.softmax(table), rtol=0, atol=1e-9)


def test_a_flat_net_may_be_sure_of_a_branch():
    flat = np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    assert np.array_equal(routing.from_flat(flat).joint, flat)


@given(tables(COLUMNS), some.floats(0, 1))
def test_abstaining_keeps_the_soft_label_or_none(table, floor):
    found = predicted(table)
    labels = routing.abstain(found, floor)
    sure = found.joint.max(axis=1) >= floor
    assert np.array_equal(labels[sure], routing.soft(found)[sure])
    assert (labels[~sure] == routing.ABSTAINED).all()


def test_no_floor_no_abstention():
    found = predicted(np.zeros((3, COLUMNS)))
    assert (routing.abstain(found, 0.0) != routing.ABSTAINED).all()
    assert (routing.abstain(found, 1.0) == routing.ABSTAINED).all()


def test_no_faces_no_answers():
    assert all(len(part) == 0 for part in everything(np.empty((0, COLUMNS))))


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([True, False, True])])
def test_take(rows):
    found = predicted(np.random.default_rng(0).normal(size=(3, COLUMNS)))
    part = found.take(rows)
    assert len(part) == 2 and np.array_equal(part.joint, found.joint[rows])


def test_the_router_decides_the_branch():
    logits = {node: np.zeros((1, len(classes_of(node)))) for node in NODES}
    logits[ROUTER][0, 1] = 5.0
    assert routing.OWNER[routing.soft(routing.from_logits(logits))[0]] == 1
