"""What prediction sets achieve: how often they hold the true leaf, and how large they are, with intervals."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from hierarchy import routing
from hierarchy.errors import InputError
from hierarchy.evaluation.predictions import Leakage
from hierarchy.evaluation.statistics import share
from hierarchy.manifest import RunManifest
from hierarchy.taxonomy import ALL, Tree

COVERAGES: Final = (0.8, 0.9, 0.95)
Z: Final = 1.96  # of a 95 % interval


def score(
    manifest: RunManifest, logits: Mapping[str, np.ndarray], leaf: np.ndarray, leaks: Leakage | None = None
) -> dict[str, Any]:
    """Scores of the prediction sets of COVERAGES: coverage -> faces, branches, classes -> name -> row.

    Args:
        manifest: of the run.
        logits: node -> float[N, its classes], before calibration.
        leaf: int64[N], index of the true leaf; -1: left out.
        leaks: rows with copies in Training.

    Returns:
        Nothing for a coverage that the calibration faces are too few for, or of a run without them.
    """
    tree, scores = manifest.tree, dict[str, Any]()
    if manifest.conformal is None:
        return scores
    groups = _groups(tree, leaf, leaks)
    for coverage in COVERAGES:
        try:
            sets = routing.prediction_sets(tree, logits, manifest.conformal, coverage)
        except InputError:
            continue
        scores[str(coverage)] = {
            kind: {name: _row(tree, sets[rows], leaf[rows]) for name, rows in group.items()}
            for kind, group in groups.items()
        }
    return scores


def _groups(tree: Tree, leaf: np.ndarray, leaks: Leakage | None) -> dict[str, dict[str, np.ndarray]]:
    """Which faces are scored together, bool[N] by name and kind."""
    inside, branch = leaf >= 0, np.array([*tree.branch_of_leaf, -1])[leaf]
    free = leaks.free if leaks else {}
    return {
        "faces": {ALL: inside} | {name: inside & rows for name, rows in free.items()},
        "branches": {name: branch == code for code, name in enumerate(tree.branches)},
        "classes": {name: leaf == code for code, name in enumerate(tree.leaves)},
    }


def _row(tree: Tree, sets: np.ndarray, leaf: np.ndarray) -> dict[str, Any]:
    """n, coverage and mean size with their 95 % intervals, and shares of sets that are one name.

    The interval of the coverage is Wilson's, that of the mean size is of its normal approximation.
    """
    hits, size = share(sets[np.arange(len(leaf)), leaf]), sets.sum(axis=1)
    row = {"n": len(leaf), "coverage": hits["accuracy"], "ci95": hits["ci95"]}
    if not len(leaf):
        return row | dict.fromkeys(("size", "size_ci95", "one_leaf", "one_branch"))
    mean, names = float(size.mean()), [routing.set_names(tree, inside) for inside in sets]
    margin = Z * float(size.std(ddof=1)) / len(size) ** 0.5 if len(size) > 1 else None
    return row | {
        "size": mean,
        "size_ci95": None if margin is None else [mean - margin, mean + margin],
        "one_leaf": float(np.mean(size == 1)),
        "one_branch": float(np.mean([len(name) == 1 for name in names] & (size > 1))),
    }
