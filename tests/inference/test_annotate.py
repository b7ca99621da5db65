"""`predict --save`: a picture for each picture, the answers unchanged, heat maps where they are asked for."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.formats import registry
from hierarchy.errors import InputError
from hierarchy.inference import annotate
from hierarchy.inference.predictor import answers
from hierarchy.taxonomy import FLAT, NODES


@pytest.fixture
def model(tiny_run) -> HierarchicalClassifier:
    return HierarchicalClassifier.load("tiny")


@pytest.fixture
def pictures(few_sketches, tmp_path) -> list[Path]:
    files = [tmp_path / folder / "face.png" for folder in ("one", "two")]
    for file, pixels in zip(files, few_sketches.pixels, strict=False):
        file.parent.mkdir()
        cv2.imwrite(str(file), pixels)
    return files


def test_pictures_of_the_same_name_are_numbered_and_answers_pass_unchanged(model, pictures, tmp_path):
    found = list(answers(model, pictures))
    assert list(annotate.saved(iter(found), tmp_path / "drawn")) == found
    assert sorted(file.name for file in (tmp_path / "drawn").iterdir()) == ["face-2.png", "face.png"]


def test_no_two_pictures_share_a_drawing(model, few_sketches, tmp_path):
    files = [tmp_path / name for name in ("a.png", "x/a.png", "y/a-2.png")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), few_sketches.pixels[0])
    list(annotate.saved(answers(model, files), tmp_path / "drawn"))
    drawn = sorted(file.name for file in (tmp_path / "drawn").iterdir())
    assert drawn == ["a-2-2.png", "a-2.png", "a.png"]


def test_only_drawings_are_drawn_anew(model, pictures, few_sketches, tmp_path):
    """A folder may hold originals of the same names as the pictures that are drawn."""
    original = tmp_path / "kept" / "face.png"
    original.parent.mkdir()
    cv2.imwrite(str(original), few_sketches.pixels[5])
    before = original.read_bytes()
    with pytest.raises(InputError, match=r"face.png: was not drawn by --save and stays; name another"):
        list(annotate.saved(answers(model, pictures), original.parent))
    assert original.read_bytes() == before and list(original.parent.iterdir()) == [original]
    for _ in range(2):
        list(annotate.saved(answers(model, pictures), tmp_path / "drawn"))
    assert len(list((tmp_path / "drawn").iterdir())) == 2


def test_a_hash_in_a_name_makes_no_row_of_a_picture(model, pictures, tmp_path):
    picture = pictures[0].rename(tmp_path / "face#1.png")
    list(annotate.saved(answers(model, [picture]), tmp_path / "drawn"))
    assert (tmp_path / "drawn" / "face#1.png").is_file()


@pytest.mark.parametrize("floor", [0.0, 1.0])
@pytest.mark.parametrize("nodes", [NODES, (FLAT,)])
def test_heat_makes_the_page_another(model, pictures, tmp_path, nodes, floor):
    model.nets_ = {node: model.nets_[node] for node in nodes}
    found = list(answers(model, pictures[:1], floor))
    for name, asked in (("plain", None), ("heat", model)):
        list(annotate.saved(found, tmp_path / name, asked))
    plain, heat = (np.asarray(Image.open(tmp_path / name / "face.png")) for name in ("plain", "heat"))
    assert plain.shape != heat.shape or not np.array_equal(plain, heat)


def test_rows_of_a_data_file_are_passed_on(model, few_sketches, tmp_path):
    folder = registry.export(few_sketches.take(np.arange(5)), tmp_path / "data", "csv")
    found = list(answers(model, sorted(folder.iterdir())[:1]))
    assert list(annotate.saved(found, tmp_path / "drawn")) == found
    assert len(found) == 5 and not (tmp_path / "drawn").exists()


def test_a_folder_that_cannot_be_written_is_refused(model, pictures):
    with pytest.raises(InputError, match="cannot be written"):
        list(annotate.saved(answers(model, pictures), pictures[1]))
