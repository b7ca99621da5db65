"""The exported tree is one file that explains itself: the product's answers without any of its code."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hierarchy import fileio, runs, runtimes
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.config.schema import Recipe, VGGConfig
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError, install
from hierarchy.models import export as exporting
from hierarchy.models import export_formats, export_tree, serialization, vgg
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.runtimes import FORMATS, TREE
from hierarchy.taxonomy import FLAT, ROUTER, TRUNK, VALENCE

DOCS = Path(__file__).parents[2] / "docs" / "deployment.md"
SECTION = DOCS.read_text().split("## Exported nets")[1].split("\n## ")[0]
SCRIPTS = re.findall(r"```python\n(.*?)```", SECTION, flags=re.S)
FACES = 200


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return sketch_faces(FACES).pixels


def tools(kind):
    for tool in (*exporting.TOOLS[kind], FORMATS[kind].library.split(".")[0]):
        pytest.importorskip(tool, reason=install("export"))


def export(run, kind, precision="float32"):
    tools(kind)
    return list(exporting.export(run, kind, precision, lambda: None))


def calibrate(run, faces):
    """Offsets and temperatures by which nets of random weights use all of their classes."""
    entries = {}
    for node in run.manifest().nets:
        logits = runtimes.own_nets(run, KERAS_BACKEND)[node](faces)
        entries[node] = {
            "offset": (-logits.mean(axis=0)).tolist(),
            "temperature": float(logits.std(axis=0).min()),
        }
    run.amend({"calibration": entries})


def tree_file(run, engine):
    (file, *_) = run.manifest().exports[engine][TREE].files
    return run.folder / file


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in FORMATS]


@pytest.fixture(scope="module", params=SLOW)
def kept(request, stored_run, faces, tmp_path_factory):
    """A home with the run tiny, calibrated and exported to a format in float32; read only."""
    home = tmp_path_factory.mktemp("exported")
    run = runs.Run("tiny", home / "results" / "tiny", home / "logs" / "tiny")
    shutil.copytree(stored_run.folder, run.folder)
    calibrate(run, faces)
    export(run, request.param)
    return request.param, run, home


@pytest.fixture
def exported(kept, monkeypatch):
    """A format, and the run tiny that was exported to it."""
    kind, run, home = kept
    monkeypatch.setenv("HIERARCHY_HOME", str(home))
    return kind, run


def described(kind, path):
    """The metadata of a file."""
    if kind == "onnx":
        import onnx

        return {each.key: each.value for each in onnx.load(path).metadata_props}
    if kind == "litert":
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("metadata.json"))
            assert archive.read("labels.txt").decode().splitlines() == json.loads(about["classes"])
            return about
    import openvino

    section = openvino.Core().read_model(path).get_rt_info([export_formats.MODEL_INFO])
    return dict(section.value)


@pytest.mark.long
def test_the_documented_program_gives_the_labels_of_the_product(exported, faces, tmp_path):
    kind, run = exported
    library = FORMATS[kind].library
    (script,) = [each for each in SCRIPTS if re.search(f"^(import|from) {library}", each, re.M)]
    assert len(script.splitlines()) <= 15
    assert "hierarchy" not in script
    images = [f"{row}.png" for row in range(len(faces))]
    for name, pixels in zip(images, faces, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", script, tree_file(run, kind), *images],
        cwd=tmp_path,
        env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    printed = [line.split() for line in done.stdout.splitlines() if ".png" in line]
    model = HierarchicalClassifier.load("tiny", engine=kind)
    labels = model.predict(faces)
    assert len(set(labels)) > len(VALENCE.branches), "leaves of each branch"
    assert [name for name, _, _ in printed] == images
    assert [label for _, label, _ in printed] == labels.tolist()
    confidences = [float(value) for _, _, value in printed]
    np.testing.assert_allclose(confidences, model.predict_proba(faces).max(axis=1), atol=1e-5)


def test_files_describe_themselves(exported):
    kind, run = exported
    manifest = run.manifest()
    about = described(kind, tree_file(run, kind))
    assert json.loads(about["tree"]) == VALENCE.to_dict()
    assert json.loads(about["classes"]) == list(VALENCE.leaves)
    assert json.loads(about["branches"]) == list(VALENCE.branches)
    assert set(json.loads(about["calibration"])) == set(VALENCE.nodes)
    assert (about["node"], about["run"], about["licence"]) == (TREE, "tiny", "MIT")
    assert "48" in about["crop"] and "version" in about
    for node in VALENCE.nodes:
        (file, *_) = manifest.exports[kind][node].files
        about = described(kind, run.folder / file)
        assert about["node"] == node
        assert json.loads(about["classes"]) == list(VALENCE.classes_of(node))
        stored = manifest.calibration[node]
        expected = {"offset": list(stored.offset), "temperature": stored.temperature}
        assert json.loads(about["calibration"]) == {node: expected}


def test_inputs_and_outputs_are_named(exported, faces):
    kind, run = exported
    outputs = export_formats.RUNNERS[kind](tree_file(run, kind), faces[:3])
    assert set(outputs) == set(export_formats.OUTPUTS)
    assert outputs["label"].shape == (3,) and outputs["label"].dtype.kind == "i"
    (file, *_) = run.manifest().exports[kind][ROUTER].files
    assert list(export_formats.RUNNERS[kind](run.folder / file, faces[:3])) == [export_formats.LOGITS]


def test_the_tree_is_listed_with_its_checksum_and_is_not_a_net(exported):
    kind, run = exported
    files = run.manifest().exports[kind][TREE].files
    assert list(files) == [f"tree-float32{suffix}" for suffix in FORMATS[kind].suffixes]
    for name, checksum in files.items():
        fileio.check_file(run.folder / name, checksum)
    assert tuple(runtimes.nets(run, KERAS_BACKEND, kind)[1]) == VALENCE.nodes


def check_answers(run, faces):
    """Compare the exported tree and the Keras model of it with the exported nets, and these with Keras."""
    nets = HierarchicalClassifier.load(run.name, engine="onnx")
    own = HierarchicalClassifier.load(run.name, engine="keras")
    np.testing.assert_allclose(nets.predict_proba(faces), own.predict_proba(faces), atol=1e-4)
    expected = nets.predictions(faces)
    paths = {node: run.net(node) for node in run.manifest().nets}
    files = {path: serialization.load(path) for path in set(paths.values())}
    models = {node: files[path] for node, path in paths.items()}
    joined = export_tree.joined(models, run.manifest())(faces)
    for outputs in (export_formats.RUNNERS["onnx"](tree_file(run, "onnx"), faces), joined):
        leaves, branches, labels = (np.asarray(outputs[name]) for name in export_formats.OUTPUTS)
        np.testing.assert_allclose(leaves, expected.joint, atol=1e-5)
        np.testing.assert_allclose(branches, expected.branch, atol=1e-5)
        np.testing.assert_array_equal(labels, leaves.argmax(axis=1))


def test_trees_of_other_shapes(own_home, faces, other_tree):
    run, recipe = runs.run("other"), Recipe("tiny", net=VGGConfig(stages=((4,),)), tree=other_tree)
    for node in other_tree.nodes:
        data = serialization.to_bytes(vgg.build(other_tree, node, recipe.net))
        run.add_net(node, data, {"backend": "tensorflow"}, {"recipe": recipe.as_dict()}, other_tree)
    calibrate(run, faces)
    assert len(export(run, "onnx")) == len((*other_tree.nodes, TREE))
    check_answers(run, faces)


@pytest.mark.parametrize("kind", ["onnx", "litert", "openvino"])
def test_heads_of_one_net_are_one_file(own_home, faces, kind):
    run, recipe = runs.run("shared"), Recipe("tiny", net=VGGConfig(stages=((4,),)), heads="shared")
    data = serialization.to_bytes(vgg.build(VALENCE, TRUNK, recipe.net))
    run.add_net(TRUNK, data, {"backend": "tensorflow"}, {"recipe": recipe.as_dict()}, VALENCE)
    calibrate(run, faces)
    export(run, "onnx")
    assert len(export(run, kind)) == len((TRUNK, TREE))
    nets = runtimes.nets(run, KERAS_BACKEND, kind)[1]
    own = runtimes.nets(run, KERAS_BACKEND, "keras")[1]
    for node, logits in runtimes.outputs(nets, faces).items():
        np.testing.assert_allclose(logits, own[node](faces), atol=1e-4)
    check_answers(run, faces)


def test_a_lone_flat_net_is_a_tree_of_one_net(tiny_run, faces):
    nets = fileio.read_json(tiny_run.folder / runs.MANIFEST)["nets"]
    tiny_run.amend({"nets": {FLAT: nets[FLAT]}})
    calibrate(tiny_run, faces)
    assert len(export(tiny_run, "onnx")) == len((FLAT, TREE))
    assert set(HierarchicalClassifier.load("tiny", engine="onnx").nets_) == {FLAT}
    check_answers(tiny_run, faces)


def test_onnx_accepts_the_tree(tiny_run):
    export(tiny_run, "onnx")
    import onnx

    model = onnx.load(tree_file(tiny_run, "onnx"))
    onnx.checker.check_model(model, full_check=True)
    shapes = [
        [dim.dim_param or dim.dim_value for dim in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["N", 48, 48], ["N", len(VALENCE.leaves)], ["N", len(VALENCE.branches)], ["N"]]


def test_a_tree_that_answers_otherwise_is_not_kept(tiny_run, monkeypatch):
    tools("onnx")
    monkeypatch.setitem(exporting.CLOSE_TREE, "float32", np.nan)
    before = sorted(tiny_run.folder.iterdir()), tiny_run.manifest()
    with pytest.raises(InputError, match=r"tree-float32\.onnx"):
        export(tiny_run, "onnx")
    assert (sorted(tiny_run.folder.iterdir()), tiny_run.manifest()) == before
