"""A temperature for each node, fitted on PublicTest, so that probabilities mean what they say.

Balanced training shows every class as if equally often, so a net's logits lack the classes' true frequencies:
the log of Training's own is added back before the temperature (Bayes' rule; no fitted number). Then one
temperature is found by maximum likelihood (Guo et al., "On calibration of modern neural networks", 2017).
"""

import numpy as np

from hierarchy import routing
from hierarchy.data.faces import Faces, Split
from hierarchy.fitting.framework import Framework
from hierarchy.runs import Run
from hierarchy.taxonomy import classes_of

RANGE = (0.2, 5.0)  # of temperatures searched


def calibrate(run: Run, faces: Faces, framework: Framework) -> None:
    """Find offset and temperature of every net of a run and write them on its card.

    Args:
        run: a trained run.
        faces: Training rows give the frequencies, PublicTest rows the temperature.
        framework: what opens the nets.

    Raises:
        InputError: a net whose training went astray.
    """
    choosing = faces.of(Split.PublicTest)
    found = {}
    for node, about in run.card()["nets"].items():
        offset = _offset(faces, node) if about["balanced"] else np.zeros(len(classes_of(node)))
        valid = choosing.for_node(node)
        logits = framework.open(run.net(node))(valid.pixels) + offset
        routing.check_finite(logits, f"run {run.name!r}: its {node} net")
        found[node] = {"offset": offset.tolist(), "temperature": temperature(logits, valid.target(node))}
    run.amend({"calibration": found})


def temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """The temperature of greatest likelihood for logits float[N,K] and true classes int[N]."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        probability = routing.softmax(logits / np.exp(log_temperature))
        return float(-np.log(np.maximum(probability[np.arange(len(target)), target], 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded").x))


def _offset(faces: Faces, node: str) -> np.ndarray:
    """Log frequencies of a node's classes among the Training faces."""
    target = faces.target(node)
    counts = np.bincount(
        target[(faces.split == Split.Training) & (target >= 0)], minlength=len(classes_of(node))
    )
    return np.log(np.maximum(counts, 1) / counts.sum())
