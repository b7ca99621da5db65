"""From the nets' logits to one answer: soft, hard, lazy, or none below the branch. Pure numpy.

soft: argmax of P(branch) * P(leaf | branch). hard: argmax inside the likelier branch. lazy: the soft label,
without asking a specialist that can no longer win. Every sum runs over one row's own few numbers in a fixed
order, so that a row's bits do not depend on its batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierarchy.errors import InputError
from hierarchy.taxonomy import BRANCHES, FLAT, LEAVES, NODES, ROUTER, TREE, leaf_slice

OWNER = np.repeat(
    np.arange(len(BRANCHES)), [len(TREE[branch]) for branch in BRANCHES]
)  # the branch of each leaf
STOPPED = -1  # the leaf of a face whose answer stops at its branch
Logits = Callable[[np.ndarray], np.ndarray]  # uint8[N,48,48] -> float[N, classes of the node]


@dataclass(frozen=True)
class Predictions:
    """What the three nets say of N faces.

    Attributes:
        branch: float64[N, branches], P(branch); rows sum to one.
        leaf: float64[N, leaves], P(leaf | its branch); the leaves of each branch sum to one.
    """

    branch: np.ndarray
    leaf: np.ndarray

    def __len__(self) -> int:
        return len(self.branch)

    @property
    def joint(self) -> np.ndarray:
        """float64[N, leaves], P(leaf); rows sum to one."""
        return joint(self.branch, self.leaf)

    def take(self, rows: np.ndarray) -> "Predictions":
        """The predictions at `rows`, an index array or a bool mask."""
        return Predictions(self.branch[rows], self.leaf[rows])


def check_finite(logits: np.ndarray, whose: str) -> None:
    """Refuse what no probability can be made of.

    Raises:
        InputError: a logit that is not a number, as of a net whose training went astray.
    """
    if not np.isfinite(logits).all():
        raise InputError(f"{whose} gives what is not a number: train it anew, with a lower fit.learning_rate")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise probabilities, float64[N, K]."""
    scaled = np.asarray(logits, dtype=np.float64)
    exponential = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def calibrated(logits: np.ndarray, offset: np.ndarray | float = 0.0, temperature: float = 1.0) -> np.ndarray:
    """A node's logits float[N, K] with its classes' offsets added, divided by its temperature: float64."""
    return (logits.astype(np.float64) + offset) / temperature


def joint(branch: np.ndarray, leaf: np.ndarray) -> np.ndarray:
    """P(leaf) = P(branch) * P(leaf | branch), float64[N, leaves]."""
    out = np.array(leaf, dtype=np.float64)
    for column, name in enumerate(BRANCHES):
        out[:, leaf_slice(name)] *= branch[:, column : column + 1]
    return out


def from_logits(logits: Mapping[str, np.ndarray]) -> Predictions:
    """Predictions of all nodes' logits, each float[N, classes of the node]."""
    leaves = [softmax(logits[branch]) for branch in BRANCHES]
    return Predictions(softmax(logits[ROUTER]), np.concatenate(leaves, axis=1))


def from_flat(probability: np.ndarray) -> Predictions:
    """A flat net's probabilities, float[N, leaves], as predictions of the tree with the same joint."""
    groups = [probability[:, leaf_slice(branch)] for branch in BRANCHES]
    branch = np.stack([group.sum(axis=1) for group in groups], axis=1)
    tiny = np.finfo(
        np.float64
    ).tiny  # a branch of probability zero has no meaningful leaves, but must not be NaN
    leaf = [group / np.maximum(group.sum(axis=1, keepdims=True), tiny) for group in groups]
    return Predictions(branch, np.concatenate(leaf, axis=1))


def of_flat(logits: np.ndarray, node: str) -> np.ndarray:
    """A node's logits float64[N, its classes] by a flat net's float64[N, leaves]."""
    if node != ROUTER:
        return logits[:, leaf_slice(node)]
    groups = [logits[:, leaf_slice(branch)] for branch in BRANCHES]
    return np.stack([np.logaddexp.reduce(group, axis=1) for group in groups], axis=1)


def mean(every: Sequence[Predictions]) -> Predictions:
    """What several systems say together of the same faces: the mean of their probabilities of each leaf."""
    return from_flat(np.mean([each.joint for each in every], axis=0))


def judged(
    logits: Mapping[str, np.ndarray],
    calibration: Mapping[str, Any],
    *,
    tempered: bool = True,
    adjusted: bool = True,
) -> tuple[Predictions, np.ndarray | None]:
    """The tree's predictions and the flat net's probabilities, from logits before calibration.

    Args:
        logits: node -> float[N, its classes]; without the whole tree, the flat net's sums are the tree's.
        calibration: of the run's card, node -> offset and temperature.
        tempered: whether the temperatures are used.
        adjusted: whether the offsets are used, which give classes their frequencies back.
    """
    ready = {}
    for node, values in logits.items():
        about = calibration.get(node, {"offset": 0.0, "temperature": 1.0})
        temperature = about["temperature"] if tempered else 1.0
        offset = np.array(about["offset"]) if adjusted else 0.0
        ready[node] = calibrated(values, offset, temperature)
    flat = softmax(ready[FLAT]) if FLAT in ready else None
    if set(NODES) <= ready.keys():
        return from_logits(ready), flat
    return from_flat(softmax(ready[FLAT])), flat


def soft(predictions: Predictions) -> np.ndarray:
    """Index into LEAVES of the likeliest leaf, int64[N]."""
    return predictions.joint.argmax(axis=1)


def hard(predictions: Predictions) -> np.ndarray:
    """Index into LEAVES of the likeliest leaf of the likelier branch, int64[N]."""
    inside = OWNER[None, :] == predictions.branch.argmax(axis=1)[:, None]
    return np.where(inside, predictions.leaf, -1.0).argmax(axis=1)


def abstain(predictions: Predictions, min_confidence: float) -> np.ndarray:
    """The soft leaf where its probability reaches `min_confidence` in [0, 1], else STOPPED: int64[N]."""
    return np.where(predictions.joint.max(axis=1) >= min_confidence, soft(predictions), STOPPED)


def lazy(
    branch: np.ndarray, specialists: Sequence[Callable[[np.ndarray], np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """The soft labels, running a specialist only while it can still win.

    A leaf's probability is at most its branch's, so the branches are asked from the likeliest down, and a
    branch less likely than the best leaf so far is not asked at all.

    Args:
        branch: float64[N, branches], P(branch).
        specialists: one callable a branch, row indices int64[M] -> P(leaf | branch) float64[M, its leaves].

    Returns:
        Index into LEAVES int64[N], the same as `soft`; and nets run for each face, the router among them,
        int64[N].
    """
    rows = len(branch)
    table = np.full((rows, len(LEAVES)), -1.0)
    nets = np.ones(rows, dtype=np.int64)
    order = np.argsort(-branch, axis=1, kind="stable")
    for rank in range(len(BRANCHES)):
        best = table.max(axis=1)
        for column, name in enumerate(BRANCHES):
            due = np.flatnonzero((order[:, rank] == column) & (branch[:, column] >= best))
            if len(due):
                table[due, leaf_slice(name)] = specialists[column](due) * branch[due, column][:, None]
                nets[due] += 1
    return table.argmax(axis=1), nets
