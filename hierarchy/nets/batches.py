"""Epochs as `fit` takes them."""

import keras
import numpy as np

from hierarchy.fitting.epochs import Epochs
from hierarchy.fitting.lessons import Lessons
from hierarchy.hyperparameters import Augment, Fit
from hierarchy.nets import distribute


class Batches(Epochs, keras.utils.PyDataset):
    """Epochs, with the manners of a Keras data set."""

    def __init__(self, lessons: Lessons, fit: Fit, augment: Augment, seed: int) -> None:
        keras.utils.PyDataset.__init__(self)
        Epochs.__init__(self, lessons, fit, augment, seed)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        pixels, targets = super().__getitem__(step)
        return distribute.share(pixels), distribute.share(targets)
