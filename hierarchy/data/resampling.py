"""Oversampling of row indices, not of pixels: repeats are drawn again for each epoch and none is stored."""

import numpy as np


def oversampled(target: np.ndarray, seed: int) -> np.ndarray:
    """Row indices in which every class is as frequent as the largest one, int64[M], in no particular order.

    imbalanced-learn's RandomOverSampler keeps each row once and repeats random rows of the smaller classes.

    Args:
        target: int[N], class of each row.
        seed: of the repeats.
    """
    from imblearn.over_sampling import RandomOverSampler

    rows = np.arange(len(target))
    if len(np.unique(target)) < 2:  # nothing to balance; imbalanced-learn refuses a single class
        return rows
    chosen, _ = RandomOverSampler(random_state=seed).fit_resample(rows.reshape(-1, 1), target)
    return np.asarray(chosen).ravel()
