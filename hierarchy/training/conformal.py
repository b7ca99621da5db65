"""Split-conformal calibration of prediction sets: half of PublicTest fits temperatures, the other the scores.

Vovk, Gammerman and Shafer, "Algorithmic learning in a random world" (2005). Of new faces that are
exchangeable with those of the second half, `routing.prediction_sets` hold the true leaf as often as asked.
"""

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from hierarchy import routing
from hierarchy.data.dataset import FaceDataset
from hierarchy.manifest import LEVELS, UNCALIBRATED, BranchScores, Calibration, Conformal
from hierarchy.runs import Run
from hierarchy.taxonomy import FLAT, Tree
from hierarchy.training.calibration import temperature


def add(run: Run, logits: Mapping[str, np.ndarray], faces: FaceDataset) -> None:
    """Fit the prediction sets of a run and write them to its manifest, unless it lacks nets or faces.

    Args:
        run: calibrated.
        logits: node -> float[N, its classes], before calibration.
        faces: N faces of PublicTest.
    """
    manifest, tree = run.manifest(), run.manifest().tree
    if not (tree.complete(logits) or FLAT in logits):
        return
    if fitted := fit(tree, logits, faces.target(tree, FLAT), manifest.calibration):
        run.amend({"conformal": msgspec.to_builtins(fitted)})


def fit(
    tree: Tree, logits: Mapping[str, np.ndarray], leaf: np.ndarray, calibration: Mapping[str, Calibration]
) -> Conformal | None:
    """Temperatures of every other face, and nonconformity scores by branch of those between them.

    Args:
        tree: of the nets.
        logits: node -> float[N, its classes], before calibration, of the faces of PublicTest.
        leaf: int64[N], index of the true leaf; -1: left out.
        calibration: by node; its offsets are used.

    Returns:
        None where a half lacks a leaf.
    """
    halves = [np.flatnonzero(leaf >= 0)[start::2] for start in range(2)]
    if any(set(leaf[half]) != set(range(len(tree.leaves))) for half in halves):
        return None
    fitting, scoring = halves
    tempered = {
        node: _tempered(tree, node, values[fitting], leaf[fitting], calibration)
        for node, values in logits.items()
    }
    own = {node: values[scoring] for node, values in logits.items()}
    joint, truth = routing.predict_from_logits(tree, own, tempered)[0].joint, leaf[scoring]
    scores, branch = 1 - joint[np.arange(len(truth)), truth], np.array(tree.branch_of_leaf)[truth]
    by_branch = {name: quantiles(scores[branch == code]) for code, name in enumerate(tree.branches)}
    return Conformal(tempered, by_branch)


def _tempered(
    tree: Tree, node: str, logits: np.ndarray, leaf: np.ndarray, calibration: Mapping[str, Calibration]
) -> Calibration:
    offset = calibration.get(node, UNCALIBRATED).offset
    target = np.array([tree.class_index(node, name) for name in tree.leaves])[leaf]
    inside = target >= 0
    return Calibration(offset, temperature(logits[inside] + np.array(offset), target[inside]))


def quantiles(scores: np.ndarray) -> BranchScores:
    """Scores float[N] from 0 to 1 as their quantiles, rounded up to four digits.

    The (N + 1) * coverage-th smallest score is the least threshold that holds a coverage.
    """
    n = len(scores)
    rising = np.minimum(np.ceil(np.sort(scores) * 1e4) / 1e4, 1.0).tolist()
    ranks = (math.ceil((n + 1) * level / LEVELS - 1e-9) for level in range(1, LEVELS + 1))
    return BranchScores(n, tuple(rising[min(rank, n) - 1] for rank in ranks))
