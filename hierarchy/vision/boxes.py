"""Boxes [x, y, width, height]: overlap and one-to-one matching."""

import numpy as np


def matched(overlaps: np.ndarray, minimum: float) -> dict[int, int]:
    """Optimal one-to-one matching, row -> column, of overlaps float[N,M]; only pairs from `minimum` on."""
    from scipy.optimize import linear_sum_assignment

    pairs = zip(*linear_sum_assignment(-overlaps), strict=True)
    return {int(row): int(column) for row, column in pairs if overlaps[row, column] >= minimum}


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [x, y, width, height]: float[N,4], float[M,4] -> float[N,M]."""
    a, b = first[:, None].astype(float), second[None].astype(float)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    return shared / np.maximum(a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - shared, 1e-9)
