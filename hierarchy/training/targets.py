"""Training images and soft targets of one node.

Targets are one-hot labels, optionally mixed with FER+ votes or with a teacher's probabilities (Hinton et al.,
"Distilling the knowledge in a neural network", 2015). A specialist may also see faces of other branches as
outliers, with uniform targets.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np

from hierarchy.config.net_limits import check
from hierarchy.config.schema import PretrainedConfig, Recipe, TrainConfig
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.formats import ferplus
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, ROUTER, TRUNK, Tree

MISSING: Final = "fit.{0} or warm_start.{0}, and {1}, need each other: one is missing"


@dataclass(frozen=True)
class NodeDataset:
    """Training faces of one node, followed by outliers.

    Attributes:
        pixels: uint8[N,48,48].
        label: int64[M], class index of the first M faces; the rest are outliers.
        target: float32[N, outputs of the net]; rows sum to one for each of its heads, or to zero where a face
            is of no class of that head.
        generated: number of the M faces that are added to others: they do not make an epoch longer.
    """

    pixels: np.ndarray
    label: np.ndarray
    target: np.ndarray
    generated: int = 0

    def __len__(self) -> int:
        """Number of faces without the outliers."""
        return len(self.label)

    @property
    def epoch(self) -> int:
        """Number of faces that an epoch shows, without the outliers."""
        return len(self) - self.generated


def class_weights(label: np.ndarray, classes: int) -> np.ndarray:
    """Inverse frequency of each class of int[N], scaled to a mean of one over the faces: float64[classes]."""
    counts = np.bincount(label, minlength=classes)
    return len(label) / (classes * np.maximum(counts, 1))


def one_hot(label: np.ndarray, classes: int) -> np.ndarray:
    """Class indices int[N] -> float32[N, classes]; rows of zeros for indices below 0."""
    return np.eye(classes, dtype=np.float32)[label] * (label >= 0)[:, None]


def labels_of(faces: FaceDataset, tree: Tree, net: str) -> np.ndarray:
    """The labels of faces at every head of a net, float32[N, its outputs], as in `NodeDataset.target`."""
    parts = [one_hot(faces.target(tree, head), len(tree.classes_of(head))) for head in tree.heads(net)]
    return np.concatenate(parts, axis=1)


def leaf_scores(tree: Tree) -> np.ndarray:
    """float32[outputs of the trunk, leaves], 1 where a leaf's log probability sums an output's."""
    columns = tree.columns(TRUNK)
    table = np.zeros((len(tree.classes_of(TRUNK)), len(tree.leaves)), np.float32)
    for leaf, branch in enumerate(tree.branch_of_leaf):
        table[columns[ROUTER].start + branch, leaf] = 1
        if (own := columns.get(tree.branches[branch])) is not None:
            table[own.start + tree.children[tree.branches[branch]].index(tree.leaves[leaf]), leaf] = 1
    return table


def check_recipe(recipe: Recipe, teacher: bool, generator: bool = False) -> None:
    """Refuse a recipe whose net is too large, or whose options contradict each other, teacher or generator.

    Raises:
        InputError: they do.
    """
    fits = recipe.fits
    for fit in fits:
        check(recipe.net, fit.batch_size)
    if any(fit.distillation_weight for fit in fits) != teacher:
        raise InputError(MISSING.format("distillation_weight", "--teacher RUN,RUN"))
    if any(fit.generated_share for fit in fits) != generator:
        raise InputError(MISSING.format("generated_share", "--generated NAME"))
    if any(fit.samples_per_class and fit.generated_share for fit in fits):
        raise InputError("fit.samples_per_class: not with fit.generated_share")
    if any(fit.samples_per_class and not fit.balanced for fit in fits):
        raise InputError("fit.samples_per_class needs fit.oversample or fit.class_weights")
    soft = ("outlier_ratio", "soft_label_weight", "distillation_weight")
    if any(fit.class_weights and any(getattr(fit, key) for key in soft) for fit in fits):
        raise InputError(
            f"fit.class_weights needs hard labels: not with {', '.join(f'fit.{key}' for key in soft)}"
        )
    if recipe.heads == "shared" and any(fit.outlier_ratio or fit.class_weights for fit in fits):
        raise InputError("heads=shared: not with fit.outlier_ratio or fit.class_weights")
    if recipe.heads == "shared" and any(fit.loss != "cross-entropy" for fit in fits):
        raise InputError("heads=shared needs fit.loss=cross-entropy")
    if isinstance(recipe.net, PretrainedConfig) and any(fit.l2 for fit in fits):
        raise InputError("fit.l2 is for VGG-style nets; pretrained backbones use fit.weight_decay")


def check_faces(faces: FaceDataset, recipe: Recipe, nodes: Iterable[str]) -> None:
    """Refuse faces that the nets of a recipe cannot be trained on.

    Raises:
        InputError: FER+ votes are missing, or a split has no face of a node's classes.
    """
    if faces.votes is None and any(fit.soft_label_weight for fit in recipe.fits):
        raise InputError(
            f"{faces.source}: no FER+ votes for fit.soft_label_weight; put {ferplus.FILE} beside it"
        )
    for node, role in product(nodes, (Split.Training, Split.PublicTest)):
        if not ((faces.split == role) & (faces.target(recipe.tree, node) >= 0)).any():
            classes = ", ".join(recipe.tree.classes_of(node))
            raise InputError(f"{faces.source}: no {role.name} faces for the {node} net ({classes})")


def node_dataset(
    training: FaceDataset, tree: Tree, node: str, fit: TrainConfig, taught: np.ndarray | None = None
) -> NodeDataset:
    """The training set of one node.

    Args:
        training: Training faces; those that the tree leaves out are skipped.
        tree: of the node.
        node: name of the net.
        fit: weights of votes and teacher, ratio of outliers.
        taught: float[N, leaves], the teacher's probabilities, for `fit.distillation_weight`.
    """
    if node == TRUNK:
        return _of_every_head(training, tree, fit, taught)
    label = training.target(tree, node)
    inside = label >= 0
    chosen = inside & few_of_each(label, fit.samples_per_class) if fit.samples_per_class else inside
    own, classes = training.take(chosen), len(tree.classes_of(node))
    target = one_hot(label[chosen], classes)
    if fit.soft_label_weight and own.votes is not None:
        target = _mixed(target, _at_node(tree, node, _vote_shares(tree, own.votes)), fit.soft_label_weight)
    if fit.distillation_weight and taught is not None:
        soft = _as_balanced(_at_node(tree, node, taught[chosen]), label[inside], fit)
        target = _mixed(target, soft, fit.distillation_weight)
    if not fit.outlier_ratio:
        return NodeDataset(own.pixels, label[chosen], target, _added(own))
    outliers = training.take((training.target(tree, FLAT) >= 0) & ~inside).pixels
    uniform = np.full((len(outliers), classes), 1 / classes, np.float32)
    pixels, target = np.concatenate([own.pixels, outliers]), np.concatenate([target, uniform])
    return NodeDataset(pixels, label[chosen], target, _added(own))


def _added(own: FaceDataset) -> int:
    """Number of generated faces among others; 0 where there are no others."""
    return 0 if own.generated.all() else int(own.generated.sum())


def _of_every_head(
    training: FaceDataset, tree: Tree, fit: TrainConfig, taught: np.ndarray | None
) -> NodeDataset:
    """The training set of the trunk: faces of all leaves, with a target for each head."""
    label = training.target(tree, FLAT)
    chosen = label >= 0
    if fit.samples_per_class:
        chosen &= few_of_each(label, fit.samples_per_class)
    own = training.take(chosen)
    soft = None if taught is None else _as_balanced(taught[chosen], label[label >= 0], fit)
    fit = replace(fit, samples_per_class=0, oversample=False)  # the leaves' balance is every head's
    targets = []
    for head in tree.heads(TRUNK):
        target = np.zeros((len(own), len(tree.classes_of(head))), np.float32)
        target[own.target(tree, head) >= 0] = node_dataset(own, tree, head, fit, soft).target
        targets.append(target)
    return NodeDataset(own.pixels, label[chosen], np.concatenate(targets, axis=1), _added(own))


def few_of_each(label: np.ndarray, rows: int) -> np.ndarray:
    """At most `rows` of each class of int[N], always the same ones: bool[N]."""
    order = np.random.default_rng(0).permutation(len(label))
    chosen = np.zeros(len(label), bool)
    for code in np.unique(label):
        chosen[order[label[order] == code][:rows]] = True
    return chosen


def _vote_shares(tree: Tree, votes: np.ndarray) -> np.ndarray:
    """Share of the FER+ votes of each leaf, float[N, leaves]; zero rows where no vote is for a leaf."""
    columns = np.zeros((len(votes), len(tree.leaves)), votes.dtype)
    for column, choice in enumerate(ferplus.CHOICES):
        if leaf := tree.leaf_named(choice):
            columns[:, tree.leaves.index(leaf)] += votes[:, column]
    return columns / np.maximum(columns.sum(axis=1, keepdims=True), 1)


def _at_node(tree: Tree, node: str, leaves: np.ndarray) -> np.ndarray:
    """A distribution over leaves as one over a node's classes; zero rows where none of it is the node's."""
    return _normalised(np.stack([leaves[:, group].sum(axis=1) for group in tree.members(node)], axis=1))


def _as_balanced(soft: np.ndarray, label: np.ndarray, fit: TrainConfig) -> np.ndarray:
    """A teacher's probabilities with the class frequencies of training divided out (Bayes' rule).

    A teacher's probabilities contain the class frequencies. A net trained on balanced classes gets them
    during calibration, and would otherwise count them twice.
    """
    if not fit.balanced:
        return soft
    return _normalised(soft / np.maximum(np.bincount(label, minlength=soft.shape[1]), 1))


def _normalised(mass: np.ndarray) -> np.ndarray:
    """Rows that sum to one; rows of zeros stay."""
    total = mass.sum(axis=1, keepdims=True)
    return np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)


def _mixed(target: np.ndarray, soft: np.ndarray, weight: float) -> np.ndarray:
    """`target` with a share of `soft`; rows where `soft` is zero stay."""
    share = weight * soft.sum(axis=1, keepdims=True)
    return ((1 - share) * target + weight * soft).astype(np.float32)
