"""The mirror has the shipped nets' logits on every golden face and their labels on every real one."""

from pathlib import Path

import numpy as np
import pytest

import hierarchy
from hierarchy import routing
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import Split
from hierarchy.evaluation import predictions
from hierarchy.runs import DEFAULT_RUN
from hierarchy.taxonomy import FLAT, VALENCE

pytest.importorskip("torch", reason="pip install -r requirements-torch.txt")

from pt_files.torch_backend import TORCH_BACKEND  # noqa: E402

ROOT = Path(hierarchy.__file__).parents[1]


@pytest.fixture
def mirrored(own_home, monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    return HierarchicalClassifier.load(backend=TORCH_BACKEND)


def test_logits_agree_on_every_golden_face(mirrored):
    keras = HierarchicalClassifier.load(engine="keras")
    with np.load(ROOT / "tests" / "golden" / "golden.npz") as golden:
        pixels = golden["pixels"]
    for node in keras.nets_:
        np.testing.assert_allclose(mirrored.logits(node, pixels), keras.logits(node, pixels), atol=1e-4)


@pytest.mark.long
@pytest.mark.real_data
def test_labels_agree_on_every_real_face(mirrored, fer2013):
    test = fer2013.of(Split.PrivateTest).for_node(VALENCE, FLAT)
    stored = predictions.read(ROOT / "results" / DEFAULT_RUN / predictions.FILE)
    calibration = mirrored.run_.manifest().calibration
    theirs, _ = routing.predict_from_logits(VALENCE, stored.logits, calibration)
    theirs = theirs.take(np.isin(stored.row, test.row))
    ours = mirrored.predictions(test)
    best = np.sort(theirs.joint, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-5  # nearer than that, processors themselves disagree
    assert len(test) == 3534 and clear.sum() > 3500
    np.testing.assert_array_equal(routing.soft(ours)[clear], routing.soft(theirs)[clear])
