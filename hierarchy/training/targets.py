"""What a node is shown and told while it is trained: faces, and the distribution over its classes to learn.

The label alone, or mixed with what ten people said of the face (FER+), or with what other nets say of it
(Hinton et al., "Distilling the knowledge in a neural network", 2015). A specialist may be shown faces of the
other branches too, about which it learns to be undecided.
"""

from dataclasses import dataclass

import numpy as np

from hierarchy.config.schema import PretrainedConfig, Recipe, TrainConfig
from hierarchy.data.dataset import FaceDataset
from hierarchy.data.formats import ferplus
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, LEAVES, classes_of, members


@dataclass(frozen=True)
class NodeDataset:
    """Training faces of one node, its own first.

    Attributes:
        pixels: uint8[N,48,48].
        label: int64[own], class index of the node's own faces; those of other branches come after them.
        target: float32[N, its classes], rows sum to one.
    """

    pixels: np.ndarray
    label: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        """How many are the node's own."""
        return len(self.label)


def class_weights(label: np.ndarray) -> np.ndarray:
    """Inverse frequency of each class of int[N], scaled to a mean of one over the faces: float64[K]."""
    counts = np.bincount(label)
    return len(label) / (len(counts) * np.maximum(counts, 1))


def one_hot(target: np.ndarray, node: str) -> np.ndarray:
    """Class indices int[N] -> float32[N, classes of the node]."""
    return np.eye(len(classes_of(node)), dtype=np.float32)[target]


def check(recipe: Recipe, faces: FaceDataset, taught: bool) -> None:
    """Refuse a recipe whose lessons cannot be had, before any time is spent.

    Raises:
        InputError: votes or a teacher are asked for and not there, a teacher has nothing to teach, or two of
            the recipe's wishes contradict each other.
    """
    fits = [fit for fit in (recipe.fit, recipe.warm_start) if fit]
    if any(fit.soft_label_weight for fit in fits) and faces.votes is None:
        raise InputError(
            f"{faces.source}: no FER+ votes for the recipe's share votes; lay {ferplus.FILE} beside it"
        )
    if any(fit.distillation_weight for fit in fits) != taught:
        raise InputError("the recipe's share teacher and --teacher RUN,RUN go together: one is missing")
    if any(fit.samples_per_class and not (fit.oversample or fit.class_weights) for fit in fits):
        raise InputError(
            "fit.samples_per_class shows all classes alike: it goes with fit.oversample or fit.class_weights"
        )
    if any(
        fit.class_weights and (fit.outlier_ratio or fit.soft_label_weight or fit.distillation_weight)
        for fit in fits
    ):
        raise InputError(
            "fit.class_weights go by labels alone: without fit.outlier_ratio, fit.soft_label_weight, fit.distillation_weight"
        )
    if isinstance(recipe.net, PretrainedConfig) and any(fit.l2 for fit in fits):
        raise InputError("fit.l2 is for nets of the VGG-style family; a published net takes fit.weight_decay")


def node_dataset(
    training: FaceDataset, node: str, fit: TrainConfig, taught: np.ndarray | None = None
) -> NodeDataset:
    """Lessons of one node.

    Args:
        training: Training faces; unlabelled ones are left aside.
        node: whose lessons.
        fit: how much votes, teacher and outsiders count.
        taught: float[N, leaves], what other nets say of every face, for `fit.distillation_weight`.
    """
    every = training.target(node)
    mine = (every >= 0) & few_of_each(every, fit.samples_per_class) if fit.samples_per_class else every >= 0
    own, target = training.take(mine), every[mine]
    told = one_hot(target, node)
    if fit.soft_label_weight and own.votes is not None:
        told = _mixed(told, _at(node, _of_taggers(own.votes)), fit.soft_label_weight)
    if fit.distillation_weight and taught is not None:
        told = _mixed(
            told, _as_balanced(_at(node, taught[mine]), every[every >= 0], fit), fit.distillation_weight
        )
    if not fit.outlier_ratio:
        return NodeDataset(own.pixels, target, told)
    others = training.take((training.target(FLAT) >= 0) & (every < 0)).pixels
    undecided = np.full((len(others), told.shape[1]), 1 / told.shape[1], np.float32)
    return NodeDataset(np.concatenate([own.pixels, others]), target, np.concatenate([told, undecided]))


def few_of_each(label: np.ndarray, rows: int) -> np.ndarray:
    """At most `rows` of each class of int[N], the same ones every time: bool[N]."""
    order = np.random.default_rng(0).permutation(len(label))
    chosen = np.zeros(len(label), bool)
    for code in np.unique(label):
        chosen[order[label[order] == code][:rows]] = True
    return chosen


def _of_taggers(votes: np.ndarray) -> np.ndarray:
    """Share of the taggers' votes for each leaf, float[N, leaves]; zero rows where no vote is for a leaf."""
    columns = np.stack([votes[:, ferplus.CHOICES.index(leaf)] for leaf in LEAVES], axis=1)
    return columns / np.maximum(columns.sum(axis=1, keepdims=True), 1)


def _at(node: str, leaves: np.ndarray) -> np.ndarray:
    """A distribution over leaves as one over a node's classes; zero rows where none of it is the node's."""
    return _normed(np.stack([leaves[:, group].sum(axis=1) for group in members(node)], axis=1))


def _as_balanced(told: np.ndarray, label: np.ndarray, fit: TrainConfig) -> np.ndarray:
    """A teacher's answers as they would be if classes were as frequent as training shows them (Bayes' rule).

    A teacher speaks of classes as often as they are; a net that is trained on balanced classes, and set
    right by their frequencies afterwards, would otherwise be set right twice.
    """
    if not fit.balanced:
        return told
    return _normed(told / np.maximum(np.bincount(label, minlength=told.shape[1]), 1))


def _normed(mass: np.ndarray) -> np.ndarray:
    """Rows that sum to one; rows of zeros stay."""
    total = mass.sum(axis=1, keepdims=True)
    return np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)


def _mixed(told: np.ndarray, other: np.ndarray, weight: float) -> np.ndarray:
    """`told` with a share of `other`, where the other has something to say."""
    share = weight * other.sum(axis=1, keepdims=True)
    return ((1 - share) * told + weight * other).astype(np.float32)
