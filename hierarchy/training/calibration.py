"""Calibration of each net on PublicTest: class offsets and a temperature.

Balanced training removes the class frequencies from a net's logits. The log of their frequencies in Training
is added back (Bayes' rule), then one temperature is fitted by maximum likelihood (Guo et al., "On calibration
of modern neural networks", 2017). Soft labels from votes contain a part of the class frequencies, so for nets
trained on votes only a share of the offset is added, fitted together with the temperature.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from hierarchy import routing, runtimes
from hierarchy.backends import Backend
from hierarchy.config.overrides import from_dict
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.manifest import Calibration
from hierarchy.runs import Run
from hierarchy.taxonomy import FLAT, Tree

RANGE: Final = (0.2, 5.0)  # of temperatures searched


def calibrate(run: Run, faces: FaceDataset, backend: Backend) -> dict[str, np.ndarray]:
    """Fit offsets and temperature of every net of a run and write them to its manifest.

    Args:
        run: trained.
        faces: Training rows give the frequencies, PublicTest rows the temperature.
        backend: that opens the nets.

    Returns:
        Logits by node of all PublicTest rows, before calibration.

    Raises:
        InputError: a net outputs NaN or inf.
    """
    manifest, training, validation = run.manifest(), faces.of(Split.Training), faces.of(Split.PublicTest)
    recipe, tree = from_dict(manifest.recipe, f"run {run.name!r}"), manifest.tree
    outputs = runtimes.outputs(runtimes.own_nets(run, backend), validation.pixels)
    calibration = {}
    for node, net in manifest.nets.items():
        offset = np.zeros(len(tree.classes_of(node)))
        if net.balanced:
            label = training.target(tree, node)
            counts = np.bincount(label[label >= 0], minlength=len(offset))
            # a net of its own saw its classes equally often, a head of the trunk the leaves
            shown = np.array([len(group) if net.shared else 1 for group in tree.members(node)])
            offset = np.log(np.maximum(counts, 1) / counts.sum() / (shown / shown.mean()))
        target = validation.target(tree, node)
        logits, target = outputs[node][target >= 0], target[target >= 0]
        routing.check_finite(logits, f"run {run.name!r}: its {node} net")
        if recipe.fit_of(node).soft_label_weight:
            offset = offset * share(logits, offset, target)
        calibration[node] = Calibration(tuple(offset.tolist()), temperature(logits + offset, target))
    run.amend(
        {
            "calibration": {node: dataclasses.asdict(about) for node, about in calibration.items()},
            "public_test_accuracy": accuracy(tree, outputs, validation.target(tree, FLAT), calibration),
        }
    )
    return outputs


def accuracy(
    tree: Tree, logits: Mapping[str, np.ndarray], leaf: np.ndarray, calibration: Mapping[str, Calibration]
) -> float | None:
    """Share of faces whose likeliest leaf, of the tree or else of the flat net, is the true one int64[N].

    None where there is neither; -1 for a face that does not count.
    """
    if FLAT not in logits and not tree.complete(logits):
        return None
    predictions, _ = routing.predict_from_logits(tree, logits, calibration)
    return float((routing.soft(predictions) == leaf)[leaf >= 0].mean())


def temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """The temperature of maximum likelihood for logits float[N,K] and true classes int[N]."""
    low, high = np.log(RANGE)
    return float(np.exp(_likeliest(lambda power: logits / np.exp(power), target, (low, high))))


def share(logits: np.ndarray, offset: np.ndarray, target: np.ndarray) -> float:
    """The share of an offset float[K], 0 to 1, of maximum likelihood for logits float[N,K]."""

    def best(part: float) -> np.ndarray:
        shifted = logits + part * offset
        return shifted / temperature(shifted, target)

    return _likeliest(best, target, (0.0, 1.0))


def _likeliest(
    logits: Callable[[float], np.ndarray], target: np.ndarray, bounds: tuple[float, float]
) -> float:
    """The number within bounds whose logits maximise the likelihood of the true classes."""
    from scipy.optimize import minimize_scalar

    def loss(number: float) -> float:
        probability = routing.softmax(logits(number))
        return float(-np.log(np.maximum(probability[np.arange(len(target)), target], 1e-12)).mean())

    return float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
