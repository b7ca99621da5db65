"""Teachers: soft targets from finished runs, the mean over their trees and flat nets."""

import dataclasses
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from hierarchy import fileio, runs, runtimes
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


def taught(
    checksums: Mapping[str, Mapping[str, str]], tree: Tree, backend: Backend, pixels: np.ndarray, folder: Path
) -> np.ndarray:
    """As `probabilities`, cached in a file of the folder for resumed runs.

    Args:
        checksums: of `teacher_checksums`.
        tree: of the teachers.
        backend: that opens their nets.
        pixels: uint8[N,48,48].
        folder: of the file.

    Raises:
        InputError: as `teacher_checksums`; a run has changed, or its nets are damaged.
    """
    if teacher_checksums(checksums, tree) != checksums:
        raise InputError(f"teacher {', '.join(checksums)}: its nets have changed since the run was begun")
    sources = [
        (each.checksums, {node: dataclasses.asdict(value) for node, value in each.calibration.items()})
        for each in (runs.run(name).manifest() for name in checksums)
    ]
    key = fileio.sha256(json.dumps(sources).encode() + pixels.tobytes())[:12]
    path = folder / f"taught-{key}.npy"
    if not path.is_file():
        out = io.BytesIO()
        np.save(out, probabilities(checksums, tree, backend, pixels), allow_pickle=False)
        fileio.write_atomic(path, out.getvalue())
    return np.load(path, allow_pickle=False)


def probabilities(names: Iterable[str], tree: Tree, backend: Backend, pixels: np.ndarray) -> np.ndarray:
    """The mean over runs, and over tree and flat net of each: float64[N, leaves]."""
    parts = []
    for run in map(runs.run, names):
        manifest = run.manifest()
        logits = runtimes.outputs(runtimes.own_nets(run, backend), pixels)
        predictions, flat = predict_from_logits(tree, logits, manifest.calibration)
        if tree.complete(logits):
            parts.append(predictions.joint)
        if flat is not None:
            parts.append(flat)
    return np.mean(parts, axis=0)
