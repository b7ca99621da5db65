"""Finished runs that teach another: the mean of what their trees and flat nets say of a face."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hierarchy import runs
from hierarchy.errors import InputError
from hierarchy.fitting.framework import Framework
from hierarchy.routing import judged
from hierarchy.taxonomy import FLAT, NODES


class Teacher:
    """Probabilities of the leaves, float64[N, leaves], for faces uint8[N,48,48].

    Args:
        names: of the runs.
        framework: what opens their nets.

    Raises:
        InputError: no such run, one whose nets are damaged, or one with neither a tree nor a flat net.
    """

    def __init__(self, names: Sequence[str], framework: Framework) -> None:
        self.cards = {name: runs.run(name).card() for name in names}
        for name, card in self.cards.items():
            if FLAT not in card["nets"] and not set(NODES) <= card["nets"].keys():
                raise InputError(f"run {name!r} cannot teach: it has neither a whole tree nor a flat net")
        self.nets = {
            name: {node: framework.open(runs.run(name).net(node)) for node in card["nets"]}
            for name, card in self.cards.items()
        }

    def kept(self, pixels: np.ndarray, folder: Path) -> np.ndarray:
        """As `__call__`, kept in a file of the folder, so that a resumed run need not ask again."""
        asked = json.dumps([runs.checksums(card) for card in self.cards.values()]).encode() + pixels.tobytes()
        path = folder / f"taught-{runs.sha256(asked)[:12]}.npy"
        if not path.is_file():
            out = io.BytesIO()
            np.save(out, self(pixels), allow_pickle=False)
            runs.write_atomic(path, out.getvalue())
        return np.load(path, allow_pickle=False)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The mean over all runs, and over tree and flat net of each."""
        return np.mean([answer for name in self.cards for answer in self._answers(name, pixels)], axis=0)

    def _answers(self, name: str, pixels: np.ndarray) -> Iterator[np.ndarray]:
        logits = {node: net(pixels) for node, net in self.nets[name].items()}
        tree, flat = judged(logits, self.cards[name].get("calibration", {}))
        if set(NODES) <= logits.keys():
            yield tree.joint
        if flat is not None:
            yield flat
