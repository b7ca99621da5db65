"""A temperature for each node, fitted on PublicTest, so that probabilities mean what they say.

Balanced training shows every class as if equally often, so a net's logits lack the classes' true frequencies:
the log of Training's own is added back before the temperature (Bayes' rule; no fitted number). Then one
temperature is found by maximum likelihood (Guo et al., "On calibration of modern neural networks", 2017).

What taggers voted of a face is the same however often its class is shown: of nets that learned from votes
only a share of those frequencies is missing, and it is found together with the temperature.
"""

from collections.abc import Callable

import numpy as np

from hierarchy import routing
from hierarchy.backends import Backend
from hierarchy.config.overrides import from_dict
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.runs import Run
from hierarchy.taxonomy import FLAT, classes_of

RANGE = (0.2, 5.0)  # of temperatures searched


def calibrate(run: Run, faces: FaceDataset, framework: Backend) -> None:
    """Find offset and temperature of every net of a run and write them on its card.

    Args:
        run: a trained run.
        faces: Training rows give the frequencies, PublicTest rows the temperature.
        framework: what opens the nets.

    Raises:
        InputError: a net whose training went astray.
    """
    choosing, card = faces.of(Split.PublicTest), run.card()
    recipe = from_dict(card["recipe"], f"run {run.name!r}")
    found = {}
    for node, about in card["nets"].items():
        offset = _offset(faces, node) if about["balanced"] else np.zeros(len(classes_of(node)))
        valid = choosing.for_node(node)
        logits, target = framework.open(run.net(node))(valid.pixels), valid.target(node)
        routing.check_finite(logits, f"run {run.name!r}: its {node} net")
        voted = (recipe.fit if node == FLAT else recipe.warm_start or recipe.fit).votes > 0
        offset = offset * share(logits, offset, target) if voted else offset
        found[node] = {"offset": offset.tolist(), "temperature": temperature(logits + offset, target)}
    run.amend({"calibration": found})


def temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """The temperature of greatest likelihood for logits float[N,K] and true classes int[N]."""
    low, high = np.log(RANGE)
    return float(np.exp(_likeliest(lambda power: logits / np.exp(power), target, (low, high))))


def share(logits: np.ndarray, offset: np.ndarray, target: np.ndarray) -> float:
    """How much of an offset float[K], 0 to 1, makes logits float[N,K] likeliest at their temperature."""

    def best(part: float) -> np.ndarray:
        shifted = logits + part * offset
        return shifted / temperature(shifted, target)

    return _likeliest(best, target, (0.0, 1.0))


def _likeliest(
    logits: Callable[[float], np.ndarray],
    target: np.ndarray,
    bounds: tuple[float, float],
) -> float:
    """The number within bounds whose logits make the true classes likeliest."""
    from scipy.optimize import minimize_scalar

    def loss(number: float) -> float:
        probability = routing.softmax(logits(number))
        return float(-np.log(np.maximum(probability[np.arange(len(target)), target], 1e-12)).mean())

    return float(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def _offset(faces: FaceDataset, node: str) -> np.ndarray:
    """Log frequencies of a node's classes among the Training faces."""
    target = faces.target(node)
    counts = np.bincount(
        target[(faces.split == Split.Training) & (target >= 0)], minlength=len(classes_of(node))
    )
    return np.log(np.maximum(counts, 1) / counts.sum())
