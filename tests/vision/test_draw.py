"""What is drawn is there: frames, numbers, bars and heat, in pictures of any size."""

import numpy as np
import pytest

from hierarchy.colours import COLOURS
from hierarchy.taxonomy import LEAVES
from hierarchy.vision.draw import PANEL, SMALLEST, Note, annotated, overlaid

SHARES = {leaf: (index + 1) / 21 for index, leaf in enumerate(LEAVES)}
CROP = np.full((48, 48), 100, np.uint8)


def note(leaf=LEAVES[0], box=(20, 30, 40, 50), **more) -> Note:
    return Note(box, f"branch > {leaf}", leaf, SHARES, CROP, **more)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def count(page, colour: str) -> int:
    return int((np.asarray(page) == rgb(colour)).all(axis=-1).sum())


def test_a_picture_without_faces_is_shown_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
    page = np.asarray(annotated(picture, []))
    assert page.shape == (400, 500 + PANEL, 3) and np.array_equal(page[:, :500], picture)


def test_each_face_has_a_frame_and_bars_as_long_as_its_shares():
    picture = np.zeros((400, 400, 3), np.uint8)
    page = annotated(picture, [note(LEAVES[0]), note(LEAVES[1], (200, 200, 90, 90))])
    left = page.crop((0, 0, 400, 400))
    assert count(left, COLOURS[LEAVES[0]]) > 200 and count(left, COLOURS[LEAVES[1]]) > 200
    panel = page.crop((400, 0, 400 + PANEL, page.height))
    areas = [count(panel, COLOURS[leaf]) for leaf in LEAVES[2:]]
    assert areas == sorted(areas) and areas[0] > 0
    assert page.height > 2 * 18 * (1 + len(LEAVES))


@pytest.mark.parametrize("box", [(-10, -10, 400, 400), (-50, -50, 20, 20), (90, 90, 30, 30)])
def test_a_box_over_the_border_is_no_fault(box):
    annotated(np.zeros((100, 100, 3), np.uint8), [note(box=box)])


def test_a_small_crop_is_enlarged():
    page = annotated(np.zeros((48, 48, 3), np.uint8), [note(box=(0, 0, 48, 48))])
    assert page.width - PANEL >= SMALLEST


def test_heat_is_red_where_it_is_greatest():
    heat = np.zeros((48, 48))
    heat[30:40, 20:30] = 0.4
    plain = annotated(np.zeros((400, 400, 3), np.uint8), [note()])
    page = np.asarray(annotated(np.zeros((400, 400, 3), np.uint8), [note(heat=heat)])).astype(int)
    assert page.shape[0] >= plain.height
    red = page[..., 0] - page[..., 1] > 60
    assert (
        red[:, 400:].sum()
        > (np.asarray(plain).astype(int)[:, 400:, 0] - np.asarray(plain).astype(int)[:, 400:, 1] > 60).sum()
        + 500
    )
    annotated(np.zeros((400, 400, 3), np.uint8), [note(heat=-heat)])  # nothing mattered


@pytest.mark.parametrize("box", [(20, 30, 40, 50), (-10, -10, 400, 400), (95, 95, 30, 30), (0, 0, 0, 0)])
def test_on_a_frame_of_a_video_the_answer_is_drawn_and_nothing_else_changes(box):
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    before = picture.copy()
    drawn = overlaid(picture, [Note(box, "1  branch > leaf", LEAVES[0], SHARES)])
    assert drawn.shape == picture.shape and np.array_equal(picture, before)
    assert not np.array_equal(drawn, picture)
    assert np.array_equal(overlaid(picture, []), picture)
