"""Errors of tree and flat net under the image corruptions of FER-2013-C."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import routing
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import corruptions
from hierarchy.data.dataset import FaceDataset
from hierarchy.evaluation import statistics
from hierarchy.fileio import read_object
from hierarchy.manifest import RunManifest
from hierarchy.reports.tables import percent, table
from hierarchy.routing import predict_from_logits
from hierarchy.taxonomy import FLAT

FILE: Final = "robustness.json"
FACES: Final = 1000
SEED: Final = 0


def measure(
    classifier: HierarchicalClassifier, faces: FaceDataset, manifest: RunManifest, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Errors on at most FACES random faces, clean and under every corruption and strength.

    `about` is what else the errors depend on: split, view, data. Classes that the tree lacks are left out.

    Returns:
        n, seed, what the errors are of, errors on clean faces, on faces that were only enlarged and reduced,
        and by corruption and strength; each for the tree (soft) and the flat net, where the run has them.

    Raises:
        InputError: the package that draws corruptions is not installed.
    """
    corruptions.library()
    target = faces.target(manifest.tree, FLAT)
    rows = np.sort(np.random.default_rng(SEED).permutation(np.flatnonzero(target >= 0))[:FACES])
    truth, pixels = target[rows], faces.pixels[rows]

    def errors(batch: np.ndarray) -> dict[str, float]:
        tree, flat = predict_from_logits(manifest.tree, classifier.outputs(batch), manifest.calibration)
        labels = {"tree": routing.soft(tree)} if manifest.complete else {}
        labels |= {} if flat is None else {FLAT: flat.argmax(axis=1)}
        return {name: 1 - statistics.share(label == truth)["accuracy"] for name, label in labels.items()}

    by_corruption = {
        name: [
            errors(corruptions.corrupted(pixels, name, strength, SEED)) for strength in corruptions.STRENGTHS
        ]
        for name in corruptions.CORRUPTIONS
    }
    clean = {"clean": errors(pixels), "resized": errors(corruptions.resized(pixels))}
    return {"n": len(rows), "seed": SEED, "of": _of(manifest, about), **clean, "corruptions": by_corruption}


def known(folder: Path, manifest: RunManifest, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Errors measured before on the same nets and faces, or None."""
    if not (folder / FILE).is_file():
        return None
    measured = read_object(folder / FILE)
    return measured if measured.get("of") == _of(manifest, about) else None


def markdown(measured: Mapping[str, Any]) -> str:
    """Errors by corruption, the mean over strengths and the strongest, and the means over all corruptions."""
    systems, by_corruption = list(measured["clean"]), measured["corruptions"]
    errors = np.array([[list(each.values()) for each in strengths] for strengths in by_corruption.values()])
    means, strongest = errors.mean(axis=1), errors[:, -1]  # float[corruptions, systems]
    blank = ["-"] * len(systems)
    rows = [("none", *measured["clean"].values(), *blank)]
    if resized := measured.get("resized"):
        rows.append(("only enlarged and reduced", *resized.values(), *blank))
    for name, *values in zip(by_corruption, means, strongest, strict=True):
        rows.append((name.replace("_", " "), *np.concatenate(values)))
    rows.append(("all corruptions", *means.mean(axis=0), *blank))
    strength = f"strength {corruptions.STRENGTHS[-1]}"
    header = ["corruption", *(f"{name}, {what}" for what in ("mean", strength) for name in systems)]
    pairs = zip(systems, means.mean(axis=0), strict=True)
    summary = " and ".join(f"{name} {percent(error)} %" for name, error in pairs)
    return (
        f"{table(header, rows)}\n\nErrors in percent on {measured['n']:,} faces drawn at random, seed "
        f"{measured['seed']}, under {len(means)} common corruptions: the mean of "
        f"{len(corruptions.STRENGTHS)} strengths and the strongest. The mean over all: {summary}."
    )


def _of(manifest: RunManifest, about: Mapping[str, Any]) -> dict[str, Any]:
    calibration = {
        node: {"offset": list(each.offset), "temperature": each.temperature}
        for node, each in manifest.calibration.items()
    }
    return {"nets": manifest.checksums, "calibration": calibration, **about}
