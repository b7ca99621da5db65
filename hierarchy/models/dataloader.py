"""Epochs as `fit` takes them."""

import keras
import numpy as np

from hierarchy.config.schema import Augment, Fit
from hierarchy.models import distributed
from hierarchy.training.sampler import Epochs
from hierarchy.training.targets import Lessons


class Batches(Epochs, keras.utils.PyDataset):
    """Epochs, with the manners of a Keras data set."""

    def __init__(self, lessons: Lessons, fit: Fit, augment: Augment, seed: int) -> None:
        keras.utils.PyDataset.__init__(self)
        Epochs.__init__(self, lessons, fit, augment, seed)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        pixels, targets = super().__getitem__(step)
        return distributed.share(pixels), distributed.share(targets)
