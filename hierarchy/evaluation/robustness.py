"""What bad pictures cost: the error of tree and flat net under every corruption of FER-2013-C."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import routing
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import corruptions
from hierarchy.data.dataset import FaceDataset
from hierarchy.evaluation import statistics
from hierarchy.fileio import read_json
from hierarchy.reports.run_markdown import percent, table
from hierarchy.routing import predict_from_logits
from hierarchy.runs import checksums
from hierarchy.taxonomy import FLAT, NODES

FILE: Final = "robustness.json"
FACES: Final = 1000
SEED: Final = 0


def measure(
    classifier: HierarchicalClassifier, faces: FaceDataset, card: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Errors on at most FACES seeded faces, clean and under every corruption and strength.

    Args:
        classifier: of the run.
        faces: one split; those of expressions outside the tree are left aside.
        card: of the run.
        about: what else the errors are of: split, view, data.

    Returns:
        n, seed, what the errors are of, errors of the clean faces, of those that were enlarged and reduced
        alone, and errors by corruption and strength; they are of the tree (soft) and of the flat net, where
        there are such.

    Raises:
        InputError: the package that draws corruptions is not installed.
    """
    corruptions.library()
    own = np.flatnonzero(faces.target(FLAT) >= 0)
    rows = np.sort(np.random.default_rng(SEED).permutation(own)[:FACES])
    truth, pixels = faces.target(FLAT)[rows], faces.pixels[rows]

    def errors(shown: np.ndarray) -> dict[str, float]:
        tree, flat = predict_from_logits(classifier.outputs(shown), card.get("calibration", {}))
        labels = {"tree": routing.soft(tree)} if set(NODES) <= card["nets"].keys() else {}
        labels |= {} if flat is None else {FLAT: flat.argmax(axis=1)}
        return {name: 1 - statistics.share(label == truth)["accuracy"] for name, label in labels.items()}

    found = {
        name: [
            errors(corruptions.corrupted(pixels, name, strength, SEED)) for strength in corruptions.STRENGTHS
        ]
        for name in corruptions.CORRUPTIONS
    }
    clean = {"clean": errors(pixels), "resized": errors(corruptions.resized(pixels))}
    return {"n": len(rows), "seed": SEED, "of": _of(card, about), **clean, "corruptions": found}


def known(folder: Path, card: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was measured before, of these very nets and faces, or None."""
    if not (folder / FILE).is_file():
        return None
    found = read_json(folder / FILE)
    return found if found.get("of") == _of(card, about) else None


def markdown(found: Mapping[str, Any]) -> str:
    """Errors by corruption, the mean over strengths and the strongest, and the means over all corruptions."""
    systems = list(found["clean"])
    whole = {"none": found["clean"], "enlarging and reducing alone": found.get("resized")}
    rows = [
        (title, *(percent(errors[name]) for name in systems), *["-"] * len(systems))
        for title, errors in whole.items()
        if errors
    ]
    means: dict[str, list[float]] = {name: [] for name in systems}
    for corruption, errors in found["corruptions"].items():
        for name in systems:
            means[name].append(float(np.mean([each[name] for each in errors])))
        strongest = [percent(errors[-1][name]) for name in systems]
        rows.append(
            (corruption.replace("_", " "), *(percent(means[name][-1]) for name in systems), *strongest)
        )
    over_all = {name: float(np.mean(means[name])) for name in systems}
    rows.append(("all corruptions", *map(percent, over_all.values()), *["-"] * len(systems)))
    said = " and ".join(f"{name} {percent(error)} %" for name, error in over_all.items())
    strength = f"strength {corruptions.STRENGTHS[-1]}"
    header = (
        "corruption",
        *(f"{name}, mean" for name in systems),
        *(f"{name}, {strength}" for name in systems),
    )
    return (
        f"{table(header, rows)}\n\nErrors in percent on {found['n']:,} faces drawn at random, seed "
        f"{found['seed']}, under fifteen common corruptions: the mean of five strengths and the strongest. "
        f"The mean over all: {said}."
    )


def _of(card: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    return {"nets": checksums(card), "calibration": card.get("calibration"), **about}
