"""Batches in an order that follows from (seed, epoch), so that a resumed run repeats it."""

import numpy as np

from hierarchy.config.schema import AugmentConfig, TrainConfig
from hierarchy.data.resampling import oversampled
from hierarchy.training.targets import NodeDataset


class EpochSampler:
    """Batches (uint8[B,48,48], float32[B,K]) of one node; only full ones, unless there is only one.

    Args:
        node_dataset: of the node.
        fit: batch size, oversampling, outliers, number of epochs.
        augment: mixup; the rest of the augmentation happens inside the training step.
        seed: of order, repeats and mixup.
    """

    def __init__(
        self, node_dataset: NodeDataset, fit: TrainConfig, augment: AugmentConfig, seed: int
    ) -> None:
        self.node_dataset, self.fit, self.augment, self.seed = node_dataset, fit, augment, seed
        self.begin(0)

    def __len__(self) -> int:
        return max(1, len(self.order) // self.fit.batch_size)

    def begin(self, epoch: int) -> None:
        """Draw the order of an epoch, counted from 0."""
        self.epoch = epoch
        random = np.random.default_rng([self.seed, epoch])
        own = len(self.node_dataset)
        rows = np.arange(own)
        if self.fit.oversampled:
            rows = oversampled(self.node_dataset.label, int(random.integers(2**31)))
        shown = self.node_dataset.epoch
        self.order = random.permutation(rows)[:shown]
        if outliers := len(self.node_dataset.pixels) - own:
            few = min(outliers, round(self.fit.outlier_ratio * shown))
            drawn = random.choice(outliers, few, replace=False)
            self.order = random.permutation(np.concatenate([self.order, own + drawn]))

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        size = self.fit.batch_size
        rows = self.order[step * size : (step + 1) * size]
        pixels, targets = self.node_dataset.pixels[rows], self.node_dataset.target[rows]
        if not self.augment.mixup or self.epoch >= self.augment.mixup_until * self.fit.epochs:
            return pixels, targets
        random = np.random.default_rng([self.seed, self.epoch, step])
        weight = float(random.beta(self.augment.mixup, self.augment.mixup))
        return mixup(pixels, targets, weight, random.permutation(len(rows)))


def mixup(
    pixels: np.ndarray, target: np.ndarray, weight: float, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each face and its target with another of the batch (Zhang et al., "mixup", 2018).

    Args:
        pixels: uint8[N,48,48].
        target: float32[N,K], rows sum to one.
        weight: of the face itself, 0 to 1.
        order: int[N], the face that each is blended with.
    """
    faces = np.rint(weight * pixels + (1.0 - weight) * pixels[order]).astype(np.uint8)
    return faces, (weight * target + (1.0 - weight) * target[order]).astype(np.float32)
