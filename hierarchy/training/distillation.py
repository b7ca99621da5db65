"""Teachers: soft targets from finished runs, the mean over their trees and flat nets."""

import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from hierarchy import fileio, runs
from hierarchy.backends import Backend
from hierarchy.errors import InputError
from hierarchy.routing import predict_from_logits
from hierarchy.taxonomy import FLAT, Tree


def teacher_checksums(names: Iterable[str], tree: Tree) -> dict[str, dict[str, str]]:
    """What a manifest records of teachers: run -> node -> checksum of the net.

    Raises:
        InputError: a run does not exist, is unfinished, is of another tree, or has neither a complete tree
            nor a flat net.
    """
    checksums = {}
    for name in names:
        source, manifest = f"run {name!r}", runs.run(name).manifest()
        tree.check_same(manifest.tree, source)
        if FLAT not in manifest.nets and not manifest.complete:
            raise InputError(f"{source}: not a teacher, it has neither a complete tree nor a flat net")
        finished = all(net.finished for net in manifest.nets.values())
        if not finished or not manifest.nets.keys() <= manifest.calibration.keys():
            raise InputError(f"{source}: not a teacher, it is not finished; continue it with train --resume")
        checksums[name] = manifest.checksums
    return checksums


class Teacher:
    """Probabilities of the leaves, float64[N, leaves], for faces uint8[N,48,48].

    Args:
        checksums: of `teacher_checksums`.
        tree: of the teachers.
        backend: that opens their nets.

    Raises:
        InputError: as `teacher_checksums`; a run has changed, or its nets are damaged.
    """

    def __init__(self, checksums: Mapping[str, Mapping[str, str]], tree: Tree, backend: Backend) -> None:
        if teacher_checksums(checksums, tree) != checksums:
            raise InputError(f"teacher {', '.join(checksums)}: its nets have changed since the run was begun")
        self.tree = tree
        self.manifests = {name: runs.run(name).manifest() for name in checksums}
        self.nets = {
            name: {node: backend.open(runs.run(name).net(node)) for node in manifest.nets}
            for name, manifest in self.manifests.items()
        }

    def cached(self, pixels: np.ndarray, folder: Path) -> np.ndarray:
        """As `__call__`, cached in a file of the folder for resumed runs."""
        sources = [
            (each.checksums, {node: dataclasses.asdict(value) for node, value in each.calibration.items()})
            for each in self.manifests.values()
        ]
        key = fileio.sha256(json.dumps(sources).encode() + pixels.tobytes())[:12]
        path = folder / f"taught-{key}.npy"
        if not path.is_file():
            out = io.BytesIO()
            np.save(out, self(pixels), allow_pickle=False)
            fileio.write_atomic(path, out.getvalue())
        return np.load(path, allow_pickle=False)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The mean over all runs, and over tree and flat net of each."""
        return np.mean([each for name in self.nets for each in self._probabilities(name, pixels)], axis=0)

    def _probabilities(self, name: str, pixels: np.ndarray) -> Iterator[np.ndarray]:
        logits = {node: net(pixels) for node, net in self.nets[name].items()}
        predictions, flat = predict_from_logits(self.tree, logits, self.manifests[name].calibration)
        if self.tree.complete(logits):
            yield predictions.joint
        if flat is not None:
            yield flat
