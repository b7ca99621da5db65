"""Finished runs that teach another: the mean of what their trees and flat nets say of a face."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from hierarchy import fileio, runs
from hierarchy.backends import Backend
from hierarchy.errors import InputError
from hierarchy.routing import predict_from_logits
from hierarchy.taxonomy import FLAT, NODES


def teacher_checksums(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """What a card says of the runs that teach: name -> node -> checksum of the net.

    Raises:
        InputError: no such run, an unfinished one, or one with neither a tree nor a flat net.
    """
    found = {}
    for name in names:
        card = runs.run(name).card()
        if FLAT not in card["nets"] and not set(NODES) <= card["nets"].keys():
            raise InputError(f"run {name!r} cannot teach: it has neither a whole tree nor a flat net")
        calibrated = set(card["nets"]) <= set(card.get("calibration", {}))
        if not calibrated or any(not net.get("finished", True) for net in card["nets"].values()):
            raise InputError(f"run {name!r} cannot teach: it is not trained to the end (train --resume)")
        found[name] = runs.checksums(card)
    return found


class Teacher:
    """Probabilities of the leaves, float64[N, leaves], for faces uint8[N,48,48].

    Args:
        known: of `teacher_checksums`.
        framework: what opens the runs' nets.

    Raises:
        InputError: as `teacher_checksums`; a run that has changed, or whose nets are damaged.
    """

    def __init__(self, known: Mapping[str, Mapping[str, str]], framework: Backend) -> None:
        if teacher_checksums(known) != known:
            raise InputError(f"the nets of {', '.join(known)} have changed since they began to teach")
        self.cards = {name: runs.run(name).card() for name in known}
        self.nets = {
            name: {node: framework.open(runs.run(name).net(node)) for node in card["nets"]}
            for name, card in self.cards.items()
        }

    def kept(self, pixels: np.ndarray, folder: Path) -> np.ndarray:
        """As `__call__`, kept in a file of the folder, so that a resumed run need not ask again."""
        told = [(runs.checksums(card), card.get("calibration")) for card in self.cards.values()]
        asked = json.dumps(told).encode() + pixels.tobytes()
        path = folder / f"taught-{fileio.sha256(asked)[:12]}.npy"
        if not path.is_file():
            out = io.BytesIO()
            np.save(out, self(pixels), allow_pickle=False)
            fileio.write_atomic(path, out.getvalue())
        return np.load(path, allow_pickle=False)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The mean over all runs, and over tree and flat net of each."""
        return np.mean([answer for name in self.cards for answer in self._answers(name, pixels)], axis=0)

    def _answers(self, name: str, pixels: np.ndarray) -> Iterator[np.ndarray]:
        logits = {node: net(pixels) for node, net in self.nets[name].items()}
        tree, flat = predict_from_logits(logits, self.cards[name].get("calibration", {}))
        if set(NODES) <= logits.keys():
            yield tree.joint
        if flat is not None:
            yield flat
