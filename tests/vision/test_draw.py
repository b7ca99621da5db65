"""Drawings hold frames, numbers, bars and heat maps, on images of any size and for any tree."""

import numpy as np
import pytest

from hierarchy.taxonomy import VALENCE, colour
from hierarchy.vision.draw import LARGEST, LINE, SMALLEST, Note, annotated, overlaid

LEAVES = VALENCE.leaves
SHARES = {leaf: (index + 1) / 21 for index, leaf in enumerate(LEAVES)}
CROP = np.full((48, 48), 100, np.uint8)


def note(leaf=LEAVES[0], box=(20, 30, 40, 50), **more) -> Note:
    return Note(box, f"branch > {leaf}", leaf, SHARES, CROP, **more)


def count(page, name: str) -> int:
    """Number of pixels of a class' colour."""
    return int((np.asarray(page) == tuple(bytes.fromhex(colour(name)[1:]))).all(axis=-1).sum())


def test_an_image_without_faces_is_not_changed(rng):
    picture = rng.integers(0, 256, (400, 500, 3), np.uint8)
    page = np.asarray(annotated(picture, []))
    assert page.shape[0] == 400 and page.shape[1] > 500 and np.array_equal(page[:, :500], picture)


def test_each_face_has_a_frame_and_bars_as_long_as_its_probabilities():
    picture = np.zeros((400, 400, 3), np.uint8)
    page = annotated(picture, [note(LEAVES[0]), note(LEAVES[1], (200, 200, 90, 90))])
    left = page.crop((0, 0, 400, 400))
    assert count(left, LEAVES[0]) > 200 and count(left, LEAVES[1]) > 200
    panel = page.crop((400, 0, page.width, page.height))
    areas = [count(panel, leaf) for leaf in LEAVES[2:]]
    assert areas == sorted(areas) and areas[0] > 0
    assert page.height > 2 * LINE * (1 + len(LEAVES))


@pytest.mark.parametrize("box", [(-10, -10, 400, 400), (-50, -50, 20, 20), (90, 90, 30, 30)])
def test_a_box_may_reach_over_the_border(box):
    annotated(np.zeros((100, 100, 3), np.uint8), [note(box=box)])


def test_a_small_crop_is_enlarged():
    page = annotated(np.zeros((48, 48, 3), np.uint8), [note(box=(0, 0, 48, 48))])
    assert page.width > SMALLEST and page.getpixel((SMALLEST - 10, 5)) == (0, 0, 0)


def test_bars_have_room_for_long_names_and_the_colours_of_the_tree(other_tree):
    shares = dict.fromkeys(other_tree.leaves, 1.0) | {"x" * 40: 1.0}
    for leaf in other_tree.leaves:
        face = Note((20, 30, 40, 50), leaf, leaf, shares)
        page = annotated(np.zeros((400, 400, 3), np.uint8), [face])
        assert count(page.crop((0, 0, 400, 400)), leaf) > 100
        bars = (np.asarray(page)[:, 400:] == tuple(bytes.fromhex(colour("x" * 40)[1:]))).all(axis=-1)
        assert bars.any() and not bars[:, -10:].any()
        assert not np.array_equal(overlaid(np.zeros((200, 200, 3), np.uint8), [face]), 0)


def test_heat_is_red_where_it_is_greatest():
    heat = np.zeros((48, 48))
    heat[30:40, 20:30] = 0.4
    plain = annotated(np.zeros((400, 400, 3), np.uint8), [note()])
    page = annotated(np.zeros((400, 400, 3), np.uint8), [note(heat=heat)])
    assert page.height >= plain.height

    def red(image):
        panel = np.asarray(image).astype(int)[:, 400:]
        return (panel[..., 0] - panel[..., 1] > 60).sum()

    assert red(page) > red(plain) + 500
    annotated(np.zeros((400, 400, 3), np.uint8), [note(heat=-heat)])  # no place matters


@pytest.mark.parametrize("box", [(20, 30, 40, 50), (-10, -10, 400, 400), (95, 95, 30, 30), (0, 0, 0, 0)])
def test_a_video_frame_is_drawn_on_a_copy_of_the_same_shape(rng, box):
    picture = rng.integers(0, 256, (120, 160, 3), np.uint8)
    before = picture.copy()
    drawn = overlaid(picture, [Note(box, "1  branch > leaf", LEAVES[0], SHARES)])
    assert drawn.shape == picture.shape and np.array_equal(picture, before)
    assert not np.array_equal(drawn, picture)
    assert np.array_equal(overlaid(picture, []), picture)


@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1), (763, 30_000), (30_000, 763)])
def test_a_page_is_bounded_whatever_the_sides_of_the_image(shape):
    notes = [note(box=(0, 0, *shape[::-1])), *[note(box=(0, 0, 1, 1))] * 300]
    page = annotated(np.zeros((*shape, 3), np.uint8), notes)
    assert page.height <= LARGEST and page.width < 2 * LARGEST
    assert count(page, LEAVES[0]) > 0
