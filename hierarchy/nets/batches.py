"""Batches of training faces in an order that follows from (seed, epoch): a resumed run sees the same ones."""

import keras
import numpy as np

from hierarchy.data.balance import oversampled
from hierarchy.data.faces import Faces
from hierarchy.nets.augment import mixup
from hierarchy.recipes import Augment, Fit
from hierarchy.taxonomy import classes_of


def one_hot(target: np.ndarray, node: str) -> np.ndarray:
    """Class indices int[N] -> float32[N, classes of the node]."""
    return np.eye(len(classes_of(node)), dtype=np.float32)[target]


class Batches(keras.utils.PyDataset):
    """Batches (uint8[B,48,48], float32[B,K]) of one node's faces, as many an epoch as the faces fill.

    Args:
        faces: labelled faces of the node's own classes.
        node: whose classes the targets are.
        fit: batch size, oversampling, number of epochs.
        augment: mixing; the rest of the augmentation happens inside the training step.
        seed: of order, repeats and mixing.
    """

    def __init__(self, faces: Faces, node: str, fit: Fit, augment: Augment, seed: int) -> None:
        super().__init__()
        self.pixels, self.target = faces.pixels, faces.target(node)
        self.targets = one_hot(self.target, node)
        self.fit, self.augment, self.seed = fit, augment, seed
        self.begin(0)

    def __len__(self) -> int:
        return max(1, len(self.pixels) // self.fit.batch_size)

    def begin(self, epoch: int) -> None:
        """Lay out the order of an epoch, counted from 0."""
        self.epoch = epoch
        random = np.random.default_rng([self.seed, epoch])
        rows = np.arange(len(self.pixels))
        if self.fit.oversampled:
            rows = oversampled(self.target, int(random.integers(2**31)))
        self.order = random.permutation(rows)[: len(self.pixels)]

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        size = self.fit.batch_size
        rows = self.order[step * size : (step + 1) * size]
        pixels, targets = self.pixels[rows], self.targets[rows]
        if not self.augment.mixup or self.epoch >= self.augment.mixup_until * self.fit.epochs:
            return pixels, targets
        random = np.random.default_rng([self.seed, self.epoch, step])
        weight = float(random.beta(self.augment.mixup, self.augment.mixup))
        return mixup(pixels, targets, weight, random.permutation(len(rows)))
