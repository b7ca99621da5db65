"""Picture folders: split and label by folder name, whatever the spelling, order and size."""

import cv2
import numpy as np
import pytest

from hierarchy.data.dataset import Split
from hierarchy.data.formats import FER2013_NAMES, image_folder
from hierarchy.errors import InputError


def picture(path, seed: int = 0, side: int = 48) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image_folder.png(pixels))
    return pixels


def read(folder):
    return image_folder.read(image_folder.sources(folder))


def test_split_and_expression_by_name(tmp_path):
    first = picture(tmp_path / "test" / "Anger" / "b.png", 1)
    second = picture(tmp_path / "train" / "happiness" / "a.PNG", 2)
    third = picture(tmp_path / "Val" / "sad" / "c.png", 3)
    picture(tmp_path / "cache" / "sad" / "d.png")
    (tmp_path / "train" / "happiness" / "notes.txt").write_text("no picture")
    faces = read(tmp_path)
    found = dict(zip(faces.paths, range(3), strict=True))
    assert set(found) == {"test/Anger/b.png", "train/happiness/a.PNG", "Val/sad/c.png"}
    order = [found[path] for path in ("test/Anger/b.png", "train/happiness/a.PNG", "Val/sad/c.png")]
    assert (faces.pixels[order] == np.stack([first, second, third])).all()
    assert [FER2013_NAMES[label] for label in faces.label[order]] == ["angry", "happy", "sad"]
    assert faces.split[order].tolist() == [Split.PrivateTest, Split.Training, Split.PublicTest]
    assert faces.source == f"{tmp_path.name}/"


def test_any_size_and_jpeg(tmp_path):
    picture(tmp_path / "train" / "fear" / "a.png", side=100)
    file = tmp_path / "train" / "fear" / "b.jpg"
    cv2.imwrite(str(file), np.full((30, 20, 3), 99, np.uint8))
    faces = read(tmp_path)
    assert faces.pixels.shape == (2, 48, 48)
    assert abs(int(faces.pixels[1].mean()) - 99) <= 1


def test_validation_is_carved_out_of_train_where_there_is_none(tmp_path):
    for number in range(18):
        picture(tmp_path / "train" / "happy" / f"{number}.png", number)
    picture(tmp_path / "test" / "happy" / "99.png")
    faces = read(tmp_path)
    assert [(faces.split == split).sum() for split in Split] == [16, 2, 1]
    assert (faces.split == read(tmp_path).split).all()


def test_numbers_as_names_are_the_rows(tmp_path):
    picture(tmp_path / "train" / "sad" / "10.png", 1)
    nine = picture(tmp_path / "train" / "sad" / "9.png", 2)
    picture(tmp_path / "test" / "happy" / "11.png", 3)
    faces = read(tmp_path)
    assert faces.row.tolist() == [9, 10, 11]
    assert (faces.pixels[0] == nine).all()


def test_a_number_given_twice_is_no_row(tmp_path):
    for split in ("train", "test"):
        picture(tmp_path / split / "sad" / "10.png", 1)
    assert read(tmp_path).row.tolist() == [0, 1]


def test_an_empty_split_is_named(tmp_path):
    picture(tmp_path / "train" / "sad" / "1.png")
    (tmp_path / "test" / "sad").mkdir(parents=True)
    with pytest.raises(InputError, match="test: "):
        image_folder.sources(tmp_path)


@pytest.mark.parametrize("stray", ["a.png", "sad/deep/a.png", "sad/deep/er/a.png"])
def test_a_picture_without_an_expression_is_named(tmp_path, stray):
    picture(tmp_path / "train" / "sad" / "1.png")
    (tmp_path / "train" / stray).parent.mkdir(parents=True, exist_ok=True)
    picture(tmp_path / "train" / stray)
    with pytest.raises(InputError, match=f"train/{stray}: "):
        image_folder.sources(tmp_path)


def test_other_names_are_the_data_sets_own(tmp_path):
    for number, name in enumerate(("Bored", "happiness", "Anger")):
        picture(tmp_path / "train" / name / f"{number}.png", number)
    faces = read(tmp_path)
    assert (faces.names, faces.label.tolist()) == (("anger", "bored", "happiness"), [1, 2, 0])


def test_linked_folders_are_read(tmp_path):
    picture(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "sad").symlink_to(tmp_path / "elsewhere")
    assert len(read(tmp_path / "data")) == 1


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden"])
def test_a_name_that_cannot_be_a_folder_is_not_written(tmp_path, random_faces, name):
    with pytest.raises(InputError, match=name):
        image_folder.write(random_faces(3, names=(name, "sad")), tmp_path)


def test_a_bad_picture_is_named(tmp_path):
    picture(tmp_path / "train" / "sad" / "1.png")
    (tmp_path / "train" / "sad" / "2.png").write_bytes(b"")
    with pytest.raises(InputError, match="2.png: "):
        read(tmp_path)


def test_linked_folders_hold_an_expression_and_loops_end(tmp_path):
    """Ten links that lead back would make 10 ** 40 paths."""
    pixels = picture(tmp_path / "faces" / "a.png")
    picture(tmp_path / "data" / "train" / "sad" / "b.png", 1)
    (tmp_path / "data" / "train" / "happy").symlink_to(tmp_path / "faces")
    for number in range(10):
        (tmp_path / "faces" / f"loop{number}").symlink_to(tmp_path / "data")
    faces = read(tmp_path / "data")
    assert faces.paths.tolist() == ["train/happy/a.png", "train/sad/b.png"]
    assert (faces.pixels[0] == pixels).all()


def test_a_link_to_nothing_is_named(tmp_path):
    picture(tmp_path / "train" / "sad" / "a.png")
    (tmp_path / "train" / "sad" / "b.png").symlink_to("nowhere")
    with pytest.raises(InputError, match="b.png: "):
        read(tmp_path)
