"""Selective classification: from which confidence on labels are shown, chosen on a run's PublicTest faces.

Source: Geifman and El-Yaniv, "Selective classification for deep neural networks" (2017).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from hierarchy import routing
from hierarchy.data.dataset import Split
from hierarchy.evaluation import predictions
from hierarchy.manifest import RunManifest

RIGHT: Final = 0.8  # least share of the labels shown that are right
STEPS: Final = 100  # of the minimum confidence, from 0 to 1


class Selection(NamedTuple):
    """What follows from a minimum confidence.

    Attributes:
        min_confidence: 0 to 1; below it, only the branch is reported.
        coverage: share of the faces with a label.
        accuracy: share of these labels that are right; 1 where there are none.
    """

    min_confidence: float
    coverage: float
    accuracy: float


def selections(manifest: RunManifest) -> list[Selection]:
    """The soft labels of a run's PublicTest faces by minimum confidence, in STEPS from 0 on.

    Raises:
        InputError: there are no predictions of PublicTest, or of other nets.
    """
    stored = predictions.of_run(manifest, Split.PublicTest.name, "single")
    answers, _ = routing.predict_from_logits(manifest.tree, stored.logits, manifest.calibration)
    target = stored.target(manifest.tree)
    answers, target = answers.take(target >= 0), target[target >= 0]
    labels = ((step / STEPS, routing.abstain(answers, step / STEPS)) for step in range(STEPS + 1))
    return [_selection(confidence, label, target) for confidence, label in labels]


def _selection(confidence: float, label: np.ndarray, target: np.ndarray) -> Selection:
    shown = label != routing.ABSTAINED
    right = float((label == target)[shown].mean()) if shown.any() else 1.0
    return Selection(confidence, float(shown.mean()), right)


def chosen(curve: Sequence[Selection], right: float = RIGHT) -> float:
    """The least minimum confidence at which a share of the labels shown is right.

    Args:
        curve: of `selections`.
        right: that share.
    """
    return next(each.min_confidence for each in curve if each.accuracy >= right)
