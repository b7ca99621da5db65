"""Exported nets predict as Keras' do, without Keras; files that are not of the run are refused."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import hierarchy
from hierarchy import routing, runs, runtimes
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError, NetError, install
from hierarchy.evaluation import predictions
from hierarchy.fileio import read_json, sha256
from hierarchy.inference.predictor import predict_stream
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.runtimes import ENGINES
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE

ROOT = Path(hierarchy.__file__).parents[1]
SAMPLES = [ROOT / "samples" / name for name in ("grace_hopper.png", "portrait.jpg")]
HEAVY = ("keras", "tensorflow", "pandas", "sklearn", "scipy", "matplotlib")
ROOMS = ("training", "config", "evaluation")  # that `predict` needs no module of
MODULES = 25  # of ours that `predict` imports besides the command line
ALTERNATIVE = "--engine keras"
NOTHING = b"not a net"


class Mirror:
    """A backend whose nets are not replaced by exported ones."""

    name, exported = "Mirror", False

    def open(self, path):
        return path.name


@pytest.fixture
def shipped(monkeypatch) -> runs.Run:
    """The shipped run; read only."""
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    return runs.run(runs.DEFAULT_RUN)


def export(run: runs.Run) -> runs.Run:
    """The run with files in place of exported nets, which are refused or opened, but not run."""
    manifest = run.manifest()
    entries = {}
    for node in runtimes.exported_nodes(manifest):
        (run.folder / f"{node}.onnx").write_bytes(NOTHING)
        entries[node] = {"files": {f"{node}.onnx": sha256(NOTHING)}, "net": manifest.nets[node].sha256}
    run.amend({"exports": {"onnx": entries}})
    return run


@pytest.fixture
def exported(manifest_run) -> runs.Run:
    """A run named tiny that was exported."""
    return export(manifest_run("tiny"))


@pytest.fixture
def plain(manifest_run) -> runs.Run:
    """A run named tiny that was not exported."""
    return manifest_run("tiny")


def test_exported_nets_are_those_of_the_tree_or_the_flat_net(manifest_run, other_tree):
    whole = export(manifest_run("whole", other_tree))
    engine, nets = runtimes.nets(whole, KERAS_BACKEND, runtimes.AUTO)
    assert engine == "onnx" and tuple(nets) == other_tree.nodes
    flat = export(manifest_run("flat", other_tree, (FLAT,)))
    assert tuple(runtimes.nets(flat, KERAS_BACKEND, runtimes.AUTO)[1]) == (FLAT,)


def test_by_default_an_exported_engine_is_used_and_else_the_backend(shipped):
    (exported,) = shipped.manifest().exports
    assert HierarchicalClassifier.load().engine_ == exported
    engine, nets = runtimes.nets(shipped, Mirror(), runtimes.AUTO)
    assert engine == "mirror" and nets[ROUTER].net == shipped.net(ROUTER).name


@pytest.mark.parametrize(("run", "engine"), [("small", "onnx-float16"), ("full", "onnx-float16")])
def test_other_shipped_runs_predict_without_keras(shipped, run, engine):
    assert HierarchicalClassifier.load(run).engine_ == engine


def test_a_run_that_was_not_exported_uses_its_backend(plain):
    assert HierarchicalClassifier.load("tiny").engine_ == "keras"


def test_golden_logits(shipped):
    with np.load(ROOT / "tests" / "golden" / "golden.npz") as golden:
        model = HierarchicalClassifier.load()
        assert set(model.nets_) == set(VALENCE.nodes)
        for node in VALENCE.nodes:
            np.testing.assert_allclose(model.logits(node, golden["pixels"]), golden[node], atol=0.01)


def test_a_face_is_predicted_the_same_alone_and_in_a_batch(shipped, few_sketches):
    model = HierarchicalClassifier.load()
    together = model.predict_proba(few_sketches)
    assert len(together) > runtimes.CHUNK
    np.testing.assert_allclose(model.predict_proba(few_sketches.pixels[5:6]), together[5:6], atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(few_sketches.pixels[::-1])[::-1], together, atol=1e-6)
    assert model.predict_proba(few_sketches.pixels[:0]).shape == (0, together.shape[1])


def test_no_faces_give_no_labels(shipped):
    model = HierarchicalClassifier.load()
    assert model.predict(np.zeros((0, 48, 48), np.uint8)).shape == (0,)


@pytest.mark.parametrize("words", [(), ("--top1-only",), ("--tta", "ten-crop", "--json")])
def test_predict_loads_no_training_library(words):
    script = "import sys, tf_model; code = tf_model.main(); print(*sys.modules); sys.exit(code)"
    command = [sys.executable, "-c", script, "predict", *map(str, SAMPLES), *words]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "HIERARCHY_HOME": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    *lines, modules = done.stdout.splitlines()
    assert [path.name in line for path, line in zip(SAMPLES, lines, strict=True)] == [True] * len(SAMPLES)
    assert not set(HEAVY) & set(modules.split())
    ours = [name.split(".") for name in modules.split() if name.split(".")[0] == "hierarchy"]
    besides = [".".join(name) for name in ours if name[1:2] != ["cli"]]
    assert not [name for name in ours if name[1:2] and name[1] in ROOMS]
    assert len(besides) <= MODULES, besides


@pytest.mark.parametrize("library", sorted(about.library for about in runtimes.FORMATS.values()))
def test_an_engine_sends_no_telemetry(library, tmp_path):
    """A library with telemetry would store an identity in the home folder."""
    pytest.importorskip(library, reason=install("export"))
    script = (
        "import importlib, hierarchy.runtimes; "
        f"importlib.import_module({library!r}); "
        "hierarchy.HierarchicalClassifier.load().predict(__import__('numpy').zeros((1, 48, 48), 'uint8'))"
    )
    unset = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "HOME", "HIERARCHY_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.rglob("*"))


def test_the_engine_that_is_always_installed_comes_first():
    assert runtimes.LOSSLESS[:2] == ("onnx", "onnx-float16")


@pytest.mark.parametrize("engine", ["onyx", None, np.array([1, 2])], ids=str)
def test_an_unknown_engine_is_refused(plain, engine):
    with pytest.raises(InputError, match=r"engine .*: .*auto, keras, onnx, .*onnx-int8"):
        HierarchicalClassifier.load("tiny", engine=engine)


@pytest.mark.parametrize("name", ["routing", "view", "colour"])
def test_an_array_is_no_choice(plain, name):
    with pytest.raises(InputError, match=name):
        HierarchicalClassifier.load("tiny", **{name: np.array([1, 2])}).read(np.zeros((48, 48), np.uint8))


@pytest.mark.parametrize("text", ["9" * 5000, "0", "-1", "x", ""])
def test_a_number_of_threads_that_is_none_is_all_cores(monkeypatch, text):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    available = runtimes.cores()
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert runtimes.cores() == available


def test_a_missing_export_is_refused_with_the_command(plain):
    command = "python tf_model.py export --run tiny --format litert --precision int8"
    with pytest.raises(InputError, match=f"run 'tiny' .*litert-int8.*{command}"):
        HierarchicalClassifier.load("tiny", engine="litert-int8")


def test_a_run_of_which_a_part_was_exported_uses_its_backend(exported):
    exports = read_json(exported.folder / runs.MANIFEST)["exports"]["onnx"]
    exported.amend({"exports": {"onnx": {FLAT: exports[ROUTER]}}})
    assert HierarchicalClassifier.load("tiny").engine_ == "keras"
    with pytest.raises(InputError, match=r"run 'tiny' .*run .*export --run tiny"):
        HierarchicalClassifier.load("tiny", engine="onnx")


@pytest.mark.parametrize("engine", [runtimes.AUTO, "onnx"])
def test_a_flipped_byte_is_refused(exported, engine):
    (exported.folder / "router.onnx").write_bytes(NOTHING.upper())
    with pytest.raises(InputError, match=f"router.onnx: .*export --run tiny .*{ALTERNATIVE}"):
        HierarchicalClassifier.load("tiny", engine=engine)


def test_a_missing_file_is_refused(exported):
    (exported.folder / "router.onnx").unlink()
    with pytest.raises(InputError, match=f"router.onnx: .*{ALTERNATIVE}"):
        HierarchicalClassifier.load("tiny")


def test_an_export_of_an_earlier_net_is_refused(exported):
    stored = read_json(exported.folder / runs.MANIFEST)["nets"]
    exported.amend({"nets": stored | {ROUTER: stored[ROUTER] | {"sha256": stored[FLAT]["sha256"]}}})
    with pytest.raises(InputError, match=f"run 'tiny'.*onnx router.*{ALTERNATIVE}"):
        HierarchicalClassifier.load("tiny")


def test_a_file_that_the_library_cannot_open_is_refused_in_one_line(exported, few_sketches):
    model = HierarchicalClassifier.load("tiny")
    with pytest.raises(InputError, match=f"router.onnx: ONNX Runtime .*{ALTERNATIVE}") as caught:
        model.predict(few_sketches)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_larger_than_any_net_is_refused(engine, tmp_path):
    file = tmp_path / f"net{runtimes.FORMATS[ENGINES[engine][0]].suffixes[0]}"
    file.touch()
    os.truncate(file, 2 << 30)
    with pytest.raises(InputError, match=f"{file.name}: larger than [0-9,]+ MiB; .*{ALTERNATIVE}"):
        runtimes.ExportedModel(engine, file, KERAS_BACKEND)(np.zeros((1, 48, 48), np.uint8))


def _net(shape=("N", 48, 48), kind=2, width=2, **more):
    """An ONNX net of one product."""
    from onnx import TensorProto, helper, numpy_helper

    source = helper.make_tensor_value_info("pixels", kind, shape)
    target = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["float", "rows"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    weights = numpy_helper.from_array(np.zeros((48 * 48, width), np.float32), "weights")
    rows = numpy_helper.from_array(np.array(more.get("rows", (-1, 48 * 48))), "rows")
    inputs = [source, *(helper.make_tensor_value_info(name, 1, ["N"]) for name in more.get("inputs", ()))]
    graph = helper.make_graph(nodes, "net", inputs, [target], [weights, rows])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


UNFIT = {
    "width": {"width": 9},
    "none": {"width": 0},
    "rank": {"rows": (-1, 1, 48 * 48)},
    "one row": {"rows": (48 * 48,)},
    "float input": {"kind": 1},
    "49 pixels": {"shape": ("N", 49, 49)},
    "second input": {"inputs": ["more"]},
}


def _endless(shape, trips):
    """An ONNX net that makes a number of `shape` values, then loops."""
    from onnx import TensorProto, helper, numpy_helper

    values = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["before"], ["after"])],
        "body",
        [values("trip", 7, []), values("go", 9, []), values("before", 1, None)],
        [values("on", 9, []), values("after", 1, None)],
    )
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ConstantOfShape", ["shape"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("Add", ["float", "sum"], ["first"]),
        helper.make_node("Loop", ["trips", "true", "first"], ["logits"], body=body),
    ]
    constants = {"shape": [shape], "trips": trips, "true": True}
    stored = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    inputs, outputs = [values("pixels", 2, ["N", 48, 48])], [values("logits", 1, None)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, stored)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


@pytest.mark.parametrize(("shape", "trips"), [(10**10, 1), (1, 2**62)])
def test_memory_and_time_of_a_net_are_bounded(exported, few_sketches, monkeypatch, shape, trips):
    pytest.importorskip("onnx")
    monkeypatch.setattr(runtimes, "SECONDS", 0.1)
    model = HierarchicalClassifier.load("tiny")
    (exported.folder / "router.onnx").write_bytes(_endless(shape, trips))
    with pytest.raises(NetError, match="router.onnx"):
        model.predict(few_sketches)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_time_of_a_net_is_bounded_in_a_fork_too(exported, few_sketches, monkeypatch):
    pytest.importorskip("onnx")
    path = exported.folder / "router.onnx"
    path.write_bytes(_net())
    router = runtimes.ExportedModel("onnx", path, KERAS_BACKEND)
    assert router(few_sketches.pixels[:1]).shape == (1, 2)  # watched by a thread that the fork lacks
    threads = threading.active_count()
    assert router(few_sketches.pixels).shape == (len(few_sketches), 2)
    assert threading.active_count() == threads  # one for all calls
    path.write_bytes(_endless(1, 2**62))
    monkeypatch.setattr(runtimes, "SECONDS", 0.1)
    endless = runtimes.ExportedModel("onnx", path, KERAS_BACKEND)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        caught = pool.submit(endless, few_sketches.pixels[:1]).exception()
    assert "terminate" in str(caught)


@pytest.mark.parametrize("change", UNFIT.values(), ids=UNFIT)
def test_a_net_that_does_not_fit_is_named_once(exported, change):
    pytest.importorskip("onnx")
    model = HierarchicalClassifier.load("tiny")
    (exported.folder / "router.onnx").write_bytes(_net(**change))
    paths = [SAMPLES[1]] * 3
    with pytest.raises(NetError, match="router.onnx") as caught:
        list(predict_stream(model, paths))
    assert "\n" not in str(caught.value)


def test_a_net_in_the_place_of_another_is_refused(exported, few_sketches):
    pytest.importorskip("onnx")
    stored = read_json(exported.folder / runs.MANIFEST)
    nets, exports = stored["nets"], stored["exports"]["onnx"]
    (exported.folder / "router.onnx").write_bytes(_net())
    exports[ROUTER]["files"] = {"router.onnx": sha256(_net())}
    exported.amend({"nets": dict.fromkeys(nets, nets[ROUTER])})
    exported.amend({"exports": {"onnx": dict.fromkeys(exports, exports[ROUTER])}})
    with pytest.raises(NetError, match=r"router.onnx: gives float32\[4, 2\], expected float\[4, 3\]"):
        HierarchicalClassifier.load("tiny").predict(few_sketches.pixels[:4])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_library_is_refused_with_its_install_command(engine, tmp_path, monkeypatch):
    about = runtimes.FORMATS[ENGINES[engine][0]]
    monkeypatch.setitem(sys.modules, about.library, None)
    model = runtimes.ExportedModel(engine, tmp_path / "net", KERAS_BACKEND)
    with pytest.raises(InputError, match=f"{about.library} .*pip install -r .*{ALTERNATIVE}"):
        model(np.zeros((1, 48, 48), np.uint8))


def test_a_library_that_cannot_be_imported_is_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('DLL load failed\\nwhile importing')")
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    model = runtimes.ExportedModel("onnx", tmp_path / "net", KERAS_BACKEND)
    with pytest.raises(InputError, match=rf"\(DLL load failed\).*{ALTERNATIVE}"):
        model(np.zeros((1, 48, 48), np.uint8))


@pytest.mark.long
@pytest.mark.real_data
def test_labels_on_every_real_face(shipped, fer2013):
    manifest = shipped.manifest()
    stored = predictions.of_run(manifest, Split.PrivateTest.name, "single")
    keras = routing.soft(routing.predict_from_logits(manifest.tree, stored.logits, manifest.calibration)[0])
    labels = routing.soft(HierarchicalClassifier.load().predictions(fer2013.of(Split.PrivateTest)))
    np.testing.assert_array_equal(labels, keras)
