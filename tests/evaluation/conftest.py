"""A run's scores to print and draw: random predictions on random labels, without pixels worth seeing."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from hierarchy.data.dataset import SIDE, FaceDataset, Split
from hierarchy.data.formats import ferplus
from hierarchy.evaluation import metrics
from hierarchy.evaluation.predictions import StoredPredictions
from hierarchy.routing import Predictions, predict_from_logits
from hierarchy.taxonomy import FER7, FLAT, NODES, TREE, classes_of, tree_hash

ROWS = 400


class Scored(NamedTuple):
    faces: FaceDataset
    kept: StoredPredictions
    predictions: Predictions
    flat: np.ndarray | None
    scores: dict[str, Any]
    card: dict[str, Any]
    history: list[dict[str, str]]


def _logits(faces: FaceDataset, node: str, seed: int) -> np.ndarray:
    own = faces.target(node)[:, None] == np.arange(len(classes_of(node)))
    return (np.random.default_rng(seed).normal(size=own.shape) + 2 * own).astype(np.float32)


def _card() -> dict[str, Any]:
    net = {
        "parameters": 661_000,
        "epochs": 3,
        "best_epoch": 2,
        "public_test_accuracy": 0.664,
        "minutes": 12.0,
        "images_per_second": 215.0,
        "seed": 0,
        "backend": "jax",
    }
    return {
        "run": "trial",
        "tree": TREE,
        "tree_hash": tree_hash(),
        "recipe": {"name": "short"},
        "data": {"source": "faces.csv"},
        "calibration": {node: {"offset": 0.0, "temperature": 1.25} for node in NODES},
        "nets": {node: net for node in (FLAT, *NODES)},
    }


def _history() -> list[dict[str, str]]:
    """Three epochs a net, as text, the second one best on PublicTest."""
    return [
        {
            "node": node,
            "epoch": str(epoch),
            "loss": str(2 / epoch),
            "accuracy": str(0.2 * epoch),
            "val_loss": str(1 / epoch),
            "val_accuracy": ("0.3", "0.6", "0.5")[epoch - 1],
        }
        for node in (FLAT, *NODES)
        for epoch in (1, 2, 3)
    ]


@pytest.fixture(scope="session")
def scored() -> Scored:
    draw = np.random.default_rng(0)
    label = draw.integers(0, len(FER7), ROWS).astype(np.int8)
    votes = draw.multinomial(10, np.full(len(ferplus.CHOICES), 1 / len(ferplus.CHOICES)), ROWS)
    faces = FaceDataset(
        np.zeros((ROWS, SIDE, SIDE), np.uint8),
        label,
        np.full(ROWS, Split.PrivateTest, np.int8),
        np.arange(1000, 1000 + ROWS, dtype=np.int32),
        votes=votes.astype(np.float32),
        source="faces.csv",
    )
    leaks = metrics.Leakage(np.arange(ROWS) % 10 == 0, np.arange(ROWS) % 9 == 0)
    logits = {node: _logits(faces, node, seed) for seed, node in enumerate((FLAT, *NODES))}
    kept = StoredPredictions(faces.row, faces.split, faces.label, logits, leaks)
    predictions, flat = predict_from_logits(logits, _card()["calibration"])
    scores = metrics.score(predictions, faces, flat=flat, leaks=leaks, min_confidence=0.5)
    return Scored(faces, kept, predictions, flat, scores, _card(), _history())
