"""Drawings hold frames, numbers, bars and heat maps, on images of any size and for any tree."""

import numpy as np
import pytest

from hierarchy.taxonomy import VALENCE, colour
from hierarchy.vision import cards, draw, labels
from hierarchy.vision.draw import GROUND, LARGEST, SMALLEST, Note, annotated, overlaid

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
    assert np.array_equal(np.asarray(annotated(picture, [])), picture)


def test_each_face_has_a_frame_and_bars_as_long_as_its_probabilities():
    picture = np.zeros((400, 800, 3), np.uint8)
    page = annotated(picture, [note(LEAVES[0]), note(LEAVES[1], (200, 200, 90, 90))])
    left = page.crop((0, 0, 800, 400))
    assert count(left, LEAVES[0]) > 200 and count(left, LEAVES[1]) > 200
    areas = [count(page, leaf) for leaf in LEAVES[2:]]
    assert areas == sorted(areas) and areas[0] > 0


@pytest.mark.parametrize("box", [(-10, -10, 400, 400), (-50, -50, 20, 20), (90, 90, 30, 30)])
def test_a_box_may_reach_over_the_border(box):
    annotated(np.zeros((100, 100, 3), np.uint8), [note(box=box)])


def test_a_small_crop_is_enlarged():
    page = annotated(np.zeros((48, 48, 3), np.uint8), [note(box=(0, 0, 48, 48))])
    assert max(page.size) > SMALLEST and page.getpixel((SMALLEST // 2, SMALLEST // 2)) == (0, 0, 0)


def test_bars_have_room_for_long_names_and_the_colours_of_the_tree(other_tree):
    shares = dict.fromkeys(other_tree.leaves, 1.0) | {"x" * 40: 1.0}
    for leaf in other_tree.leaves:
        face = Note((20, 100, 40, 50), leaf, leaf, shares)
        page = annotated(np.zeros((800, 800, 3), np.uint8), [face])
        assert count(page.crop((0, 0, 800, 800)), leaf) > 100
        bars = (np.asarray(page) == tuple(bytes.fromhex(colour("x" * 40)[1:]))).all(axis=-1)
        assert bars.any() and not bars[:, -10:].any()
        assert not np.array_equal(overlaid(np.zeros((200, 200, 3), np.uint8), [face]), 0)


def test_heat_is_orange_where_it_is_greatest_and_has_a_legend():
    heat = np.zeros((48, 48))
    heat[30:40, 20:30] = 0.4
    plain = annotated(np.zeros((400, 400, 3), np.uint8), [note()])
    page = annotated(np.zeros((400, 400, 3), np.uint8), [note(heat=heat)])

    def orange(image):
        pixels = np.asarray(image).astype(int)
        return (abs(pixels - (216, 97, 25)) < 20).all(axis=-1).sum()

    legend = annotated(np.zeros((400, 400, 3), np.uint8), [note(heat=-heat)])  # no place matters
    assert orange(page) - 300 > orange(legend) > orange(plain) + 50


def test_the_parts_of_a_face_are_named_below_its_heat_map():
    heat, picture = np.full((48, 48), 0.4), np.zeros((400, 400, 3), np.uint8)
    plain = annotated(picture, [note(heat=heat)])
    named = annotated(picture, [note(heat=heat, parts="mouth 61 %, brows 22 %")])
    assert named.height * named.width > plain.height * plain.width


def grid_of_faces(count, width, height, side):
    columns = round((count * width / height) ** 0.5)
    step = np.array([width / columns, height / -(-count // columns)])
    corners = [(step * divmod(place, columns)[::-1] + (step - side) / 2).round() for place in range(count)]
    picture = np.full((height, width, 3), 90, np.uint8)
    return picture, [note(LEAVES[i % 6], (*map(int, c), side, side)) for i, c in enumerate(corners)]


SCENES = [(1, 800, 600, 300), (6, 1600, 1000, 240), (24, 1600, 1100, 130), (60, 1920, 1200, 70)]


@pytest.mark.parametrize("scene", [*SCENES, (500, 4000, 3000, 60), (40, 640, 480, 60)])
def test_labels_cover_no_face_and_each_other(scene):
    picture, notes = grid_of_faces(*scene)
    faces = [labels.clipped(face.box, *scene[1:3]) for face in notes]
    _, placed = labels.labelled((0, 0, *scene[1:3]), faces, notes, draw.LEAST)
    boxes = np.array([*faces, *(label.box for label in placed if label)])
    over = (boxes[:, None, :2] < boxes[None, :, 2:]).all(axis=-1)
    over &= over.T
    assert over.sum() == len(boxes) and (boxes >= 0).all()
    assert placed.count(None) <= len(placed) // 10
    assert all(label.size >= draw.LEAST * labels.SCALES[-1] for label in placed if label)


def test_type_grows_with_the_face():
    sizes = [labels.type_size((0, 0, side, side), 12) for side in (20, 100, 150, 1000)]
    assert sizes == sorted(sizes) and sizes[0] == 12 < sizes[1] < sizes[2]


@pytest.mark.parametrize("scene", [*SCENES, (24, 640, 480, 60), (1, 512, 600, 200), (3, 2400, 400, 300)])
def test_a_page_is_filled(scene):
    page = annotated(*grid_of_faces(*scene))
    ground = (np.asarray(page) == tuple(bytes.fromhex(GROUND[1:]))).all(axis=-1).mean()
    assert ground < (0.2 if scene in SCENES else 0.3), f"{ground:.0%} of {page.size}"


def test_a_face_that_fills_its_picture_has_its_label_above_it():
    page = annotated(np.zeros((48, 96, 3), np.uint8), [note(box=(0, 0, 96, 48))])
    assert count(page.crop((0, 0, page.width, 60)), LEAVES[0]) > 500


def test_of_many_leaves_the_likeliest_are_shown_in_order():
    shares = {f"leaf {number}": number / 4950 for number in range(100)}
    rows = cards.shown(Note((0, 0, 9, 9), "", "leaf 99", shares))
    assert list(rows) == [f"leaf {number}" for number in range(100 - cards.ROWS, 100)]
    assert annotated(np.zeros((99, 99, 3), np.uint8), [Note((0, 0, 9, 9), "", "leaf 99", shares)])


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
