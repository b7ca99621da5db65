"""Boxes [x, y, width, height]: overlap and one-to-one matching."""

import numpy as np


def matched(shared: np.ndarray, least: float) -> dict[int, int]:
    """Row -> column of float[N,M] overlaps, one to one, the best pairs of them all that share `least`."""
    from scipy.optimize import linear_sum_assignment

    pairs = zip(*linear_sum_assignment(-shared), strict=True)
    return {int(row): int(column) for row, column in pairs if shared[row, column] >= least}


def overlap(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [x, y, width, height]: float[N,4], float[M,4] -> float[N,M]."""
    a, b = ours[:, None].astype(float), theirs[None].astype(float)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    return shared / np.maximum(a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - shared, 1e-9)
