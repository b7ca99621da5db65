"""From the nets' logits to one answer: soft, hard, early exit, abstaining, or a set of leaves. Pure numpy.

soft: argmax of P(branch) * P(leaf | branch). hard: argmax inside the likelier branch. lazy (early exit): the
soft label, without running a specialist that can no longer win. Every sum runs over one row's own few numbers
in a fixed order, so that a row's bits do not depend on its batch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hierarchy.errors import InputError
from hierarchy.manifest import LEVELS, UNCALIBRATED, BranchScores, Calibration, Conformal
from hierarchy.taxonomy import FLAT, ROUTER, Tree

ABSTAINED: Final = -1  # the leaf of a face for which only the branch is reported
Logits = Callable[[np.ndarray], np.ndarray]  # uint8[N,48,48] -> float[N, classes of the node]


@dataclass(frozen=True)
class Predictions:
    """Probabilities of N faces.

    Attributes:
        branch: float64[N, branches], P(branch); rows sum to one.
        leaf: float64[N, leaves], P(leaf | its branch); the leaves of each branch sum to one.
        tree: that names the columns.
        sets: bool[N, leaves], the prediction sets, see `prediction_sets`; None where none were asked for.
    """

    branch: np.ndarray
    leaf: np.ndarray
    tree: Tree
    sets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.branch)

    @property
    def joint(self) -> np.ndarray:
        """float64[N, leaves], P(leaf) = P(branch) * P(leaf | branch); rows sum to one."""
        out = np.array(self.leaf, dtype=np.float64)
        for column, name in enumerate(self.tree.branches):
            out[:, self.tree.leaf_slice(name)] *= self.branch[:, column : column + 1]
        return out

    def take(self, rows: np.ndarray) -> "Predictions":
        """The predictions at `rows`, an index array or a bool mask."""
        sets = None if self.sets is None else self.sets[rows]
        return Predictions(self.branch[rows], self.leaf[rows], self.tree, sets)


def check_finite(logits: np.ndarray, source: str) -> None:
    """Refuse logits that no probability can be computed from.

    Raises:
        InputError: NaN or inf, as from a net whose training diverged.
    """
    if not np.isfinite(logits).all():
        raise InputError(f"{source} outputs NaN or inf; retrain with a lower fit.learning_rate")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise probabilities, float64[N, K]; all that leave this package come from here.

    Raises:
        InputError: NaN or infinite logits.
    """
    scaled = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(scaled).all():
        raise InputError("logits are NaN or infinite; no probabilities follow from them")
    exponential = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def calibrated(logits: np.ndarray, offset: np.ndarray | float = 0.0, temperature: float = 1.0) -> np.ndarray:
    """A node's logits float[N, K] with its classes' offsets added, divided by its temperature: float64."""
    return (logits.astype(np.float64) + offset) / temperature


def from_logits(tree: Tree, logits: Mapping[str, np.ndarray]) -> Predictions:
    """Predictions from the logits of all nets of a tree, each float[N, classes of the node]."""
    rows = len(logits[ROUTER])
    leaves = [softmax(logits[name]) if name in tree.nodes else np.ones((rows, 1)) for name in tree.branches]
    return Predictions(softmax(logits[ROUTER]), np.concatenate(leaves, axis=1), tree)


def from_flat(tree: Tree, probability: np.ndarray) -> Predictions:
    """A flat net's probabilities, float[N, leaves], as predictions of the tree with the same joint."""
    groups = [probability[:, tree.leaf_slice(branch)] for branch in tree.branches]
    branch = np.stack([group.sum(axis=1) for group in groups], axis=1)
    # a branch of probability zero has no meaningful leaves, but must not be NaN
    tiny = np.finfo(np.float64).tiny
    leaf = [group / np.maximum(group.sum(axis=1, keepdims=True), tiny) for group in groups]
    return Predictions(branch, np.concatenate(leaf, axis=1), tree)


def node_logits_from_flat(tree: Tree, logits: np.ndarray, node: str) -> np.ndarray:
    """A node's logits float64[N, its classes] from a flat net's float64[N, leaves]."""
    if node != ROUTER:
        return logits[:, tree.leaf_slice(node)]
    groups = [logits[:, tree.leaf_slice(branch)] for branch in tree.branches]
    return np.stack([np.logaddexp.reduce(group, axis=1) for group in groups], axis=1)


def mean(predictions: Sequence[Predictions]) -> Predictions:
    """The mean of several systems' probabilities of each leaf, for the same faces."""
    return from_flat(predictions[0].tree, np.mean([each.joint for each in predictions], axis=0))


def predict_from_logits(
    tree: Tree,
    logits: Mapping[str, np.ndarray],
    calibration: Mapping[str, Calibration],
    *,
    tempered: bool = True,
    adjusted: bool = True,
) -> tuple[Predictions, np.ndarray | None]:
    """The tree's predictions and the flat net's probabilities, from logits before calibration.

    Args:
        tree: of the nets.
        logits: node -> float[N, its classes]; without the whole tree, the flat net's sums are the tree's.
        calibration: by node, as the run's manifest has it.
        tempered: whether the temperatures are used.
        adjusted: whether the offsets are used, which restore the class frequencies.
    """
    ready = {}
    for node, values in logits.items():
        about = calibration.get(node, UNCALIBRATED)
        offset = np.array(about.offset) if adjusted else 0.0
        ready[node] = calibrated(values, offset, about.temperature if tempered else 1.0)
    flat = softmax(ready[FLAT]) if FLAT in ready else None
    if tree.complete(ready):
        return from_logits(tree, ready), flat
    return from_flat(tree, softmax(ready[FLAT])), flat


def soft(predictions: Predictions) -> np.ndarray:
    """Index of the likeliest leaf, int64[N]."""
    return predictions.joint.argmax(axis=1)


def hard(predictions: Predictions) -> np.ndarray:
    """Index of the likeliest leaf of the likelier branch, int64[N]."""
    owner = np.array(predictions.tree.branch_of_leaf)
    inside = owner[None, :] == predictions.branch.argmax(axis=1)[:, None]
    return np.where(inside, predictions.leaf, -1.0).argmax(axis=1)


def abstain(predictions: Predictions, min_confidence: float) -> np.ndarray:
    """The soft leaf where its probability reaches `min_confidence` in [0, 1], else ABSTAINED: int64[N]."""
    return np.where(predictions.joint.max(axis=1) >= min_confidence, soft(predictions), ABSTAINED)


def lazy(
    tree: Tree, branch: np.ndarray, specialists: Mapping[str, Callable[[np.ndarray], np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """The soft labels, running a specialist only while it can still win.

    A leaf's probability is at most its branch's, so branches are visited from the likeliest down, and a
    branch less likely than the best leaf so far is skipped.

    Args:
        tree: of the nets.
        branch: float64[N, branches], P(branch).
        specialists: branch -> row indices int64[M] -> P(leaf | branch) float64[M, its leaves]; a branch of
            one leaf needs none.

    Returns:
        Index of the leaf int64[N], the same as `soft`; and nets run for each face, the router among them,
        int64[N].
    """
    rows = len(branch)
    table = np.full((rows, len(tree.leaves)), -1.0)
    nets = np.ones(rows, dtype=np.int64)
    order = np.argsort(-branch, axis=1, kind="stable")
    for rank in range(len(tree.branches)):
        best = table.max(axis=1)
        for column, name in enumerate(tree.branches):
            due = np.flatnonzero((order[:, rank] == column) & (branch[:, column] >= best))
            if len(due):
                own = specialists[name](due) if name in tree.nodes else np.ones((len(due), 1))
                table[due, tree.leaf_slice(name)] = own * branch[due, column][:, None]
                nets[due] += name in tree.nodes
    return table.argmax(axis=1), nets


def thresholds(tree: Tree, conformal: Conformal, coverage: Any) -> np.ndarray:
    """The largest nonconformity score of each leaf in a prediction set, float64[leaves].

    Raises:
        InputError: a coverage that is no number between 0 and 1, or too large for the calibration faces.
    """
    if not isinstance(coverage, float | int | np.floating) or not 0 < coverage < 1:
        raise InputError(f"coverage {coverage!r:.80}: expected a number above 0 and below 1")
    branches = [_threshold(float(coverage), name, conformal.branches[name]) for name in tree.branches]
    return np.array(branches)[list(tree.branch_of_leaf)]


def _threshold(coverage: float, branch: str, scores: BranchScores) -> float:
    largest = math.floor(1e4 * scores.n / (scores.n + 1)) / 1e4
    if coverage > largest:
        raise InputError(
            f"coverage {coverage:g}: at most {largest:g}, since {scores.n:,} calibration faces are {branch}"
        )
    return scores.quantiles[math.ceil(coverage * LEVELS - 1e-9) - 1]


def prediction_sets(
    tree: Tree, logits: Mapping[str, np.ndarray], conformal: Conformal, coverage: float
) -> np.ndarray:
    """Sets of leaves that hold the true one with a probability of `coverage` or more: bool[N, leaves].

    Split-conformal, with the score 1 - P(leaf) of the least ambiguous sets (Sadinle, Lei and Wasserman 2019)
    and a threshold for each branch (Mondrian; Vovk, Gammerman and Shafer 2005), so that the probability holds
    within each branch. The likeliest leaf is always a member.

    Args:
        tree: of the nets.
        logits: as for `predict_from_logits`.
        conformal: of the run's manifest.
        coverage: above 0, below 1.

    Raises:
        InputError: as `thresholds`.
    """
    joint = predict_from_logits(tree, logits, conformal.calibration)[0].joint
    inside = 1 - joint <= thresholds(tree, conformal, coverage)
    inside[np.arange(len(joint)), joint.argmax(axis=1)] = True
    return np.asarray(inside)


def set_names(tree: Tree, inside: np.ndarray) -> list[str]:
    """Names of a set of leaves bool[leaves]; a branch stands for all of its several leaves."""
    names = list[str]()
    for branch, leaves in tree.children.items():
        members = [
            leaf for leaf, member in zip(leaves, inside[tree.leaf_slice(branch)], strict=True) if member
        ]
        names += [branch] if 1 < len(leaves) == len(members) else members
    return names
