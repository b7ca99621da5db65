"""A run's scores for reports: random predictions on random labels, without meaningful pixels."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.formats import FER2013_NAMES, ferplus
from hierarchy.evaluation import metrics
from hierarchy.evaluation.predictions import Leakage, StoredPredictions
from hierarchy.manifest import RunManifest
from hierarchy.routing import Predictions, predict_from_logits
from hierarchy.taxonomy import VALENCE, Tree

ROWS = 400


class Scored(NamedTuple):
    faces: FaceDataset
    stored: StoredPredictions
    predictions: Predictions
    flat: np.ndarray | None
    scores: dict[str, Any]
    manifest: RunManifest
    history: list[dict[str, str]]

    @property
    def whole(self) -> dict[str, Any]:
        """What scores.json holds."""
        about = {"dataset": "faces.csv", "split": "PrivateTest", "view": "single", "recipe": "short"}
        return about | {"seeds": [0], "drawn": False, "has_tree": True} | self.scores


def manifest_of(tree: Tree, **changes: Any) -> RunManifest:
    """The manifest of a run of a tree, with changed values."""
    net = {
        "file": "net.keras",
        "sha256": "0",
        "parameters": 661_000,
        "epochs": 3,
        "best_epoch": 2,
        "public_test_accuracy": 0.664,
        "minutes": 12.0,
        "images_per_second": 215.0,
        "seed": 0,
        "backend": "jax",
    }
    values = {
        "run": "trial",
        "tree": tree.to_dict(),
        "recipe": {"name": "short"},
        "data": {"source": "faces.csv"},
        "calibration": {node: {"offset": [0.0], "temperature": 1.25} for node in tree.nodes},
        "nets": {node: net for node in tree.nets},
    }
    return RunManifest.from_dict(values | changes, "recipe.json")


def scored_run(tree: Tree, names: tuple[str, ...] = FER2013_NAMES, **columns: Any) -> Scored:
    """Random predictions of a run of a tree on ROWS random faces of these names."""
    draw = np.random.default_rng(0)
    label = draw.integers(0, len(names), ROWS).astype(np.int8)
    faces = FaceDataset(
        np.zeros((ROWS, 48, 48), np.uint8),
        label,
        np.full(ROWS, Split.PrivateTest, np.int8),
        np.arange(1000, 1000 + ROWS, dtype=np.int32),
        source="faces.csv",
        names=names,
        **columns,
    )
    leaks = Leakage(np.arange(ROWS) % 10 == 0, np.arange(ROWS) % 9 == 0)
    logits = {node: _logits(tree, faces, node, seed) for seed, node in enumerate(tree.nets)}
    stored = StoredPredictions(faces.row, faces.split, faces.label, logits, leaks, names=names)
    manifest = manifest_of(tree)
    predictions, flat = predict_from_logits(tree, logits, manifest.calibration)
    scores = metrics.score(predictions, faces, flat=flat, leaks=leaks, min_confidence=0.5)
    return Scored(faces, stored, predictions, flat, scores, manifest, _history(tree))


def _logits(tree: Tree, faces: FaceDataset, node: str, seed: int) -> np.ndarray:
    own = faces.target(tree, node)[:, None] == np.arange(len(tree.classes_of(node)))
    return (np.random.default_rng(seed).normal(size=own.shape) + 2 * own).astype(np.float32)


def _history(tree: Tree) -> list[dict[str, str]]:
    """Three epochs of each net, as text, the second one best on PublicTest."""
    return [
        {
            "node": node,
            "epoch": str(epoch),
            "loss": str(2 / epoch),
            "accuracy": str(0.2 * epoch),
            "val_loss": str(1 / epoch),
            "val_accuracy": ("0.3", "0.6", "0.5")[epoch - 1],
        }
        for node in tree.nets
        for epoch in (1, 2, 3)
    ]


@pytest.fixture(scope="session")
def scored() -> Scored:
    draw = np.random.default_rng(1)
    votes = draw.multinomial(10, np.full(len(ferplus.CHOICES), 1 / len(ferplus.CHOICES)), ROWS)
    return scored_run(VALENCE, votes=votes.astype(np.float32))


@pytest.fixture
def other_scored(other_tree: Tree) -> Scored:
    """The same of a tree of another shape, on a data set of its leaves' names and one more."""
    return scored_run(other_tree, (*other_tree.leaves, "left out"))


@pytest.fixture
def scored_of() -> Callable[..., Scored]:
    """Makes such scores: `scored_of(tree, names)`."""
    return scored_run
