"""The batches of training as a Keras dataset."""

import keras
import numpy as np

from hierarchy.config.schema import AugmentConfig, TrainConfig
from hierarchy.models import distributed
from hierarchy.training.sampler import EpochSampler
from hierarchy.training.targets import NodeDataset


class KerasDataset(EpochSampler, keras.utils.PyDataset):
    """EpochSampler as a PyDataset, restricted to this process's share of each batch."""

    def __init__(
        self, node_dataset: NodeDataset, fit: TrainConfig, augment: AugmentConfig, seed: int
    ) -> None:
        keras.utils.PyDataset.__init__(self)
        EpochSampler.__init__(self, node_dataset, fit, augment, seed)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        pixels, targets = super().__getitem__(step)
        return distributed.share(pixels), distributed.share(targets)
