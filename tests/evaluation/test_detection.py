"""The detector learns drawn faces in a minute, is stored with its threshold, and is scored correctly."""

import importlib.util
import json

import numpy as np
import pytest

from hierarchy import fileio
from hierarchy.data.dataset import Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.evaluation import detection
from hierarchy.vision import cnn_detector, synthetic_scenes
from hierarchy.vision.detectors import STILL, create_detector
from hierarchy.vision.synthetic_scenes import Scene

PICTURE = np.zeros((20, 30), np.uint8)
BOX = [[2.0, 2.0, 10.0, 10.0]]


def scored(boxes, truth):
    shown = [Scene(PICTURE, np.array(truth, int).reshape(-1, 4))]
    return detection.score(lambda grey: np.array(boxes, float).reshape(-1, 4), shown)


@pytest.mark.parametrize(
    ("boxes", "truth", "recall", "precision"),
    [
        (BOX, BOX, (1, 1), (1, 1)),
        ([], BOX, (0, 1), (0, 0)),
        (BOX, [], (0, 0), (0, 1)),
        ([*BOX, *BOX], BOX, (1, 1), (1, 2)),
        ([[14, 2, 10, 10]], BOX, (0, 1), (0, 1)),
        ([[3, 3, 10, 10]], [*BOX, [15, 5, 10, 10]], (1, 2), (1, 1)),
    ],
)
def test_each_face_is_found_once_and_each_box_is_right_or_not(boxes, truth, recall, precision):
    said = scored(boxes, truth)
    for one, (hits, n) in ((said["recall"], recall), (said["precision"], precision)):
        assert one["n"] == n and (one["accuracy"] or 0) * n == pytest.approx(hits)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where a detector of drawn faces was trained."""
    if not importlib.util.find_spec("tf2onnx"):
        pytest.skip("tf2onnx is not installed")
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIERARCHY_HOME", str(home))
        patch.setattr(detection, "CHOOSING", 20)
        path = detection.train("sketch", None, 2, 0)
    assert path.is_file()
    return home


@pytest.fixture
def trained(home, monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(home))
    return home / "results" / "detector"


@pytest.mark.long
def test_a_conversion_that_differs_is_made_again(monkeypatch):
    pytest.importorskip("tf2onnx")
    import keras

    from hierarchy.models import face_detector

    nets = [face_detector.build(), face_detector.build()]
    nets[1](np.zeros((1, 48, 48, 1), np.uint8))  # Keras exports only nets that were called
    export = keras.Model.export
    monkeypatch.setattr(keras.Model, "export", lambda self, *to, **how: export(nets.pop(), *to, **how))
    face_detector.as_onnx(nets[0])
    assert nets == []


@pytest.mark.long
def test_it_finds_the_drawn_faces_of_scenes_it_has_not_seen(trained):
    faces = sketch_faces(300, seed=5).of(Split.PrivateTest).pixels
    shown = list(synthetic_scenes.scenes(faces, synthetic_scenes.backgrounds(None, True), 30, 7))
    said = detection.score(detection._boxes(cnn_detector.CNN), shown)
    assert said["recall"]["accuracy"] > 0.6 and said["precision"]["accuracy"] > 0.6


@pytest.mark.long
def test_its_threshold_is_the_one_that_public_test_prefers(trained):
    about = json.loads((trained / cnn_detector.INFO).read_text())
    by = about["f1_by_threshold"]
    assert by[str(about["sure"])] == max(by.values()) and about["backgrounds"] == synthetic_scenes.names(None)


def test_an_interrupted_training_leaves_the_stored_detector_as_it_was(trained, monkeypatch):
    from hierarchy.models import face_detector

    def left(*_):
        raise KeyboardInterrupt

    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    monkeypatch.setattr(face_detector, "train", lambda *_: None)
    monkeypatch.setattr(face_detector, "as_onnx", lambda _: (trained / cnn_detector.NET).read_bytes() + b" ")
    monkeypatch.setattr(cnn_detector, "loaded", lambda _: None)
    monkeypatch.setattr(detection, "threshold", left)
    with pytest.raises(KeyboardInterrupt):
        detection.train("sketch", None, 1, 0)
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


@pytest.mark.long
def test_scores_stand_beside_those_of_the_others(trained):
    said = detection.report("sketch", None, 10)
    assert all(f"| {name} |" in said for name in detection.COMPARED)
    assert said in (trained / detection.REPORT).read_text()
    scores = json.loads((trained / detection.SCORES).read_text())
    assert (
        scores["scenes"] == 10
        and scores["backgrounds"] == synthetic_scenes.names(None)
        and set(scores["detectors"]) == set(detection.COMPARED)
    )


@pytest.mark.long
def test_a_damaged_detector_is_refused(trained):
    path = trained / cnn_detector.NET
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    try:
        with pytest.raises(InputError, match="detector.onnx"):
            create_detector(cnn_detector.CNN)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(("values", "reason"), [([], "object"), ({}, "sha256")])
def test_an_incomplete_info_file_is_refused(trained, monkeypatch, values, reason):
    monkeypatch.setattr(fileio, "read_json", lambda _: values)
    with pytest.raises(InputError, match=rf"detector\.json: .*{reason}"):
        create_detector("cnn")


def test_without_a_trained_detector_its_file_is_named():
    with pytest.raises(InputError, match="--detector cnn: .*detector.onnx"):
        create_detector(cnn_detector.CNN)


@pytest.mark.parametrize("shape", [(1, 1), (5, 500), (23, 23), (28, 28), (700, 900)])
def test_pictures_of_any_size_are_searched(trained, shape):
    assert create_detector(cnn_detector.CNN)(np.full(shape, 128, np.uint8)) == []


@pytest.mark.parametrize("info", ["[]", "{}", '{"sha256": 3, "sure": 0.5}', '{"sha256": "", "sure": NaN}'])
def test_a_detector_of_damaged_files_is_named(own_home, monkeypatch, info):
    monkeypatch.setenv("HIERARCHY_HOME", str(own_home))
    folder = cnn_detector.folder()
    folder.mkdir(parents=True)
    (folder / cnn_detector.NET).write_bytes(b"no net")
    (folder / cnn_detector.INFO).write_text(info)
    with pytest.raises(InputError, match=cnn_detector.INFO):
        cnn_detector.create(STILL)
    stored = {"sha256": fileio.sha256(b"no net"), "sure": 0.5}
    (folder / cnn_detector.INFO).write_text(json.dumps(stored))
    with pytest.raises(InputError, match=cnn_detector.NET):
        cnn_detector.create(STILL)
