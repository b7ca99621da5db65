"""Scores of predictions on labelled faces.

Every accuracy has its n and its 95 % interval, and everything is scored again on the faces without a copy in
Training. Shares are fractions from 0 to 1, and None where there is no face to count.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from hierarchy import routing
from hierarchy.data.dataset import FaceDataset
from hierarchy.data.formats import ferplus
from hierarchy.errors import InputError
from hierarchy.evaluation.statistics import mcnemar, share
from hierarchy.routing import Predictions
from hierarchy.taxonomy import FLAT, ROUTER, Tree

BINS: Final = 15  # of the calibration error, equally wide
CONFIDENT_SHARE: Final = 0.8  # of the faces, most confident branch first
TREE: Final = "tree"  # the tree's soft prediction among the tables of confusion and reliability


@dataclass(frozen=True)
class Leakage:
    """Which of the scored faces have a copy among the Training faces.

    Attributes:
        exact: bool[N], the same pixels.
        near: bool[N], the same photo in another crop or tone.
    """

    exact: np.ndarray
    near: np.ndarray

    @property
    def free(self) -> dict[str, np.ndarray]:
        """Faces without copies, bool[N], by their key in scores.json."""
        return {"leak_free": ~self.exact, "leak_free_near": ~self.exact & ~self.near}


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of predictions in BINS equal bins, each open below and closed above.

    Attributes:
        count: int64[BINS], predictions.
        confidence: float64[BINS], mean probability; 0 in an empty bin.
        accuracy: float64[BINS], share of correct predictions; 0 in an empty bin.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float | None:
        """Expected calibration error: mean gap of confidence and accuracy, weighted by count."""
        total = int(self.count.sum())
        gap = np.abs(self.confidence - self.accuracy)
        return float((self.count * gap).sum() / total) if total else None


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
    tables = {TREE: FLAT, ROUTER: ROUTER}
    scores["confusion"] = {
        name: confusion(*_at(node, predictions, leaf)).tolist() for name, node in tables.items()
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
    lazy, nets = routing.lazy(tree, own.branch, _specialists(own))
    labels = {"soft": routing.soft(own), "hard": routing.hard(own), "lazy": lazy}
    nodes = by_node(predictions, leaf)
    scores: dict[str, Any] = {
        "n": len(truth),
        "left_out": faces.left_out(tree),
        "tree": {rule: _routed(tree, truth, label, probability) for rule, label in labels.items()},
        "all_names": {"soft": _all_names(predictions, faces)},
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


def reliability(probability: np.ndarray, correct: np.ndarray) -> Reliability:
    """Bins of probabilities float[N] and of whether the predictions are correct, bool[N]."""
    place = np.clip(np.ceil(np.asarray(probability) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    filled = np.maximum(count, 1)
    confidence = np.bincount(place, weights=probability, minlength=BINS) / filled
    return Reliability(count, confidence, np.bincount(place, weights=correct, minlength=BINS) / filled)


def confusion(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Counts int64[K, K] of true class by likeliest class, from int64[N] and probabilities float[N, K]."""
    classes = probability.shape[1]
    cell = truth * classes + probability.argmax(axis=1)
    return np.bincount(cell, minlength=classes**2).reshape(classes, classes)


def by_node(predictions: Predictions, leaf: np.ndarray) -> dict[str, dict[str, Any]]:
    """Accuracy and calibration error of each node, on the faces below that node.

    Args:
        predictions: of N faces.
        leaf: int64[N], index into the tree's leaves; -1: not counted.

    Returns:
        n, accuracy, ci95 and ece by node; FLAT: the tree's soft prediction.
    """
    return {node: _node(*_at(node, predictions, leaf)) for node in predictions.tree.nets}


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
        "ece": reliability(confidence, right).ece,
    }


def _node(truth: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    right = probability.argmax(axis=1) == truth
    return share(right) | {"ece": reliability(probability.max(axis=1), right).ece}


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


def _all_names(predictions: Predictions, faces: FaceDataset) -> dict[str, Any]:
    """Of all labelled rows: a face of a class that the tree lacks is always wrong."""
    right = routing.soft(predictions) == faces.target(predictions.tree, FLAT)
    return share(right[faces.label >= 0])


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


def _specialists(predictions: Predictions) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Known probabilities of each branch's leaves, as the callables that lazy routing runs."""
    tree = predictions.tree
    return {
        branch: predictions.leaf[:, tree.leaf_slice(branch)].__getitem__
        for branch in tree.branches
        if branch in tree.nodes
    }


def _curves(
    predictions: Predictions, leaf: np.ndarray, flat: np.ndarray | None
) -> dict[str, dict[str, list[Any]]]:
    """Reliability of the soft prediction, of every node, and of the flat net, as plain lists."""
    tree = predictions.tree
    tables = {TREE: _at(FLAT, predictions, leaf)}
    tables |= {node: _at(node, predictions, leaf) for node in tree.nodes}
    if flat is not None:
        tables[FLAT] = _at(FLAT, routing.from_flat(tree, flat), leaf)
    out = {}
    for name, (truth, probability) in tables.items():
        bins = reliability(probability.max(axis=1), probability.argmax(axis=1) == truth)
        out[name] = {key: column.tolist() for key, column in vars(bins).items()}
    return out
