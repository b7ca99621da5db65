from dataclasses import replace

import numpy as np
import pytest

from hierarchy.config import recipes
from hierarchy.config.schema import AugmentConfig
from hierarchy.models.augmentation import Augmentation
from hierarchy.training.sampler import mixup

NOTHING = AugmentConfig(flip=False, rotation=0.0, scale=0.0, shift=0.0)


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (64, 48, 48), dtype=np.uint8)


def run(strengths, pixels, seed=0, training=True):
    return np.asarray(Augmentation(strengths, seed)(pixels, training=training))


def test_faces_are_left_alone_outside_training(pixels):
    np.testing.assert_array_equal(run(recipes.FULL.augment, pixels, training=False), pixels)


def test_strength_zero_changes_nothing(pixels):
    np.testing.assert_array_equal(run(NOTHING, pixels), pixels)


def test_the_same_seed_gives_the_same_faces_and_another_seed_others(pixels):
    strong = recipes.FULL.augment
    first = run(strong, pixels, seed=1)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, run(strong, pixels, seed=1))
    assert (first != run(strong, pixels, seed=2)).any()


def test_about_half_the_faces_are_mirrored_and_none_otherwise_changed(pixels):
    flipped = run(replace(NOTHING, flip=True), pixels)
    mirrored = (flipped == pixels[:, :, ::-1]).all(axis=(1, 2))
    kept = (flipped == pixels).all(axis=(1, 2))
    assert (mirrored ^ kept).all()
    assert 16 < mirrored.sum() < 48


def test_shift_moves_the_face_and_repeats_its_border(pixels):
    moved = run(replace(NOTHING, shift=0.2), np.full_like(pixels, 77))
    np.testing.assert_array_equal(moved, 77)
    assert (run(replace(NOTHING, shift=0.2), pixels) != pixels).any(axis=(1, 2)).all()


def test_rotation_turns_about_the_centre():
    disc = np.zeros((1, 48, 48), np.uint8)
    row, column = np.mgrid[:48, :48] - 23.5
    disc[0][row**2 + column**2 < 15**2] = 200
    turned = run(replace(NOTHING, rotation=45.0), disc).astype(int)
    assert np.abs(turned - disc).mean() < 3  # a disc stays a disc


@pytest.mark.parametrize("strengths", [{"brightness": 0.3}, {"contrast": 0.3}])
def test_light_changes_grey_levels_face_by_face(strengths):
    faces = np.tile(np.linspace(90, 160, 48).astype(np.uint8), (64, 48, 1))
    lit = run(replace(NOTHING, **strengths), faces).astype(int)
    change = lit - faces
    assert len(np.unique(change[:, 0, 0])) > 5
    assert (np.diff(lit[:, 0], axis=1) >= 0).all()  # the order of grey levels stays


def test_erasing_paints_one_rectangle_on_the_given_share_of_faces():
    faces = np.tile(np.arange(48, dtype=np.uint8) * 5, (200, 48, 1))
    changed = run(replace(NOTHING, erasing=0.5), faces) != faces
    touched = changed.any(axis=(1, 2))
    assert 60 < touched.sum() < 140
    assert 0.01 < changed[touched].mean() < 0.3


def test_mixup_blends_faces_and_targets_alike(pixels):
    classes = 5
    targets = np.eye(classes, dtype=np.float32)[np.arange(64) % classes]
    order = np.roll(np.arange(64), 1)
    blended, mixed = mixup(pixels, targets, 0.75, order)
    np.testing.assert_allclose(blended, 0.75 * pixels + 0.25 * pixels[order], atol=0.5)
    np.testing.assert_allclose(mixed.sum(axis=1), 1)
    assert mixed[1, 1] == 0.75 and mixed[1, 0] == 0.25
