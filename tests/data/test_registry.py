"""All formats are read back as written, recognised in a folder, and refused in one line."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierarchy.data.dataset import SKETCH, UNLABELLED, FaceDataset, Split
from hierarchy.data.formats import ferplus, image_folder, registry
from hierarchy.errors import InputError

READABLE = ("csv", "icml", "parquet", "folders")  # a round trip keeps all columns
VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def same(left: FaceDataset, right: FaceDataset) -> bool:
    columns = ("pixels", "label", "split", "row")
    return all(np.array_equal(getattr(left, column), getattr(right, column)) for column in columns)


def with_every_split(faces: FaceDataset) -> FaceDataset:
    """A folder without validation would have some carved out, so that each split needs a face."""
    faces.split[:3] = list(Split)
    return faces


def votes_for(faces: FaceDataset) -> str:
    names = ["" if row % 3 == 1 else f"fer{row:07d}.png" for row in range(len(faces))]
    rows = zip(faces.split, names, strict=True)
    return VOTES + "".join(f"{Split(split).name},{name},8,0,0,0,0,0,0,0,0,2\n" for split, name in rows)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("first", READABLE)
@pytest.mark.parametrize("second", READABLE)
def test_round_trip(tmp_path, random_faces, first, second, seed):
    faces = with_every_split(random_faces(3 + 7 * seed, seed))
    once = registry.read(registry.export(faces, tmp_path / "once", first))
    twice = registry.read(registry.export(once, tmp_path / "twice", second))
    assert same(faces, once) and same(faces, twice)
    assert same(faces, registry.read(tmp_path / "once")), "the cache gave something else"


@pytest.mark.parametrize("first", READABLE)
@pytest.mark.parametrize("second", READABLE)
def test_round_trip_of_other_names(tmp_path, random_faces, first, second):
    names = ("anger", "contempt", "müde", "very happy")
    faces = with_every_split(random_faces(12, names=names))
    once = registry.read(registry.export(faces, tmp_path / "once", first))
    twice = registry.read(registry.export(once, tmp_path / "twice", second))
    assert same(faces, once) and same(faces, twice)
    assert once.names == twice.names == names == registry.read(tmp_path / "once").names


def test_a_file_is_read_as_the_folder_that_holds_it(tmp_path, random_faces):
    faces = with_every_split(random_faces(5))
    for layout, name in (
        ("csv", "fer2013.csv"),
        ("icml", "icml_face_data.csv"),
        ("parquet", "faces.parquet"),
    ):
        registry.export(faces, tmp_path / layout, layout)
        assert same(faces, registry.read(str(tmp_path / layout / name)))


def test_the_order_of_preference(tmp_path, random_faces):
    names = {
        "csv": "fer2013.csv",
        "icml": "icml_face_data.csv",
        "train": "train.csv",
        "parquet": "faces.parquet",
        "folders": f"{tmp_path.name}/",
    }
    for layout in ("csv", "icml", "parquet", "folders"):
        registry.export(with_every_split(random_faces(4)), tmp_path / "one" / layout, layout)
        for entry in (tmp_path / "one" / layout).iterdir():
            entry.rename(tmp_path / entry.name)
    (tmp_path / "train.csv").write_text("emotion,pixels\n0," + "7 " * 2304)
    for name in names.values():
        assert registry.read(tmp_path).source == name
        if not name.endswith("/"):
            (tmp_path / name).unlink()


def test_train_and_test_files_are_one_set(tmp_path):
    face = "5 " * 2304
    (tmp_path / "train.csv").write_text("emotion,pixels\n" + f"3,{face}\n" * 9)
    (tmp_path / "test.csv").write_text(f"pixels\n{face}\n{face}\n")
    faces = registry.read(tmp_path)
    assert [(faces.split == split).sum() for split in Split] == [8, 1, 2]
    assert faces.label.tolist() == [3] * 9 + [-1] * 2
    assert faces.row.tolist() == list(range(11))
    assert faces.source == "train.csv and test.csv"


@pytest.mark.parametrize("layout", READABLE)
def test_the_challenge_keeps_what_it_says(tmp_path, random_faces, layout):
    whole = with_every_split(random_faces(30))
    faces = registry.read(registry.export(whole, tmp_path / "whole", layout))
    again = registry.read(registry.export(faces, tmp_path / "challenge", "challenge"))
    held_out = faces.split == Split.PrivateTest
    kept = np.concatenate([np.flatnonzero(~held_out), np.flatnonzero(held_out)])
    assert np.array_equal(again.pixels, faces.pixels[kept])
    assert np.array_equal(again.split == Split.PrivateTest, held_out[kept])
    assert np.array_equal(again.label, np.where(held_out, UNLABELLED, faces.label)[kept])
    assert again.row.tolist() == list(range(30))


def test_the_challenge_takes_unlabelled_test_rows_only(tmp_path, random_faces):
    faces = with_every_split(random_faces(4))
    hidden = replace(faces, label=np.where(faces.split == Split.PrivateTest, UNLABELLED, faces.label))
    target = registry.export(hidden, tmp_path / "out", "challenge")
    assert (target / "test.csv").read_text().startswith("pixels\n")
    assert (target / "train.csv").read_text().startswith("emotion,pixels\n")
    with pytest.raises(InputError, match=r"row \d .*parquet"):
        registry.export(hidden, tmp_path / "no", "parquet")
    with pytest.raises(InputError, match="row 0 .*challenge"):
        registry.export(replace(faces, label=np.full(4, UNLABELLED)), tmp_path / "no", "challenge")


@pytest.mark.parametrize("split", [Split.Training, Split.PrivateTest])
def test_a_challenge_of_one_part_is_one_file(tmp_path, random_faces, split):
    faces = replace(random_faces(3), split=np.full(3, split, np.int8))
    target = registry.export(faces, tmp_path / "out", "challenge")
    assert os.listdir(target) == ["test.csv" if split == Split.PrivateTest else "train.csv"]
    assert len(registry.read(target)) == 3


def test_drawn_faces_stay_known_for_drawn(tmp_path, random_faces):
    faces = replace(with_every_split(random_faces(3)), source=SKETCH)
    once = registry.read(registry.export(faces, tmp_path / "csv", "csv"))
    twice = registry.read(registry.export(once, tmp_path / "parquet", "parquet"))
    assert (once.source, twice.source) == ("sketch.csv", "sketch.parquet")
    assert once.drawn and twice.drawn and same(faces, once) and same(faces, twice)
    assert registry.read(tmp_path / "csv" / "sketch.csv").drawn


@pytest.mark.parametrize("layout", READABLE)
def test_photographs_in_a_folder_called_sketch_are_not_drawn(tmp_path, random_faces, layout):
    faces = registry.export(with_every_split(random_faces(3)), tmp_path / SKETCH, layout)
    assert not registry.read(faces).drawn


def test_votes_beside_the_csv_are_attached(tmp_path, random_faces):
    faces = random_faces(6)
    folder = registry.export(faces, tmp_path / "data", "csv")
    assert registry.read(folder).votes is None
    (folder / "fer2013new.csv").write_text(votes_for(faces))
    for path in (folder, folder / "fer2013.csv"):
        votes = registry.read(path).votes
        assert votes.tolist() == [[8, 0, 0, 0, 0, 0, 0, 0, 0, 2]] * 6


def test_ferplus_folders(tmp_path, random_faces):
    faces = with_every_split(random_faces(9))
    names = tmp_path / "fer2013new.csv"
    names.write_text(votes_for(faces))
    target = registry.export(faces, tmp_path / "out", "ferplus", names)
    found = {path.name for path in target.rglob("*.png")}
    assert found == {f"fer{row:07d}.png" for row in range(9) if row % 3 != 1}
    lines = (target / "FER2013Train" / "label.csv").read_text().splitlines()
    assert lines[0] == "fer0000000.png,8,0,0,0,0,0,0,0,0,2"
    assert image_folder.png(faces.pixels[0]) == (target / "FER2013Train" / "fer0000000.png").read_bytes()
    assert (target / "FER2013Valid").is_dir() and (target / "FER2013Test" / "label.csv").is_file()


def test_ferplus_needs_the_names_of_these_faces(tmp_path, random_faces):
    faces = with_every_split(random_faces(4))
    with pytest.raises(InputError, match="fer2013new.csv"):
        registry.export(faces, tmp_path / "out", "ferplus")
    (tmp_path / "fer2013new.csv").write_text(votes_for(random_faces(2)))
    with pytest.raises(InputError, match="fer2013new.csv: .*random"):
        registry.export(faces, tmp_path / "out", "ferplus", tmp_path / "fer2013new.csv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["fer2013new.csv"], "something half-written"


def test_export_refuses_a_target_in_use(tmp_path, random_faces):
    (tmp_path / "out").mkdir()
    registry.export(random_faces(2), tmp_path / "out", "csv")
    before = (tmp_path / "out" / "fer2013.csv").read_bytes()
    for target in (tmp_path / "out", tmp_path / "out" / "fer2013.csv"):
        with pytest.raises(InputError, match=str(target)):
            registry.export(random_faces(3), target, "parquet")
    assert (tmp_path / "out" / "fer2013.csv").read_bytes() == before


def test_export_refuses_faces_without_labels_and_unknown_layouts(tmp_path, random_faces):
    faces = replace(random_faces(2), label=np.array([3, -1], np.int8))
    with pytest.raises(InputError, match="row 1"):
        registry.export(faces, tmp_path / "out", "csv")
    with pytest.raises(InputError, match="'zip'.*csv, icml, challenge, parquet, folders, ferplus"):
        registry.export(faces, tmp_path / "out", "zip")
    assert not (tmp_path / "out").exists()


def test_an_export_that_fails_leaves_nothing(tmp_path, random_faces, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="out: .*No space left on device"):
        registry.export(random_faces(2), tmp_path / "out", "folders")
    assert not list(tmp_path.iterdir())


def test_nothing_readable_is_one_line_that_lists_the_layouts(tmp_path):
    for path in (tmp_path, tmp_path / "x"):
        with pytest.raises(InputError) as refusal:
            registry.read(path)
        assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)


def test_find(tmp_path, random_faces, monkeypatch):
    monkeypatch.delenv("FER2013_DIR", raising=False)
    monkeypatch.setenv("HIERARCHY_HOME", str(tmp_path))
    assert registry.find(None) is None
    (tmp_path / "data" / "cache").mkdir(parents=True)
    assert registry.find(None) is None, "a cache is no data set"
    registry.export(random_faces(2), tmp_path / "other", "csv")
    (tmp_path / "other" / "fer2013.csv").rename(tmp_path / "data" / "fer2013.csv")
    assert registry.find(None) == tmp_path / "data"
    variable = registry.export(random_faces(2), tmp_path / "variable", "parquet")
    monkeypatch.setenv("FER2013_DIR", str(variable))
    assert registry.find(None) == variable
    argument = registry.export(random_faces(2), tmp_path / "argument", "icml")
    assert registry.find(str(argument)) == argument


def test_find_refuses_a_place_that_holds_nothing(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="nowhere"):
        registry.find(str(tmp_path / "nowhere"))
    monkeypatch.setenv("FER2013_DIR", str(tmp_path))
    with pytest.raises(InputError, match="FER2013_DIR: "):
        registry.find(None)


def test_a_csv_needs_numpy_alone(tmp_path, random_faces):
    registry.export(random_faces(3), tmp_path / "data", "csv")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('cv2', 'PIL', 'pandas', 'pyarrow')));"
        "from hierarchy.data.formats import registry; print(len(registry.read(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "3\n"


@pytest.mark.real_data
def test_fer2013_itself(fer2013):
    assert [(fer2013.split == split).sum() for split in Split] == [28709, 3589, 3589]
    assert sum(fer2013.counts()["PrivateTest"].values()) - fer2013.counts()["PrivateTest"]["disgust"] == 3534
    again = registry.read(os.environ["FER2013_DIR"])
    assert same(fer2013, again) and np.array_equal(fer2013.votes, again.votes)


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
def test_a_pipe_is_refused_unopened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    if name == "x.parquet":
        with pytest.raises(InputError, match=f"{name}: not a file"):
            registry.read(tmp_path)
    for read in (registry.read, lambda path: list(registry.faces(path)), ferplus.read):
        with pytest.raises(InputError, match=f"{name}: "):
            read(tmp_path / name)


def test_a_name_with_control_characters_is_escaped(tmp_path, random_faces):
    registry.export(random_faces(20), tmp_path / "a\nb\x1b", "folders")
    assert registry.read(tmp_path / "a\nb\x1b").source == r"a\nb\x1b/"


def test_names_that_no_record_can_hold_are_refused(tmp_path, random_faces):
    registry.export(random_faces(20), tmp_path / "\udcff", "folders")
    with pytest.raises(InputError, match=r"\\udcff.*: expected a name in UTF-8"):
        registry.read(tmp_path / "\udcff")
