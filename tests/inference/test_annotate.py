"""`predict --save`: a drawing for each image, predictions unchanged, heat maps if requested."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hierarchy.data.formats import registry
from hierarchy.errors import InputError, SkippedImage
from hierarchy.inference import annotate, occlusion
from hierarchy.inference.predictor import FacePrediction, predict_stream
from hierarchy.taxonomy import ROUTER, VALENCE
from hierarchy.vision import draw


@pytest.fixture
def model(brightness):
    return brightness(VALENCE)


@pytest.fixture
def pictures(few_sketches, tmp_path) -> list[Path]:
    files = [tmp_path / folder / "face.png" for folder in ("one", "two")]
    for file, pixels in zip(files, few_sketches.pixels, strict=False):
        file.parent.mkdir()
        cv2.imwrite(str(file), pixels)
    return files


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_images_of_the_same_name_are_numbered_and_predictions_pass_unchanged(model, pictures, tmp_path):
    predictions = list(predict_stream(model, pictures))
    assert list(annotate.saved(iter(predictions), tmp_path / "drawn")) == predictions
    assert names(tmp_path / "drawn") == ["face-2.png", "face.png"]


def test_no_two_images_share_a_drawing(model, few_sketches, tmp_path):
    files = [tmp_path / name for name in ("a.png", "x/a.png", "y/a-2.png")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), few_sketches.pixels[0])
    list(annotate.saved(predict_stream(model, files), tmp_path / "drawn"))
    assert names(tmp_path / "drawn") == ["a-2-2.png", "a-2.png", "a.png"]


def test_only_drawings_are_overwritten(model, pictures, few_sketches, tmp_path):
    """A folder may hold originals of the same names as the images that are drawn."""
    original = tmp_path / "originals" / "face.png"
    original.parent.mkdir()
    cv2.imwrite(str(original), few_sketches.pixels[5])
    before = original.read_bytes()
    first, error, second = annotate.saved(predict_stream(model, pictures), original.parent)
    assert [first.path, second.path] == list(map(str, pictures))
    assert isinstance(error, SkippedImage) and str(original) in str(error)
    assert original.read_bytes() == before and names(original.parent) == ["face-2.png", "face.png"]
    for _ in range(2):
        list(annotate.saved(predict_stream(model, pictures), tmp_path / "drawn"))
    assert len(names(tmp_path / "drawn")) == 2


def test_an_image_with_a_hash_in_its_name_is_drawn(model, pictures, tmp_path):
    picture = pictures[0].rename(tmp_path / "face#1.png")
    list(annotate.saved(predict_stream(model, [picture]), tmp_path / "drawn"))
    assert (tmp_path / "drawn" / "face#1.png").is_file()


@pytest.mark.parametrize("min_confidence", [0.0, 1.0])
def test_heat_maps_are_drawn(model, pictures, tmp_path, min_confidence):
    predictions = list(predict_stream(model, pictures[:1], min_confidence))
    for name, source in (("plain", None), ("heat", model)):
        list(annotate.saved(predictions, tmp_path / name, source))
    plain, heat = (np.asarray(Image.open(tmp_path / name / "face.png")) for name in ("plain", "heat"))
    assert plain.shape != heat.shape or not np.array_equal(plain, heat)


def test_the_heat_map_is_of_the_deciding_net(brightness, other_tree, monkeypatch):
    """That is the specialist, but the router for a branch of one leaf or below the minimum confidence."""
    calls = []
    monkeypatch.setattr(
        occlusion,
        "occlusion",
        lambda model, node, column, pixels: calls.append((node, column)) or np.zeros((48, 48)),
    )
    crop = np.zeros((48, 48), np.uint8)
    for place, (branch, leaves) in enumerate(other_tree.children.items()):
        for label in (*leaves, None):
            face = FacePrediction("a.png", [0, 0, 48, 48], None, branch, label, 1.0, {}, crop)
            note = annotate.note(face, brightness(other_tree))
            assert note.name == (label or branch)
            special = label is not None and len(leaves) > 1
            assert calls.pop() == ((branch, leaves.index(label)) if special else (ROUTER, place))


def test_rows_of_a_data_file_are_not_drawn(model, few_sketches, tmp_path):
    folder = registry.export(few_sketches.take(np.arange(5)), tmp_path / "data", "csv")
    predictions = list(predict_stream(model, sorted(folder.iterdir())[:1]))
    assert list(annotate.saved(predictions, tmp_path / "drawn")) == predictions
    assert len(predictions) == 5 and not (tmp_path / "drawn").exists()


def test_a_folder_that_cannot_be_written_is_refused(model, pictures):
    with pytest.raises(InputError, match=str(pictures[1])):
        list(annotate.saved(predict_stream(model, pictures), pictures[1]))


def test_a_picture_that_cannot_be_drawn_is_an_error_beside_its_prediction(
    model, pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr(draw, "annotated", lambda *_: 1 / 0)
    first, error, *rest = annotate.saved(
        predict_stream(model, [*pictures, tmp_path / "no.png"]), tmp_path / "drawn"
    )
    assert first.path == str(pictures[0]) and error.path == first.path
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert [each.path for each in rest] == [*[str(pictures[1])] * 2, str(tmp_path / "no.png")]


@pytest.mark.parametrize("stem", ["x" * 250, "日" * 83])
def test_the_longest_names_are_drawn(model, pictures, tmp_path, stem):
    files = [
        pictures[0].rename(tmp_path / f"{stem}.png"),
        pictures[1].rename(tmp_path / "two" / f"{stem}.png"),
    ]
    results = list(annotate.saved(predict_stream(model, files), tmp_path / "drawn"))
    assert [result.path for result in results] == list(map(str, files))
    assert len(names(tmp_path / "drawn")) == 2


def test_a_drawing_is_not_drawn_over_itself(model, pictures, tmp_path):
    list(annotate.saved(predict_stream(model, pictures), tmp_path / "drawn"))
    before = (tmp_path / "drawn" / "face.png").read_bytes()
    for link in (tmp_path / "drawn", tmp_path / "linked"):
        link.exists() or link.symlink_to("drawn")
        *_, error = annotate.saved(predict_stream(model, [link / "face.png"]), tmp_path / "drawn")
        assert isinstance(error, SkippedImage) and "face.png" in str(error)
    assert (tmp_path / "drawn" / "face.png").read_bytes() == before
