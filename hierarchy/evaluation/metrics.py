"""Scores of predictions on labelled faces.

Every accuracy has its n and its 95 % interval, and everything is scored again on the faces without a copy in
Training. Shares are fractions from 0 to 1, and None where there is no face to count.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from hierarchy import routing
from hierarchy.data.dataset import FaceDataset
from hierarchy.data.formats import ferplus
from hierarchy.errors import InputError
from hierarchy.evaluation.predictions import Leakage
from hierarchy.evaluation.statistics import calibration_error, mcnemar, reliability, share
from hierarchy.routing import Predictions
from hierarchy.taxonomy import FLAT, ROUTER, Tree

CONFIDENT_SHARE: Final = 0.8  # of the faces, most confident branch first
TREE: Final = "tree"  # the tree's soft prediction among the tables of confusion and reliability


def score(
    predictions: Predictions,
    faces: FaceDataset,
    *,
    flat: np.ndarray | None = None,
    leaks: Leakage | None = None,
    min_confidence: float,
) -> dict[str, Any]:
    """All scores of one split, as plain values; the keys are those of `scores.Scores`.

    Args:
        predictions: of all rows of `faces`, those of classes that the tree lacks included.
        faces: one split; unlabelled rows are not counted.
        flat: float[N, leaves], the flat net's probabilities where the run has one.
        leaks: rows with copies in Training; None where there is no Training split to compare with.
        min_confidence: below it, only the branch is predicted.

    Raises:
        InputError: no face has a label of the tree.
        ValueError: predictions and faces differ in number.
    """
    tree = predictions.tree
    rows = {len(faces), len(predictions), len(faces if flat is None else flat)}
    if len(rows) > 1:
        raise ValueError(f"predictions and faces differ in number: {sorted(rows)}")
    leaf = faces.target(tree, FLAT)
    if not (leaf >= 0).any():
        raise InputError(f"{faces.source}: no face is labelled {', '.join(tree.leaves)}")
    scores = _scores(predictions, faces, flat, min_confidence)
    scores |= {"classes": tree.to_dict(), "origins": faces.take(leaf >= 0).origins()}
    if leaks is not None:
        for name, free in leaks.free.items():
            kept = np.flatnonzero(free)
            part = None if flat is None else flat[kept]
            scores[name] = _scores(predictions.take(kept), faces.take(kept), part, min_confidence)
    scores["confusion"] = {
        name: _confusion(*_at(node, predictions, leaf)) for name, node in ((TREE, FLAT), (ROUTER, ROUTER))
    }
    scores["reliability"] = _curves(predictions, leaf, flat)
    return scores


def _scores(
    predictions: Predictions, faces: FaceDataset, flat: np.ndarray | None, min_confidence: float
) -> dict[str, Any]:
    """The scores of the whole split and of its leak-free rows alike; only n where no row is left."""
    tree = predictions.tree
    leaf = faces.target(tree, FLAT)
    truth, probability = _at(FLAT, predictions, leaf)
    if not len(truth):
        return {"n": 0}
    inside = leaf >= 0
    own = predictions.take(inside)
    known = {branch: own.leaf[:, tree.leaf_slice(branch)].__getitem__ for branch in tree.branches}
    lazy, nets = routing.lazy(tree, own.branch, known)
    labels = {"soft": routing.soft(own), "hard": routing.hard(own), "lazy": lazy}
    nodes = by_node(predictions, leaf)
    scores: dict[str, Any] = {
        "n": len(truth),
        "left_out": faces.left_out(tree),
        "tree": {rule: _routed(tree, truth, label, probability) for rule, label in labels.items()},
        "all_names": {"soft": share((routing.soft(predictions) == leaf)[faces.label >= 0])},
        "nodes": {node: nodes[node] for node in tree.nodes},
        "per_class": _per_class(tree, truth, labels["soft"]),
        "selective": _selective(truth, own, min_confidence),
        "coverage_80": _most_confident(truth, own),
        "nets_per_face": {"lazy": float(nets.mean())},
    }
    if flat is not None:
        label = flat[inside].argmax(axis=1)
        per_class = {"per_class": _per_class(tree, truth, label)}
        scores["flat"] = _routed(tree, truth, label, flat[inside]) | per_class
        scores["soft_against_flat"] = _paired(labels["soft"] == truth, label == truth)
    if faces.votes is not None:
        scores["ferplus"] = _against_taggers(predictions, faces, faces.votes)
    return scores


def hierarchical_f1(tree: Tree, truth: np.ndarray, label: np.ndarray) -> float:
    """HiClass's F1 of leaves int64[N]: a label stands for itself and its branch.

    Summed over all rows. Source: Kiritchenko et al. 2006, as in HiClass (Miranda et al. 2023).
    """
    branch = np.array(tree.branch_of_leaf)
    shared = (truth == label).sum() + (branch[truth] == branch[label]).sum()
    return float(shared / (2 * len(truth)))


def by_node(predictions: Predictions, leaf: np.ndarray) -> dict[str, dict[str, Any]]:
    """n, accuracy, ci95 and ece of each node on the faces below it; of FLAT, of the tree's soft prediction.

    `leaf` is int64[N], an index into the tree's leaves; -1: not counted.
    """
    answers = {node: _likeliest(*_at(node, predictions, leaf)) for node in predictions.tree.nets}
    return {
        node: share(right) | {"ece": calibration_error(sure, right)}
        for node, (sure, right) in answers.items()
    }


def _at(node: str, predictions: Predictions, leaf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True class int64[M] and probabilities float64[M, K] of the faces below a node; FLAT: of the leaves."""
    tree = predictions.tree
    target = np.array([*(tree.class_index(node, name) for name in tree.leaves), -1])[leaf]
    if node in (FLAT, ROUTER):
        table = predictions.joint if node == FLAT else predictions.branch
    else:
        table = predictions.leaf[:, tree.leaf_slice(node)]
    return target[target >= 0], table[target >= 0]


def _routed(tree: Tree, truth: np.ndarray, label: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """Scores of one routing rule; the confidence is the probability of the chosen leaf."""
    right, confidence = label == truth, probability[np.arange(len(label)), label]
    f1 = [row["f1"] for row in _per_class(tree, truth, label).values()]
    return share(right) | {
        "macro_f1": float(np.mean(f1)),
        "hierarchical_f1": hierarchical_f1(tree, truth, label),
        "ece": calibration_error(confidence, right),
    }


def _likeliest(truth: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the likeliest class float64[M], and whether it is the true one bool[M]."""
    return probability.max(axis=1), probability.argmax(axis=1) == truth


def _confusion(truth: np.ndarray, probability: np.ndarray) -> list[list[int]]:
    """Counts of true class by likeliest class."""
    from sklearn.metrics import confusion_matrix

    classes = range(probability.shape[1])
    return confusion_matrix(truth, probability.argmax(axis=1), labels=classes).tolist()


def _per_class(tree: Tree, truth: np.ndarray, label: np.ndarray) -> dict[str, dict[str, Any]]:
    """Precision, recall with its 95 % interval, F1 and support of each leaf.

    0 where a leaf is never predicted or true.
    """
    from sklearn.metrics import precision_recall_fscore_support

    classes = list(range(len(tree.leaves)))
    columns = precision_recall_fscore_support(truth, label, labels=classes, average=None, zero_division=0)
    names = ("precision", "recall", "f1", "support")
    return {
        leaf: {name: column[code].item() for name, column in zip(names, columns, strict=True)}
        | {"ci95": share((label == truth)[truth == code])["ci95"]}
        for code, leaf in enumerate(tree.leaves)
    }


def _selective(truth: np.ndarray, predictions: Predictions, min_confidence: float) -> dict[str, Any]:
    """Coverage: share of faces with a predicted leaf; n and accuracy are of those."""
    label = routing.abstain(predictions, min_confidence)
    covered = label != routing.ABSTAINED
    about = {"min_confidence": min_confidence, "coverage": float(covered.mean())}
    return about | share((label == truth)[covered])


def _most_confident(truth: np.ndarray, predictions: Predictions) -> dict[str, Any]:
    """Accuracy of the branch on the CONFIDENT_SHARE of faces where it is most confident."""
    branch = predictions.branch
    kept = np.argsort(-branch.max(axis=1), kind="stable")[: round(CONFIDENT_SHARE * len(truth))]
    right = branch.argmax(axis=1) == np.array(predictions.tree.branch_of_leaf)[truth]
    return {"coverage": CONFIDENT_SHARE} | share(right[kept])


def _against_taggers(predictions: Predictions, faces: FaceDataset, votes: np.ndarray) -> dict[str, Any]:
    """Soft labels against the plurality of FER+ taggers where that is a leaf, whatever the face's label."""
    tree = predictions.tree
    majority = replace(faces, label=ferplus.plurality(votes, tree), names=ferplus.NAMES).target(tree, FLAT)
    return share((routing.soft(predictions) == majority)[majority >= 0])


def _paired(tree: np.ndarray, flat: np.ndarray) -> dict[str, Any]:
    only_soft, only_flat = int((tree & ~flat).sum()), int((flat & ~tree).sum())
    return {"only_soft_right": only_soft, "only_flat_right": only_flat, "mcnemar_p": mcnemar(tree, flat)}


def _curves(
    predictions: Predictions, leaf: np.ndarray, flat: np.ndarray | None
) -> dict[str, dict[str, list[Any]]]:
    """Reliability of the soft prediction, of every node, and of the flat net, as plain lists."""
    tree = predictions.tree
    tables = {TREE: _at(FLAT, predictions, leaf)}
    tables |= {node: _at(node, predictions, leaf) for node in tree.nodes}
    if flat is not None:
        tables[FLAT] = _at(FLAT, routing.from_flat(tree, flat), leaf)
    bins = {name: reliability(*_likeliest(*table)) for name, table in tables.items()}
    return {name: {key: each.tolist() for key, each in columns.items()} for name, columns in bins.items()}
