"""Scenes have faces at their boxes, and windows are labelled by how much of a face they show."""

import cv2
import numpy as np
import pytest

from hierarchy.errors import InputError
from hierarchy.vision import synthetic_scenes
from hierarchy.vision.boxes import overlap
from hierarchy.vision.synthetic_scenes import FAR, HEIGHT, MOST, NEAR, SIZES, WIDTH, WINDOW, Scene

GROUND = np.full((200, 300), 100, np.uint8)


@pytest.fixture(scope="module")
def some():
    faces = np.full((5, 48, 48), 250, np.uint8)
    return list(synthetic_scenes.scenes(faces, [GROUND], 60, 0))


def test_faces_are_at_the_boxes(some):
    counts = {len(scene.boxes) for scene in some}
    assert counts == set(range(MOST + 1))
    for scene in some:
        assert scene.picture.shape == (HEIGHT, WIDTH) and scene.picture.dtype == np.uint8
        for x, y, side, same in scene.boxes:
            assert SIZES[0] <= side == same <= SIZES[1] and min(x, y) >= 0
            assert (
                scene.picture[y + side // 4 : y + 3 * side // 4, x + side // 4 : x + 3 * side // 4].mean()
                > 220
            )
        assert np.count_nonzero(overlap(scene.boxes, scene.boxes)) == len(scene.boxes)


def test_the_same_seed_gives_the_same_scenes(some):
    again = list(synthetic_scenes.scenes(np.full((5, 48, 48), 250, np.uint8), [GROUND], 60, 0))
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(some, again, strict=True))


def test_windows_are_near_a_face_or_far_from_all(some, rng):
    pixels, label = map(
        np.concatenate, zip(*(synthetic_scenes.windows(scene, rng, 6, 40) for scene in some), strict=True)
    )
    assert pixels.shape[1:] == (WINDOW, WINDOW) and 0.1 < label.mean() < 0.5
    middle = pixels[:, 8:16, 8:16].mean((1, 2))
    assert (middle[label] > 200).all() and FAR < NEAR


def test_an_empty_scene_has_no_positive_window(rng):
    empty = Scene(np.full((HEIGHT, WIDTH), 9, np.uint8), np.zeros((0, 4), int))
    pixels, label = synthetic_scenes.windows(empty, rng, 6, 40)
    assert len(pixels) == len(label) > 0 and not label.any()


def test_a_photograph_is_split_into_halves_for_training_and_scoring(tmp_path):
    picture = np.zeros((40, 60), np.uint8)
    picture[:, 30:] = 200
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    train, scored = (
        synthetic_scenes.backgrounds(tmp_path, False),
        synthetic_scenes.backgrounds(tmp_path, True),
    )
    assert train[-1].shape == scored[-1].shape == (40, 30)
    assert (train[-1] == 0).all() and (scored[-1] == 200).all()
    assert (
        synthetic_scenes.names(tmp_path) == [*synthetic_scenes.names(None), "a.png"]
        and len(synthetic_scenes.names(None)) == 2
    )


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        synthetic_scenes.backgrounds(tmp_path, False)


def test_overlap_is_intersection_over_union():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [50, 50, 1, 1], [0, 0, 0, 0]])
    shared = overlap(boxes, boxes)
    np.testing.assert_allclose(np.diag(shared), [1, 1, 1, 0])
    assert shared[0, 1] == pytest.approx(50 / 150) and shared[0, 2] == 0
    np.testing.assert_array_equal(shared, shared.T)
