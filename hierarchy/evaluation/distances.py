"""Distances between sets of faces as vectors: Frechet distance, precision and recall, nearest faces."""

from collections.abc import Iterator
from typing import Final

import numpy as np

NEIGHBOUR: Final = 3  # whose distance is the radius of a face's neighbourhood
CHUNK: Final = 512  # faces compared at a time with all others


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Squared Frechet distance of normal distributions fitted to float[N,F] and float[M,F].

    Heusel et al., "GANs trained by a two time-scale update rule" (2017). It falls with N and M: compare sets
    of equal sizes only.
    """
    gap = one.mean(axis=0) - other.mean(axis=0)
    first, second = (np.cov(each, rowvar=False, dtype=np.float64) for each in (one, other))
    shared = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * shared)


def precision_recall(real: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Share of drawn faces among the real ones, and of real faces among the drawn ones; float[N,F] each.

    A face is among others if it is nearer to one of them than that one's third nearest of its own kind:
    Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models" (2019).
    """
    return _covered(real, drawn), _covered(drawn, real)


def _covered(known: np.ndarray, other: np.ndarray) -> float:
    radius = np.concatenate(
        [np.sort(part, axis=1)[:, NEIGHBOUR] for part in _parts(known, known)]
    )  # 0: itself
    return float(np.mean(np.concatenate([(part <= radius).any(axis=1) for part in _parts(other, known)])))


def nearest(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each row of float[N,F] to the nearest of float[M,F], float[N], and its index, int[N]."""
    parts = [(part.min(axis=1), part.argmin(axis=1)) for part in _parts(one, other)]
    distance, index = map(np.concatenate, zip(*parts, strict=True))
    return np.sqrt(distance), index


def _parts(one: np.ndarray, other: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances of rows to all other rows, CHUNK rows at a time, float32[CHUNK, M]."""
    one, other = one.astype(np.float32), other.astype(np.float32)
    square = (other**2).sum(axis=1)
    for start in range(0, len(one), CHUNK):
        part = one[start : start + CHUNK]
        yield np.maximum((part**2).sum(axis=1)[:, None] + square - 2 * part @ other.T, 0)
