"""Confidence intervals of accuracies, calibration errors, and tests of whether two systems differ.

All functions take bool arrays of correct predictions; the faces are the random sample.
"""

from typing import Any, Final

import numpy as np

DRAWS: Final = 2000  # of the bootstrap
BINS: Final = 15  # of the calibration error, equally wide


def share(right: np.ndarray) -> dict[str, Any]:
    """n, accuracy and its 95 % Wilson interval [low, high] of correct predictions bool[N]."""
    from scipy.stats import binomtest

    n, hits = len(right), int(np.sum(right))
    if not n:
        return {"n": 0, "accuracy": None, "ci95": None}
    interval = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="wilson")
    return {"n": n, "accuracy": hits / n, "ci95": [float(interval.low), float(interval.high)]}


def reliability(confidence: np.ndarray, correct: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions, confidence float[N] and correct bool[N], in BINS bins open below and closed above.

    Returns:
        count int64[BINS]; mean confidence and accuracy, float64[BINS], 0 in an empty bin.
    """
    place = np.clip(np.ceil(np.asarray(confidence) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    means = {
        name: np.bincount(place, weights=values, minlength=BINS) / np.maximum(count, 1)
        for name, values in (("confidence", confidence), ("accuracy", correct))
    }
    return {"count": count, **means}


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float | None:
    """Expected calibration error: the bins' mean gap of confidence and accuracy, weighted by count."""
    bins = reliability(confidence, correct)
    gap = np.abs(bins["confidence"] - bins["accuracy"])
    return float((bins["count"] * gap).sum() / len(correct)) if len(correct) else None


def mean_accuracy(right: np.ndarray) -> dict[str, Any]:
    """Mean accuracy of several systems on the same faces.

    Args:
        right: bool[S, N], whether system s is right on face n.

    Returns:
        systems and n; accuracy, the mean; spread, its standard deviation over systems, None for a single
        one; ci95, the 95 % interval [low, high] of a bootstrap over faces.
    """
    systems, n = right.shape
    spread = float(right.mean(axis=1).std(ddof=1)) if systems > 1 and n else None
    mean = right.mean(axis=0)
    accuracy = float(mean.mean()) if n else None
    return dict(systems=systems, n=n, accuracy=accuracy, spread=spread, ci95=_bootstrapped(mean))


def paired_difference(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Mean accuracy of bool[S, N] minus that of bool[T, N].

    Returns:
        difference; ci95, its 95 % interval of a bootstrap over faces; mcnemar_p, the exact p-value of each
        of ours against the first of theirs.
    """
    gap = ours.mean(axis=0) - theirs.mean(axis=0)
    p = [mcnemar(each, theirs[0]) for each in ours]
    return {"difference": float(gap.mean()), "ci95": _bootstrapped(gap), "mcnemar_p": p}


def _bootstrapped(values: np.ndarray) -> list[float] | None:
    """95 % interval of the mean of float[N] over resampled faces; None where all values are equal."""
    from scipy.stats import bootstrap

    if len(values) < 2 or (values == values[0]).all():
        return None
    options: dict[str, Any] = {"n_resamples": DRAWS, "batch": 100, "method": "percentile"}
    interval = bootstrap((values,), np.mean, rng=np.random.default_rng(0), **options).confidence_interval
    return [float(interval.low), float(interval.high)]


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Exact two-sided p-value that two systems, bool[N] on the same rows, have the same accuracy."""
    from scipy.stats import binomtest

    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
