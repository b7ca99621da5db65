"""Epochs as `fit` takes them."""

import keras

from hierarchy.fitting.epochs import Epochs
from hierarchy.fitting.lessons import Lessons
from hierarchy.hyperparameters import Augment, Fit


class Batches(Epochs, keras.utils.PyDataset):
    """Epochs, with the manners of a Keras data set."""

    def __init__(self, lessons: Lessons, fit: Fit, augment: Augment, seed: int) -> None:
        keras.utils.PyDataset.__init__(self)
        Epochs.__init__(self, lessons, fit, augment, seed)
