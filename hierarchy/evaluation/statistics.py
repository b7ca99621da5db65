"""How far a share of right answers can be trusted, and whether two systems are apart.

All functions take which faces were answered rightly, bool arrays; faces are what is drawn at random.
"""

from typing import Any, Final

import numpy as np

DRAWS: Final = 2000  # of the bootstrap


def share(right: np.ndarray) -> dict[str, Any]:
    """Of bool[N] answers: n, the share that is right, and its 95 % interval [low, high] after Wilson."""
    from scipy.stats import binomtest

    n, hits = len(right), int(np.sum(right))
    if not n:
        return {"n": 0, "accuracy": None, "ci95": None}
    interval = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="wilson")
    return {"n": n, "accuracy": hits / n, "ci95": [float(interval.low), float(interval.high)]}


def mean_accuracy(right: np.ndarray) -> dict[str, Any]:
    """The mean share of right answers of several systems on the same faces.

    Args:
        right: bool[S, N], whether system s is right on face n.

    Returns:
        systems and n; accuracy, the mean share; spread, its standard deviation over systems, None for one
        alone; ci95, the 95 % interval [low, high] from drawing the faces anew.
    """
    systems, n = right.shape
    spread = float(right.mean(axis=1).std(ddof=1)) if systems > 1 and n else None
    mean = right.mean(axis=0)
    return {"systems": systems, "n": n, "accuracy": float(mean.mean()) if n else None, "spread": spread} | (
        {"ci95": _bootstrapped(mean)}
    )


def paired_difference(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """How much more often bool[S, N] are right than bool[T, N], in the mean over systems.

    Returns:
        difference, with its 95 % interval ci95 from drawing the faces anew; and mcnemar_p, exact, of each of
        ours against the first of theirs.
    """
    gap = ours.mean(axis=0) - theirs.mean(axis=0)
    p = [mcnemar(each, theirs[0]) for each in ours]
    return {"difference": float(gap.mean()), "ci95": _bootstrapped(gap), "mcnemar_p": p}


def _bootstrapped(values: np.ndarray) -> list[float] | None:
    """95 % interval of the mean of float[N] over faces drawn with replacement; None where there is none."""
    from scipy.stats import bootstrap

    if len(values) < 2 or (values == values[0]).all():  # nothing that another draw could change
        return None
    options: dict[str, Any] = {"n_resamples": DRAWS, "batch": 100, "method": "percentile"}
    interval = bootstrap((values,), np.mean, rng=np.random.default_rng(0), **options).confidence_interval
    return [float(interval.low), float(interval.high)]


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Exact two-sided p-value that two systems, judged on the same rows bool[N], are right equally often."""
    from scipy.stats import binomtest

    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
