"""Exported nets of every format and precision have the original logits, or are not stored."""

import importlib.util

import numpy as np
import pytest

from hierarchy import fileio, runs, runtimes
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError, install
from hierarchy.models import export as exporting
from hierarchy.models.export_formats import RUNNERS
from hierarchy.runtimes import ENGINES, FORMATS
from hierarchy.taxonomy import VALENCE

TREE_NEAR = {"openvino-float16": 1e-3}  # it stores the calibration in float16, too
NEAR = {"float32": 1e-4, "float16": 0.01, "int8": 0.5}


def stored(run):
    return fileio.read_json(run.folder / runs.MANIFEST)


def export(run, kind, precision, faces=None):
    return list(exporting.export(run, kind, precision, lambda: faces))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_exported_run_answers_as_keras_does(tiny_run, few_sketches, engine):
    kind, precision = ENGINES[engine]
    for tool in (*exporting.TOOLS[kind], FORMATS[kind].library.split(".")[0]):
        pytest.importorskip(tool, reason=install("export"))
    lines = export(tiny_run, kind, precision, few_sketches)
    assert ["logits within" in line for line in lines[: len(VALENCE.nodes)]] == [True] * len(VALENCE.nodes)
    files = len(VALENCE.nodes) + ((kind, precision) not in exporting.NO_TREE)
    assert len(lines) == len(stored(tiny_run)["exports"][engine]) == files
    keras = HierarchicalClassifier.load("tiny", engine="keras")
    fast = HierarchicalClassifier.load("tiny", engine=engine)
    assert fast.engine_ == engine and set(fast.nets_) == set(VALENCE.nodes)
    for node in VALENCE.nodes:
        ours, theirs = fast.logits(node, few_sketches), keras.logits(node, few_sketches)
        np.testing.assert_allclose(ours, theirs, atol=NEAR[precision])
        assert np.ptp(ours, axis=0).min() > 0, "it looks at the faces"
        assert fast.logits(node, few_sketches.pixels[:0]).shape == (0, ours.shape[1])
    if (kind, precision) not in exporting.NO_TREE:
        file, *_ = tiny_run.manifest().exports[engine][runtimes.TREE].files
        outputs = RUNNERS[kind](tiny_run.folder / file, few_sketches.pixels)
        joint = fast.predictions(few_sketches).joint
        np.testing.assert_allclose(outputs["probabilities"], joint, atol=TREE_NEAR.get(engine, 1e-6))
    chosen = HierarchicalClassifier.load("tiny").engine_
    assert chosen == ("keras" if precision == "int8" else engine)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("nearest", [0.0, np.nan])
def test_an_artefact_that_answers_otherwise_is_not_kept(tiny_run, monkeypatch, precision, nearest):
    pytest.importorskip("tf2onnx")
    monkeypatch.setitem(exporting.CLOSE, precision, nearest)
    before = sorted(tiny_run.folder.iterdir()), stored(tiny_run)
    with pytest.raises(InputError, match=r"router\.keras: onnx"):
        export(tiny_run, "onnx", precision)
    assert (sorted(tiny_run.folder.iterdir()), stored(tiny_run)) == before


@pytest.mark.parametrize(
    ("kind", "precision", "named"),
    [
        ("onyx", "float32", "'onyx'.*onnx, litert, openvino"),
        ("onnx", "int4", "'int4'.*float32, float16, int8"),
        ("openvino", "int8", "'int8'.*float32, float16"),
    ],
)
def test_unknown_formats_and_precisions_are_refused(tiny_run, kind, precision, named):
    with pytest.raises(InputError, match=named):
        export(tiny_run, kind, precision)


def test_int8_needs_faces_to_be_calibrated_on(tiny_run, few_sketches):
    pytest.importorskip("tf2onnx")
    with pytest.raises(InputError, match="int8.*--data"):
        export(tiny_run, "onnx", "int8", few_sketches.of(Split.PrivateTest))


def test_another_frameworks_nets_are_refused(tiny_run):
    nets = stored(tiny_run)["nets"]
    file = tiny_run.folder / "router.safetensors"
    (tiny_run.folder / "router.keras").rename(file)
    tiny_run.amend({"nets": nets | {"router": nets["router"] | {"file": file.name}}})
    with pytest.raises(InputError, match="router.safetensors"):
        export(tiny_run, "onnx", "float32")


def test_a_missing_tool_is_named(tiny_run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="tf2onnx.*requirements-export.txt"):
        export(tiny_run, "onnx", "float32")


def test_another_backend_is_refused(tiny_run, monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="KERAS_BACKEND=jax"):
        export(tiny_run, "onnx", "float32")


def test_a_copied_run_keeps_its_artefacts(tiny_run):
    pytest.importorskip("tf2onnx")
    export(tiny_run, "onnx", "float32")
    HierarchicalClassifier.load("tiny").save("again")
    assert HierarchicalClassifier.load("again").engine_ == "onnx"
    assert runs.run("again").manifest().exports == tiny_run.manifest().exports
