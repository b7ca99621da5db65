"""Answers: every face of pictures and data files in order, and a line for what holds none."""

import json
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import FaceDataset
from hierarchy.data.formats import registry
from hierarchy.data.images import SkippedImage
from hierarchy.errors import InputError
from hierarchy.inference import predictor
from hierarchy.inference.predictor import COLUMNS, FacePrediction
from hierarchy.taxonomy import LEAVES

NO_FACE = FacePrediction("wall.png", None, None, None, None, 0.0, {})


@pytest.fixture
def classifier(tiny_run) -> HierarchicalClassifier:
    return HierarchicalClassifier.load(tiny_run.name)


@pytest.fixture
def few(few_sketches: FaceDataset) -> FaceDataset:
    return few_sketches.take(np.arange(9))


def data_file(faces: FaceDataset, folder: Path, layout: str) -> Path:
    """The first file of the faces in a layout."""
    return sorted(registry.export(faces, folder, layout).iterdir())[0]


def close(answer: FacePrediction, other: FacePrediction) -> bool:
    return np.allclose(list(answer.probabilities.values()), list(other.probabilities.values()), atol=1e-5)


@pytest.mark.parametrize("layout", ["csv", "icml", "parquet"])
def test_every_row_of_a_data_file_is_answered(classifier, few, tmp_path, layout):
    file = data_file(few, tmp_path / "data", layout)
    found = list(predictor.answers(classifier, [file]))
    assert [answer.path for answer in found] == [f"{file}#{row}" for row in range(len(few))]
    assert all(answer.face == [0, 0, 48, 48] for answer in found)
    given = np.array([list(answer.probabilities.values()) for answer in found])
    assert np.allclose(given, classifier.predict_proba(few.pixels), atol=1e-5)


def test_rows_without_labels_are_answered(classifier, few, tmp_path):
    folder = registry.export(few, tmp_path / "data", "challenge")
    (folder / "alone.csv").write_text("pixels\n" + " ".join(map(str, few.pixels[0].ravel())))
    assert len(list(predictor.answers(classifier, [folder / "alone.csv"]))) == 1


def test_pictures_and_data_files_keep_their_order_across_batches(classifier, few, tmp_path, monkeypatch):
    picture, bad = tmp_path / "face.png", tmp_path / "bad.png"
    cv2.imwrite(str(picture), few.pixels[4])
    bad.write_text("no picture")
    data, damaged = data_file(few, tmp_path / "data", "csv"), tmp_path / "damaged.csv"
    damaged.write_text("pixels\n1 2 3")
    files = [bad, picture, data, damaged, picture]
    whole = list(predictor.answers(classifier, files))
    assert [type(answer) for answer in whole] == [
        SkippedImage,
        *[FacePrediction] * 10,
        SkippedImage,
        FacePrediction,
    ]
    assert [answer.path for answer in whole if isinstance(answer, SkippedImage)] == [str(bad), str(damaged)]
    assert str(whole[0]).startswith(str(bad)) and str(whole[11]).startswith(f"{damaged}: line 2")
    assert close(whole[1], whole[6]) and close(whole[1], whole[12])
    monkeypatch.setattr(predictor, "BATCH", 4)
    for answer, other in zip(whole, predictor.answers(classifier, files), strict=True):
        assert type(answer) is type(other)
        assert str(answer) == str(other) if isinstance(answer, InputError) else close(answer, other)


def test_bad_files_alone_need_no_net(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(HierarchicalClassifier, "predictions", None)
    (found,) = predictor.answers(classifier, [tmp_path / "nowhere.png"])
    assert isinstance(found, InputError)


def test_who_leaves_does_not_wait_for_what_is_being_read(classifier):
    left, read = threading.Event(), []

    def files():
        for number in range(2 * predictor.BATCH):
            if number == predictor.BATCH + 5:
                left.wait()
            read.append(number)
            yield InputError(str(number))

    found = predictor.answers(classifier, files())
    assert str(next(found)) == "0"
    threading.Timer(0.2, left.set).start()  # a slow picture is decoded while the user leaves
    found.close()
    assert left.is_set() and len(read) == predictor.BATCH + 6


def test_no_face_is_null():
    line = json.loads(NO_FACE.as_json())
    assert line["path"] == "wall.png" and line["face"] is line["label"] is line["branch"] is None
    assert NO_FACE.as_text() == "wall.png  no face"
    row = NO_FACE.as_row()
    assert set(row) < set(COLUMNS) and not set(row) & {"x", "y", "width", "height", *LEAVES}
