"""Faces are loaded from the named place, else the variable, data/, a download, or drawn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.data import download, loading
from hierarchy.data.dataset import SKETCH, FaceDataset
from hierarchy.data.formats import registry
from hierarchy.errors import InputError
from hierarchy.taxonomy import TREES, VALENCE, Tree


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(loading, "SKETCHES", 8)


@pytest.fixture
def offline(monkeypatch) -> list:
    """No connection; the list holds the folders that a download was tried for."""
    tried = []

    def get(target):
        tried.append(target)
        raise InputError("Kaggle is out of reach: no connection")

    monkeypatch.setattr(download, "get", get)
    return tried


@pytest.fixture
def places(tmp_path, own_home, random_faces, monkeypatch) -> dict[str, str]:
    """The same faces but for their number in every place that is looked at."""
    folders = {"named": tmp_path / "named", "variable": tmp_path / "variable", "default": own_home / "data"}
    for count, folder in enumerate(folders.values(), start=3):
        registry.export(random_faces(count), folder, "csv")
    monkeypatch.setenv("FER2013_DIR", str(folders["variable"]))
    return {name: str(folder) for name, folder in folders.items()}


def test_the_nearest_place_wins(places, monkeypatch, offline, logged):
    for read in (loading.labelled_faces, loading.training_faces):
        monkeypatch.setenv("FER2013_DIR", places["variable"])
        assert len(read(places["named"])) == 3
        assert len(read(None)) == 4
        monkeypatch.delenv("FER2013_DIR")
        assert len(read(None)) == 5
    assert not logged.messages and not offline, "nothing to say, nothing to download"


def test_sketches_are_drawn_for_the_word_alone(places):
    assert loading.labelled_faces(SKETCH).source == SKETCH
    assert len(loading.labelled_faces(SKETCH)) == 8
    assert loading.labelled_faces(places["named"]).source == "fer2013.csv"


def test_no_place_no_faces():
    with pytest.raises(InputError, match="--data") as refusal:
        loading.labelled_faces(None)
    assert "\n" not in str(refusal.value)


def test_offline_training_falls_back_to_sketches_and_says_so(own_home, offline, logged):
    faces = loading.training_faces(None)
    assert faces.source == SKETCH and len(faces) == 8
    assert offline == [own_home / "data"]
    assert len(logged.messages) == 2 and "Kaggle" in logged.messages[0] and "sketches" in logged.messages[1]


def test_training_takes_what_the_download_brings(own_home, random_faces, monkeypatch, logged):
    monkeypatch.setattr(download, "get", lambda target: registry.export(random_faces(5), target, "csv"))
    assert len(loading.training_faces(None)) == 5
    assert not logged.messages


@pytest.mark.parametrize("place", ["named", "variable"])
def test_a_wrong_place_is_an_error_and_no_reason_to_draw(place, tmp_path, monkeypatch, offline):
    nowhere = str(tmp_path / "nowhere")
    if place == "variable":
        monkeypatch.setenv("FER2013_DIR", nowhere)
    with pytest.raises(InputError, match=nowhere):
        loading.training_faces(nowhere if place == "named" else None)
    assert not offline


def random(seed: int, count: int = 4) -> FaceDataset:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (count, 48, 48), dtype=np.uint8)
    label, split = generator.integers(0, 3, (2, count)).astype(np.int8)
    return FaceDataset(pixels, label, split, np.arange(count, dtype=np.int32))


@given(some.integers(0, 99), some.data())
def test_the_fingerprint_changes_with_any_pixel_label_or_split(seed, data):
    faces = random(seed)
    column = data.draw(some.sampled_from(["pixels", "label", "split"]))
    changed = getattr(faces, column).copy()
    place = data.draw(some.integers(0, changed.size - 1))
    changed.reshape(-1)[place] += 1  # uint8 wraps around: still another value
    assert loading.fingerprint(replace(faces, **{column: changed})) != loading.fingerprint(faces)


@given(some.integers(0, 99))
def test_the_fingerprint_is_of_the_faces_and_not_of_their_place(seed):
    faces = random(seed)
    elsewhere = replace(faces, source="moved", pixels=np.asfortranarray(faces.pixels))
    assert loading.fingerprint(elsewhere) == loading.fingerprint(faces)
    assert len(loading.fingerprint(faces)) == 16
    assert loading.fingerprint(faces.take(np.arange(3))) != loading.fingerprint(faces)


@pytest.mark.parametrize("tree", TREES.values(), ids=str)
def test_a_description_counts_what_the_tree_leaves_out(few_sketches, tree):
    about = loading.describe(few_sketches, tree)
    assert about["left_out"] == few_sketches.left_out(tree)
    assert about["origins"] == {"sketch": len(few_sketches)}
    assert about["fingerprint"] == "6c98d2b5c8748cb3", "stored runs name their data by this"
    assert sum(sum(split.values()) for split in about["counts"].values()) == len(few_sketches)


def test_faces_without_a_leaf_are_logged_in_one_line(random_faces, logged):
    faces = replace(
        random_faces(6, names=("bored", "happy", "rage")), label=np.array([0, 0, 1, 2, 1, 0], np.int8)
    )
    loading.report_left_out(faces, VALENCE)
    (message,) = logged.messages
    assert "bored 3, rage 1" in message
    loading.report_left_out(faces, Tree({"low": ("bored",), "high": ("joy", "rage")}))
    assert len(logged.messages) == 1, "nothing is left out"


def test_faces_without_any_leaf_are_refused(random_faces):
    with pytest.raises(InputError, match="random: .*negative: angry, fear, sad"):
        loading.report_left_out(random_faces(6, names=("bored", "rage")), VALENCE)


@pytest.mark.real_data
def test_fer2013s_fingerprint(fer2013):
    assert loading.fingerprint(fer2013) == "745e42947b1e14d9"
