"""The cache returns exactly what a reader returned, and its own faults are ignored."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy.data import cache
from hierarchy.data.dataset import COLUMNS, Origin, Split


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "source.csv"
    file.write_text("one")
    return file


def never():
    raise AssertionError("parsed again")


def test_the_second_time_nothing_is_parsed(source, random_faces):
    votes = np.ones((9, 10), np.float32)
    paths = np.array([f"train/ä/{i}.png" for i in range(9)])
    faces = random_faces(9, names=("angry", "müde"))
    origin = np.where(faces.split == Split.Training, Origin.generated, Origin.real).astype(np.int8)
    faces = replace(faces, votes=votes, paths=paths, origin=origin)
    assert cache.through([source], lambda: faces) is faces
    again = cache.through([source], never)
    for column in COLUMNS:
        assert (getattr(again, column) == getattr(faces, column)).all()
        assert getattr(again, column).dtype == getattr(faces, column).dtype
    assert (again.source, again.names) == (faces.source, faces.names)


def test_absent_columns_stay_absent(source, random_faces):
    cache.through([source], lambda: random_faces(3))
    again = cache.through([source], never)
    assert again.votes is None and again.paths is None


def test_a_changed_source_is_parsed_anew(source, random_faces):
    cache.through([source], lambda: random_faces(3))
    source.write_text("three")
    assert len(cache.through([source], lambda: random_faces(4))) == 4


def test_an_added_source_is_parsed_anew(source, tmp_path, random_faces):
    cache.through([source], lambda: random_faces(3))
    (tmp_path / "votes.csv").write_text("votes")
    assert len(cache.through([source, tmp_path / "votes.csv"], lambda: random_faces(4))) == 4


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"PK" * 99]
)
def test_a_damaged_cache_is_replaced(source, random_faces, own_home, damage):
    cache.through([source], lambda: random_faces(3))
    (file,) = (own_home / "cache").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert len(cache.through([source], lambda: random_faces(5))) == 5
    assert len(cache.through([source], never)) == 5


def test_a_flipped_pixel_in_the_cache_is_noticed(source, random_faces, own_home):
    cache.through([source], lambda: random_faces(3))
    (file,) = (own_home / "cache").iterdir()
    data = bytearray(file.read_bytes())
    data[3000] ^= 1
    file.write_bytes(bytes(data))
    assert len(cache.through([source], lambda: random_faces(5))) == 5


def test_a_cache_that_cannot_be_written_is_no_error(source, random_faces, tmp_path, monkeypatch):
    monkeypatch.setenv("FER2013_CACHE", str(source / "below a file"))
    assert len(cache.through([source], lambda: random_faces(3))) == 3


def test_nothing_but_whole_files_is_left(source, random_faces, own_home):
    cache.through([source], lambda: random_faces(3))
    assert [file.suffix for file in (own_home / "cache").iterdir()] == [".npz"]


def test_the_folder_is_data_cache_unless_told(monkeypatch, tmp_path):
    monkeypatch.delenv("FER2013_CACHE")
    monkeypatch.setenv("HIERARCHY_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "data" / "cache"
