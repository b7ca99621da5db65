"""What predictions are worth on labelled faces: the only room that computes a run's scores.

Every accuracy carries its n and its 95 % interval, and everything is scored again on the faces that have no
copy in Training. Shares are fractions from 0 to 1, and None where there is no face to count.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from hierarchy import routing
from hierarchy.data.dataset import FaceDataset
from hierarchy.data.formats import ferplus
from hierarchy.errors import InputError
from hierarchy.evaluation.statistics import mcnemar, share
from hierarchy.routing import Predictions
from hierarchy.taxonomy import (
    BRANCHES,
    FER7,
    FLAT,
    LEAVES,
    LEFT_OUT,
    NODES,
    ROUTER,
    branch_of,
    leaf_slice,
    node_target,
)

BINS: Final = 15  # of the calibration error, equally wide
CONFIDENT_SHARE: Final = 0.8  # share of faces whose branches are judged alone

# Which names, of leaves and branches, each leaf stands for: itself and its branch. bool[leaves, names].
FAMILY: Final = np.array([[x in (leaf, branch_of(leaf)) for x in (*LEAVES, *BRANCHES)] for leaf in LEAVES])


@dataclass(frozen=True)
class Leakage:
    """Which of the scored faces have a copy among the Training faces.

    Attributes:
        twin: bool[N], the same pixels.
        near: bool[N], the same photo in another crop or tone.
    """

    exact: np.ndarray
    near: np.ndarray

    @property
    def free(self) -> dict[str, np.ndarray]:
        """Faces without copies, bool[N], by the name of their part of scores.json."""
        return {"leak_free": ~self.exact, "leak_free_near": ~self.exact & ~self.near}


@dataclass(frozen=True)
class Reliability:
    """Promise and truth of N answers in BINS equal bins of confidence, each bin open below and closed above.

    Attributes:
        count: int64[BINS], answers.
        confidence: float64[BINS], their mean probability; 0 in an empty bin.
        accuracy: float64[BINS], the share of them that is right; 0 in an empty bin.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float | None:
        """Expected calibration error: the mean distance of promise and truth, weighed by count."""
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
    """Every score of one split, nested as in scores.json.

    Args:
        predictions: of all rows of `faces`, those of expressions left out of the tree among them.
        faces: one split; unlabelled rows are not counted.
        flat: float[N, leaves], the flat net's probabilities where the run has one.
        leaks: rows with copies in Training; None where there is no Training split to compare with.
        min_confidence: below it, an answer stops at its branch.

    Raises:
        InputError: no face has a label of the tree.
        ValueError: predictions and faces differ in number.
    """
    rows = {len(faces), len(predictions), len(faces if flat is None else flat)}
    if len(rows) > 1:
        raise ValueError(f"predictions and faces differ in number: {sorted(rows)}")
    if not (faces.target(FLAT) >= 0).any():
        raise InputError(f"{faces.source}: no face is labelled {', '.join(LEAVES)}")
    scores = _scores(predictions, faces, flat, min_confidence)
    if leaks is not None:
        for name, free in leaks.free.items():
            kept = np.flatnonzero(free)
            part = None if flat is None else flat[kept]
            scores[name] = _scores(predictions.take(kept), faces.take(kept), part, min_confidence)
    leaf = faces.target(FLAT)
    tables = {"six_class": _at(FLAT, predictions, leaf), ROUTER: _at(ROUTER, predictions, leaf)}
    scores["confusion"] = {name: confusion(*table).tolist() for name, table in tables.items()}
    scores["reliability"] = _curves(predictions, leaf, flat)
    return scores


def _scores(
    predictions: Predictions, faces: FaceDataset, flat: np.ndarray | None, min_confidence: float
) -> dict[str, Any]:
    """All that is scored on the whole split and on its leak-free rows alike; only n where none are left."""
    leaf = faces.target(FLAT)
    truth, probability = _at(FLAT, predictions, leaf)
    if not len(truth):
        return {"n": 0}
    six = leaf >= 0
    ours = predictions.take(six)
    lazy, nets = routing.lazy(ours.branch, _specialists(ours))
    labels = {"soft": routing.soft(ours), "hard": routing.hard(ours), "lazy": lazy}
    scores: dict[str, Any] = {
        "n": len(truth),
        "left_out": {name: int((faces.label == FER7.index(name)).sum()) for name in LEFT_OUT},
        "six_class": {rule: _answers(truth, label, probability) for rule, label in labels.items()},
        "seven_class": {"soft": _seven(predictions, faces)},
        **{node: row for node, row in by_node(predictions, leaf).items() if node != FLAT},
        "per_class": _per_class(truth, labels["soft"]),
        "abstain": _abstaining(truth, ours, min_confidence),
        "surest": _surest(truth, ours),
        "nets_per_face": {"lazy": float(nets.mean())},
    }
    if flat is not None:
        label = flat[six].argmax(axis=1)
        scores["flat"] = _answers(truth, label, flat[six]) | {"per_class": _per_class(truth, label)}
        scores["soft_against_flat"] = _paired(labels["soft"] == truth, label == truth)
    if faces.votes is not None:
        scores["ferplus"] = _against_taggers(predictions, faces, faces.votes)
    return scores


def hierarchical_f1(truth: np.ndarray, label: np.ndarray) -> float:
    """HiClass's F1 of leaves int64[N]: a label stands for itself and its ancestors but the root.

    Summed over all rows. Source: Kiritchenko et al. 2006, as in HiClass (Miranda et al. 2023).
    """
    shared = (FAMILY[truth] & FAMILY[label]).sum()
    return float(2 * shared / (FAMILY[truth].sum() + FAMILY[label].sum()))


def reliability(probability: np.ndarray, correct: np.ndarray) -> Reliability:
    """Bins of the answers' probabilities float[N] beside whether they are right, bool[N]."""
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
    """Share of right answers and calibration error of each node, judged on its own faces.

    Args:
        predictions: of N faces.
        leaf: int64[N], index into LEAVES of each face; -1: of no leaf, and not counted.

    Returns:
        n, accuracy, ci95 and ece by node; FLAT: the tree's soft answer.
    """
    return {node: _node(*_at(node, predictions, leaf)) for node in (FLAT, *NODES)}


def _at(node: str, predictions: Predictions, leaf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True class int64[M] and probabilities float64[M, K] of a node's own faces; FLAT: the tree's leaves."""
    target = np.array([node_target(node, name) for name in LEAVES] + [-1])[leaf]  # the last: of no leaf
    tables = {branch: predictions.leaf[:, leaf_slice(branch)] for branch in BRANCHES}
    table = (tables | {FLAT: predictions.joint, ROUTER: predictions.branch})[node]
    return target[target >= 0], table[target >= 0]


def _answers(truth: np.ndarray, label: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """Scores of one way to choose leaves, each answer's confidence being its own probability."""
    right, confidence = label == truth, probability[np.arange(len(label)), label]
    f1 = [row["f1"] for row in _per_class(truth, label).values()]
    return share(right) | {
        "macro_f1": float(np.mean(f1)),
        "hierarchical_f1": hierarchical_f1(truth, label),
        "ece": reliability(confidence, right).ece,
    }


def _node(truth: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    right = probability.argmax(axis=1) == truth
    return share(right) | {"ece": reliability(probability.max(axis=1), right).ece}


def _per_class(truth: np.ndarray, label: np.ndarray) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1, number of true faces of each leaf, and the recall's 95 % interval.

    0 where a leaf is never named or true.
    """
    from sklearn.metrics import precision_recall_fscore_support

    classes = list(range(len(LEAVES)))
    columns = precision_recall_fscore_support(truth, label, labels=classes, average=None, zero_division=0)
    names = ("precision", "recall", "f1", "support")
    return {
        leaf: {name: column[code].item() for name, column in zip(names, columns, strict=True)}
        | {"ci95": share((label == truth)[truth == code])["ci95"]}
        for code, leaf in enumerate(LEAVES)
    }


def _seven(predictions: Predictions, faces: FaceDataset) -> dict[str, Any]:
    """All labelled rows: a face of an expression outside the tree cannot be right."""
    right = routing.soft(predictions) == faces.target(FLAT)
    return share(right[faces.label >= 0])


def _abstaining(truth: np.ndarray, predictions: Predictions, min_confidence: float) -> dict[str, Any]:
    """Coverage: the share of faces answered with a leaf; n and accuracy are of those."""
    label = routing.abstain(predictions, min_confidence)
    answered = label != routing.ABSTAINED
    about = {"min_confidence": min_confidence, "coverage": float(answered.mean())}
    return about | share((label == truth)[answered])


def _surest(truth: np.ndarray, predictions: Predictions) -> dict[str, Any]:
    """How often the branch is right where it is surest; n and accuracy are of these faces."""
    branch = predictions.branch
    kept = np.argsort(-branch.max(axis=1), kind="stable")[: round(CONFIDENT_SHARE * len(truth))]
    right = branch.argmax(axis=1) == routing.OWNER[truth]
    return {"coverage": CONFIDENT_SHARE} | share(right[kept])


def _against_taggers(predictions: Predictions, faces: FaceDataset, votes: np.ndarray) -> dict[str, Any]:
    """Soft labels against the taggers' majority where that is a leaf, whatever FER-2013 calls the face."""
    majority = replace(faces, label=ferplus.plurality(votes)).target(FLAT)
    return share((routing.soft(predictions) == majority)[majority >= 0])


def _paired(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    only_soft, only_flat = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return {"only_soft_right": only_soft, "only_flat_right": only_flat, "mcnemar_p": mcnemar(ours, theirs)}


def _specialists(predictions: Predictions) -> list[Any]:
    """The branches' known answers as the callables that lazy routing asks."""
    return [predictions.leaf[:, leaf_slice(branch)].__getitem__ for branch in BRANCHES]


def _curves(
    predictions: Predictions, leaf: np.ndarray, flat: np.ndarray | None
) -> dict[str, dict[str, list[Any]]]:
    """Reliability of the soft answer, of every node, and of the flat net, as plain lists."""
    answers = {"six_class": _at(FLAT, predictions, leaf)}
    answers |= {node: _at(node, predictions, leaf) for node in NODES}
    if flat is not None:
        answers[FLAT] = _at(FLAT, routing.from_flat(flat), leaf)
    out = {}
    for name, (truth, probability) in answers.items():
        bins = reliability(probability.max(axis=1), probability.argmax(axis=1) == truth)
        out[name] = {key: column.tolist() for key, column in vars(bins).items()}
    return out
