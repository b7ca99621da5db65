"""Finished runs that teach another: the mean of what their trees and flat nets say of a face."""

from collections.abc import Iterator, Sequence

import numpy as np

from hierarchy import routing, runs
from hierarchy.nets.framework import KERAS, Framework
from hierarchy.nets.preprocess import averaged
from hierarchy.taxonomy import FLAT, NODES

VIEW = "flip"  # a teacher takes the time to look twice


class Teacher:
    """Probabilities of the leaves, float64[N, leaves], for faces uint8[N,48,48].

    Args:
        names: of the runs.
        framework: what opens their nets.

    Raises:
        InputError: no such run, or one whose nets are damaged.
    """

    def __init__(self, names: Sequence[str], framework: Framework = KERAS) -> None:
        self.cards = {name: runs.run(name).card() for name in names}
        self.nets = {
            name: {node: averaged(framework.open(runs.run(name).net(node)), VIEW) for node in card["nets"]}
            for name, card in self.cards.items()
        }

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The mean over all runs, and over tree and flat net of each."""
        return np.mean([answer for name in self.cards for answer in self._answers(name, pixels)], axis=0)

    def _answers(self, name: str, pixels: np.ndarray) -> Iterator[np.ndarray]:
        fitted = self.cards[name].get("calibration", {})
        logits = {}
        for node, net in self.nets[name].items():
            about = fitted.get(node, {"offset": 0.0, "temperature": 1.0})
            logits[node] = routing.calibrated(net(pixels), np.array(about["offset"]), about["temperature"])
        if set(NODES) <= logits.keys():
            yield routing.from_logits(logits).joint
        if FLAT in logits:
            yield routing.softmax(logits[FLAT])
