"""Exporting: every format in every precision gives the nets' logits, and nothing is kept that does not."""

import importlib.util

import numpy as np
import pytest

from hierarchy import runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.models import export as exporting
from hierarchy.runtimes import ENGINES, EXPORT_REQUIREMENTS, FORMATS
from hierarchy.taxonomy import FLAT, NODES

NEAR = {"float32": 1e-4, "float16": 0.01, "int8": 0.5}


def export(run, kind, precision, faces=None):
    return list(exporting.export(run, kind, precision, lambda: faces))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_exported_run_answers_as_keras_does(tiny_run, few_sketches, engine):
    kind, precision = ENGINES[engine]
    for tool in (*exporting.TOOLS[kind], FORMATS[kind].library.split(".")[0]):
        pytest.importorskip(tool, reason=f"pip install -r {EXPORT_REQUIREMENTS}")
    lines = export(tiny_run, kind, precision, few_sketches)
    assert len(lines) == len(NODES) and all("logits within" in line for line in lines)
    keras = HierarchicalClassifier.load("tiny", engine="keras")
    fast = HierarchicalClassifier.load("tiny", engine=engine)
    assert fast.engine_ == engine and set(fast.nets_) == set(NODES)
    for node in NODES:
        ours, theirs = fast.logits(node, few_sketches), keras.logits(node, few_sketches)
        np.testing.assert_allclose(ours, theirs, atol=NEAR[precision])
        assert np.ptp(ours, axis=0).min() > 0, "it looks at the faces"
        assert fast.logits(node, few_sketches.pixels[:0]).shape == (0, ours.shape[1])
    chosen = HierarchicalClassifier.load("tiny").engine_
    assert chosen == ("keras" if precision == "int8" else engine)


def test_a_lone_flat_net_is_exported_as_it_is(tiny_run):
    pytest.importorskip("tf2onnx")
    tiny_run.amend({"nets": {FLAT: tiny_run.card()["nets"][FLAT]}})
    assert len(export(tiny_run, "onnx", "float32")) == 1
    assert set(HierarchicalClassifier.load("tiny", engine="onnx").nets_) == {FLAT}


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("nearest", [0.0, np.nan])
def test_an_artefact_that_answers_otherwise_is_not_kept(tiny_run, monkeypatch, precision, nearest):
    pytest.importorskip("tf2onnx")
    monkeypatch.setitem(exporting.CLOSE, precision, nearest)
    before = sorted(tiny_run.folder.iterdir()), tiny_run.card()
    with pytest.raises(InputError, match="as onnx.* it gives other logits"):
        export(tiny_run, "onnx", precision)
    assert (sorted(tiny_run.folder.iterdir()), tiny_run.card()) == before


@pytest.mark.parametrize(
    ("kind", "precision", "said"),
    [
        ("onyx", "float32", "format 'onyx': allowed are onnx, litert, openvino"),
        ("onnx", "int4", "precision 'int4': allowed for onnx are float32, float16, int8"),
        ("openvino", "int8", "precision 'int8': allowed for openvino are float32, float16"),
    ],
)
def test_what_there_is_not_is_refused(tiny_run, kind, precision, said):
    with pytest.raises(InputError, match=said):
        export(tiny_run, kind, precision)


def test_int8_needs_faces_to_be_calibrated_on(tiny_run, few_sketches):
    pytest.importorskip("tf2onnx")
    with pytest.raises(InputError, match="int8 is calibrated on faces of Training, and these data have none"):
        export(tiny_run, "onnx", "int8", few_sketches.of(Split.PrivateTest))


def test_another_frameworks_nets_are_refused(tiny_run):
    nets = tiny_run.card()["nets"]
    file = tiny_run.folder / "router.safetensors"
    (tiny_run.folder / "router.keras").rename(file)
    tiny_run.amend({"nets": nets | {"router": nets["router"] | {"file": file.name}}})
    with pytest.raises(InputError, match="a net of the PyTorch mirror"):
        export(tiny_run, "onnx", "float32")


def test_a_missing_tool_is_named(tiny_run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="tf2onnx is not installed: pip install -r requirements-export.txt"):
        export(tiny_run, "onnx", "float32")


def test_another_backend_is_refused(tiny_run, monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="KERAS_BACKEND=jax: export converts by TensorFlow"):
        export(tiny_run, "onnx", "float32")


def test_a_copied_run_keeps_its_artefacts(tiny_run):
    pytest.importorskip("tf2onnx")
    export(tiny_run, "onnx", "float32")
    HierarchicalClassifier.load("tiny").save("again")
    assert HierarchicalClassifier.load("again").engine_ == "onnx"
    assert runs.run("again").card()["exports"] == tiny_run.card()["exports"]
