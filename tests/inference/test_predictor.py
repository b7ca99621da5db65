"""Predictions: every face of images and data files in order, and a line for those without a face."""

import csv
import gc
import json
import threading
from dataclasses import replace
from pathlib import Path
from types import GeneratorType

import cv2
import jsonschema
import numpy as np
import pytest

from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import FaceDataset
from hierarchy.data.formats import registry
from hierarchy.errors import InputError, SkippedImage
from hierarchy.inference import predictor, writers
from hierarchy.inference.faces import FacePredictions
from hierarchy.inference.output_schema import face_schema
from hierarchy.inference.predictor import FacePrediction, columns, predict_stream
from hierarchy.taxonomy import VALENCE
from hierarchy.vision.align import whole_image

NO_FACE = FacePrediction("wall.png", None, None, None, None, None, {})


@pytest.fixture
def classifier(tiny_run) -> HierarchicalClassifier:
    return HierarchicalClassifier.load(tiny_run.name)


@pytest.fixture
def few(few_sketches: FaceDataset) -> FaceDataset:
    return few_sketches.take(np.arange(9))


def data_file(faces: FaceDataset, folder: Path, data_format: str) -> Path:
    """The first file of the faces in a format."""
    return sorted(registry.export(faces, folder, data_format).iterdir())[0]


def close(one: FacePrediction, other: FacePrediction) -> bool:
    return np.allclose(list(one.probabilities.values()), list(other.probabilities.values()), atol=1e-5)


@pytest.mark.parametrize("data_format", ["csv", "icml", "parquet"])
def test_every_row_of_a_data_file_is_predicted(classifier, few, tmp_path, data_format):
    file = data_file(few, tmp_path / "data", data_format)
    predictions = list(predict_stream(classifier, [file]))
    assert [face.path for face in predictions] == [f"{file}#{row}" for row in range(len(few))]
    assert all(face.face == [0, 0, 48, 48] for face in predictions)
    probabilities = np.array([list(face.probabilities.values()) for face in predictions])
    assert np.allclose(probabilities, classifier.predictions(few.pixels).joint, atol=1e-5)


def test_rows_without_labels_are_predicted(classifier, few, tmp_path):
    file = tmp_path / "faces.csv"
    file.write_text("pixels\n" + " ".join(map(str, few.pixels[0].ravel())))
    assert len(list(predict_stream(classifier, [file]))) == 1


def test_images_and_data_files_keep_their_order_across_batches(classifier, few, tmp_path, monkeypatch):
    picture, bad = tmp_path / "face.png", tmp_path / "bad.png"
    cv2.imwrite(str(picture), few.pixels[4])
    bad.write_text("not an image")
    data, damaged = data_file(few, tmp_path / "data", "csv"), tmp_path / "damaged.csv"
    damaged.write_text("pixels\n1 2 3")
    files = [bad, picture, data, damaged, picture]
    results = list(predict_stream(classifier, files))
    kinds = [SkippedImage, *[FacePrediction] * 10, SkippedImage, FacePrediction]
    assert [type(result) for result in results] == kinds
    assert [result.path for result in results if isinstance(result, SkippedImage)] == [
        str(bad),
        f"{damaged}#0",
    ]
    assert str(bad) in str(results[0]) and f"{damaged}#0: line 2: " in str(results[11])
    assert close(results[1], results[6]) and close(results[1], results[12])
    monkeypatch.setattr(predictor, "BATCH", 4)
    for one, other in zip(results, predict_stream(classifier, files), strict=True):
        assert type(one) is type(other)
        assert str(one) == str(other) if isinstance(one, InputError) else close(one, other)


def test_without_a_valid_file_no_net_runs(brightness, tmp_path, monkeypatch):
    monkeypatch.setattr(brightness, "predictions", None)
    (result,) = predict_stream(brightness(VALENCE), [tmp_path / "nowhere.png"])
    assert isinstance(result, InputError)


def test_closing_stops_the_reader_at_the_item_that_it_reads(brightness, monkeypatch):
    closed, reading, read = threading.Event(), threading.Event(), []

    class Closing(threading.Event):
        """The reader's event: the item being read is finished only after the stream was closed."""

        def set(self):
            super().set()
            closed.set()

    def files():
        for number in range(2 * predictor.BATCH):
            if number == predictor.BATCH + 5:
                reading.set()
                closed.wait()
            read.append(number)
            yield InputError(str(number))

    monkeypatch.setattr(predictor, "Event", Closing)
    stream = predict_stream(brightness(VALENCE), files())
    assert str(next(stream)) == "0"
    assert reading.wait(60)
    stream.close()  # returns only after the reader has ended
    assert read == list(range(predictor.BATCH + 6))


def test_after_an_error_of_the_nets_nothing_is_left_to_the_collection_of_garbage(classifier, monkeypatch):
    """A stream that is closed there may wait for ever."""

    def fail(pixels):
        raise ValueError("no net")

    monkeypatch.setattr(classifier, "predictions", fail)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(InputError):
                classifier.read(np.zeros((48, 48), np.uint8))
        streams = [each for each in gc.get_objects() if type(each) is GeneratorType]
        assert not [
            each for each in streams if each.gi_code.co_filename == predictor.__file__ and each.gi_frame
        ]
    finally:
        gc.enable()


def test_an_image_without_a_face_has_null_values():
    values = json.loads(NO_FACE.as_json())
    assert values["path"] == "wall.png"
    empty = ("face", "label", "branch", "score", "confidence")
    assert [values[key] for key in empty] == [None] * len(empty)
    assert NO_FACE.as_text() == "wall.png  no face"
    row = NO_FACE.as_row()
    assert set(row) < set(columns(VALENCE)) and not set(row) & {*predictor.BOX, *VALENCE.leaves}


@pytest.fixture
def greys(tmp_path, other_tree) -> list[Path]:
    """A crop for every leaf, of the brightness that stands for it."""
    values = np.linspace(0, 255, len(other_tree.leaves)).round()
    files = [tmp_path / f"{index}.png" for index in range(len(values))]
    for file, value in zip(files, values, strict=True):
        cv2.imwrite(str(file), np.full((48, 48), value, np.uint8))
    return files


@pytest.mark.parametrize("routing", ["soft", "hard"])
@pytest.mark.parametrize("labels_only", [False, True])
def test_labels_branches_and_columns_follow_the_tree(
    brightness, other_tree, greys, tmp_path, routing, labels_only
):
    stream = predict_stream(brightness(other_tree, routing), greys, labels_only=labels_only)
    predictions = list(stream)
    labels = [face.label for face in predictions]
    if routing == "soft" or labels_only:
        assert labels == list(other_tree.leaves)
    assert [face.branch for face in predictions] == [other_tree.branch_of(label) for label in labels]
    leaves = () if labels_only else other_tree.leaves
    assert all(tuple(json.loads(face.as_json())["probabilities"]) == leaves for face in predictions)
    target = tmp_path / "faces.csv"
    writers.write_csv(predictions, target, other_tree)
    lines = target.read_text().splitlines()
    assert lines[0] == ",".join(columns(other_tree)) and len(lines) == 1 + len(greys)


def test_below_the_minimum_confidence_the_likelier_branch_is_predicted(brightness, other_tree, greys):
    for face in predict_stream(brightness(other_tree), greys, min_confidence=1.0):
        weights = {
            branch: sum(face.probabilities[leaf] for leaf in leaves)
            for branch, leaves in other_tree.children.items()
        }
        assert face.label is None and face.branch == max(weights, key=weights.get)
        assert face.confidence == pytest.approx(weights[face.branch])


def test_a_batch_that_fails_is_answered_face_by_face(brightness, greys):
    class Picky(brightness):
        def predictions(self, X):
            if (X[:, 0, 0] == 255).any():
                raise RuntimeError("too bright")
            return super().predictions(X)

    *good, bad = predict_stream(Picky(VALENCE), greys)
    assert [face.path for face in good] == list(map(str, greys[:-1]))
    assert (
        isinstance(bad, SkippedImage)
        and bad.path == str(greys[-1])
        and isinstance(bad.__cause__, RuntimeError)
    )


@pytest.mark.parametrize("error", [RuntimeError("x"), MemoryError(), RecursionError(), cv2.error("x")])
def test_whatever_a_detector_raises_is_the_error_of_the_file(brightness, greys, error):
    def find(grey):
        if grey[0, 0] == 0:
            raise error
        return whole_image(grey)

    bad, *good = predict_stream(brightness(VALENCE), greys, find=find)
    assert isinstance(bad, SkippedImage) and str(greys[0]) in str(bad)
    assert (bad.__cause__ is None) == isinstance(error, MemoryError)
    assert [face.path for face in good] == list(map(str, greys[1:]))


ODD = "a\x1b[31m\n\r\x9b\u202e\u2066\udcff.png"


def test_control_characters_in_names_are_escaped_in_text_only():
    face = replace(NO_FACE, path=ODD)
    text = face.as_text()
    assert text.isprintable() and text.startswith(r"a\x1b[31m\n\r\x9b\u202e\u2066\udcff.png")
    assert json.loads(face.as_json())["path"] == ODD


def test_csv_quotes_any_name_and_guards_formulas_if_asked(tmp_path):
    paths = [
        "cr\rx.png",
        'q"uote.png',
        "line\nfeed",
        "=1+1.png",
        "+a",
        "-a",
        "@a",
        "\ta",
        "\ra",
        "plain",
        ODD,
    ]
    faces = [replace(NO_FACE, path=path) for path in paths]
    for safe in (False, True):
        target = tmp_path / f"{safe}.csv"
        writers.write_csv(faces, target, VALENCE, safe)
        with target.open(newline="", errors="surrogateescape") as file:
            rows = [row["path"] for row in csv.DictReader(file)]
        formulas = [path.startswith(writers.FORMULAS) for path in paths]
        assert rows == [
            f"'{path}" if safe and formula else path for path, formula in zip(paths, formulas, strict=True)
        ]
        assert b"\r\n" not in target.read_bytes()


def test_a_prediction_set_is_in_text_json_and_csv_only_where_it_was_asked_for(tmp_path):
    face = FacePrediction("a.png", None, None, None, None, None, {}, none="no face")
    found = replace(face, face=[0, 0, 9, 9], branch=VALENCE.branches[0], label=VALENCE.leaves[0])
    asked = replace(found, prediction_set=[VALENCE.leaves[0], VALENCE.branches[1]])
    assert asked.as_text() == f"{found.as_text()}  set: {VALENCE.leaves[0]}, {VALENCE.branches[1]}"
    assert asked.to_dict() == found.to_dict() | {"prediction_set": asked.prediction_set}
    jsonschema.validate(asked.to_dict(), face_schema())
    writers.write_csv([asked, face], tmp_path / "sets.csv", VALENCE, sets=True)
    with (tmp_path / "sets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["prediction_set"] for row in rows] == ["|".join(asked.prediction_set), ""]
    writers.write_csv([found], tmp_path / "none.csv", VALENCE)
    assert "prediction_set" not in (tmp_path / "none.csv").read_text()
    assert "prediction_set" in FacePredictions([found, asked], VALENCE).to_frame()
