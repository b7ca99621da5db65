"""Exported nets answer as Keras' do, without Keras; what is not the run's own artefact is refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hierarchy
from hierarchy import fileio, routing, runs, runtimes
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.evaluation import predictions
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.runtimes import ENGINES
from hierarchy.taxonomy import FLAT, NODES, ROUTER

ROOT = Path(hierarchy.__file__).parents[1]
SAMPLE = ROOT / "samples" / "grace_hopper.png"
HEAVY = ("keras", "tensorflow", "pandas", "sklearn")
INSTEAD = "engine keras answers without it"


class Mirror:
    """A framework whose nets are not replaced by exported ones."""

    name, exported = "Mirror", False

    def open(self, path):
        return path.name


@pytest.fixture
def shipped(monkeypatch) -> runs.Run:
    """The shipped run where it lies; only to be read."""
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    return runs.run(runs.DEFAULT_RUN)


@pytest.fixture
def exported(tiny_run) -> runs.Run:
    """The tiny run with the shipped artefacts as its own: they are refused or opened, not asked."""
    nets = tiny_run.card()["nets"]
    for node in NODES:
        (tiny_run.folder / f"{node}.onnx").write_bytes(b"an artefact")
    entry = {
        node: {"files": {f"{node}.onnx": fileio.sha256(b"an artefact")}, "net": nets[node]["sha256"]}
        for node in NODES
    }
    tiny_run.amend({"exports": {"onnx": entry}})
    return tiny_run


def test_without_a_word_the_shipped_engine_answers_and_else_the_framework(shipped):
    assert HierarchicalClassifier.load().engine_ == "onnx"
    engine, nets = runtimes.nets(shipped, Mirror(), runtimes.AUTO)
    assert engine == "mirror" and nets[ROUTER] == shipped.net(ROUTER).name


@pytest.mark.parametrize(("run", "engine"), [("small", "onnx"), ("full", "onnx-float16")])
def test_the_other_weights_are_answered_without_keras_too(shipped, run, engine):
    assert HierarchicalClassifier.load(run).engine_ == engine


def test_a_run_that_was_not_exported_is_answered_by_its_framework(tiny_run):
    assert HierarchicalClassifier.load("tiny").engine_ == "keras"


@pytest.mark.parametrize(("engine", "near"), [("onnx", 1e-4), ("onnx-int8", 0.5)])
def test_golden_logits(shipped, engine, near):
    with np.load(ROOT / "tests" / "golden" / "golden.npz") as golden:
        model = HierarchicalClassifier.load(engine=engine)
        assert set(model.nets_) == set(NODES)
        for node in NODES:
            np.testing.assert_allclose(model.logits(node, golden["pixels"]), golden[node], atol=near)


def test_a_face_is_answered_the_same_alone_and_in_a_batch(shipped, few_sketches):
    model = HierarchicalClassifier.load()
    together = model.predict_proba(few_sketches)
    assert len(together) > runtimes.CHUNK
    np.testing.assert_allclose(model.predict_proba(few_sketches.pixels[5:6]), together[5:6], atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(few_sketches.pixels[::-1])[::-1], together, atol=1e-6)
    assert model.predict_proba(few_sketches.pixels[:0]).shape == (0, together.shape[1])


@pytest.mark.parametrize("engine", ["onnx", "onnx-int8"])
def test_no_faces_at_all_are_no_fault_of_an_engine(shipped, engine):
    model = HierarchicalClassifier.load(engine=engine)
    assert model.predict(np.zeros((0, 48, 48), np.uint8)).shape == (0,)


@pytest.mark.parametrize("words", [(), ("--top1-only",), ("--tta", "ten-crop", "--json")])
def test_predict_loads_no_training_library(words):
    script = (
        "import sys, tf_model; code = tf_model.main(); "
        f"sys.exit(code or [name for name in {HEAVY} if name in sys.modules] or 0)"
    )
    command = [sys.executable, "-c", script, "predict", str(SAMPLE), *words]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "HIERARCHY_HOME": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "") and SAMPLE.name in done.stdout


@pytest.mark.parametrize("library", sorted(about.library for about in runtimes.FORMATS.values()))
def test_an_engine_tells_nobody_that_it_is_used(library, tmp_path):
    """Where one keeps an identity in the home folder, it would send it."""
    pytest.importorskip(library, reason=f"pip install -r {runtimes.EXPORT_REQUIREMENTS}")
    script = (
        "import importlib, hierarchy.runtimes; "
        f"importlib.import_module({library!r}); "
        "hierarchy.HierarchicalClassifier.load().predict(__import__('numpy').zeros((1, 48, 48), 'uint8'))"
    )
    unsaid = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "HOME", "HIERARCHY_HOME"}
    own = {name: value for name, value in os.environ.items() if name not in unsaid}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**own, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.rglob("*"))


def test_the_engine_that_is_installed_anyway_goes_before_the_others():
    assert runtimes.LOSSLESS[:2] == ("onnx", "onnx-float16")


def test_an_unknown_engine_is_refused(tiny_run):
    with pytest.raises(InputError, match=r"engine 'onyx': allowed are auto, keras, onnx, .*onnx-int8"):
        HierarchicalClassifier.load("tiny", engine="onyx")


def test_a_run_that_was_not_exported_says_how(tiny_run):
    command = "python tf_model.py export --run tiny --format litert --precision int8"
    with pytest.raises(InputError, match=f"run 'tiny' was not exported to litert-int8: {command} does it"):
        HierarchicalClassifier.load("tiny", engine="litert-int8")


@pytest.mark.parametrize("engine", [runtimes.AUTO, "onnx"])
def test_a_flipped_byte_is_refused(exported, engine):
    (exported.folder / "router.onnx").write_bytes(b"an artefacT")
    with pytest.raises(InputError, match=f"router.onnx: damaged, .*export --run tiny .*{INSTEAD}"):
        HierarchicalClassifier.load("tiny", engine=engine)


def test_a_missing_file_is_refused(exported):
    (exported.folder / "router.onnx").unlink()
    with pytest.raises(InputError, match=f"router.onnx: no such file, .*{INSTEAD}"):
        HierarchicalClassifier.load("tiny")


def test_an_artefact_of_an_earlier_net_is_refused(exported):
    nets = exported.card()["nets"]
    exported.amend({"nets": nets | {ROUTER: nets[ROUTER] | {"sha256": nets[FLAT]["sha256"]}}})
    with pytest.raises(InputError, match=f"its onnx router net was made from another net; .*{INSTEAD}"):
        HierarchicalClassifier.load("tiny")


def test_what_the_library_cannot_read_is_refused_in_one_line(exported, few_sketches):
    model = HierarchicalClassifier.load("tiny")
    with pytest.raises(InputError, match=f"router.onnx: ONNX Runtime cannot open it .*{INSTEAD}") as caught:
        model.predict(few_sketches)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_library_is_named_with_its_install_line(engine, tmp_path, monkeypatch):
    about = runtimes.FORMATS[ENGINES[engine][0]]
    monkeypatch.setitem(sys.modules, about.library, None)
    artefact = runtimes.ExportedModel(engine, tmp_path / "net", KERAS_BACKEND)
    with pytest.raises(InputError, match=f"{about.library} is not installed: pip install -r .*; {INSTEAD}"):
        artefact(np.zeros((1, 48, 48), np.uint8))


def test_a_library_that_does_not_start_is_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('DLL load failed\\nwhile importing')")
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    artefact = runtimes.ExportedModel("onnx", tmp_path / "net", KERAS_BACKEND)
    with pytest.raises(InputError, match=rf"does not start \(DLL load failed\); {INSTEAD}"):
        artefact(np.zeros((1, 48, 48), np.uint8))


@pytest.mark.real_data
@pytest.mark.parametrize(("engine", "points"), [("onnx", 0.0), ("onnx-int8", 0.2)])
def test_labels_on_every_real_face(shipped, fer2013, engine, points):
    card = shipped.card()
    kept = predictions.of_run(card, Split.PrivateTest.name, "single")
    keras = routing.soft(routing.judged(kept.logits, card["calibration"])[0])
    labels = routing.soft(
        HierarchicalClassifier.load(engine=engine).predictions(fer2013.of(Split.PrivateTest))
    )
    assert (labels != keras).mean() <= (0 if points == 0 else 0.02)
    lost = (keras == kept.target).mean() - (labels == kept.target).mean()
    assert 100 * lost <= points
