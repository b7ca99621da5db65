"""A person keeps a number while seen, and answers change smoothly."""

import numpy as np
import pytest

from hierarchy import routing
from hierarchy.taxonomy import BRANCHES, LEAVES, branch_of
from hierarchy.vision.align import DetectedFace
from hierarchy.vision.tracker import LOST, SMOOTHING, Tracker, watch
from hierarchy.vision.video import Frame

PICTURE = np.zeros((8, 8, 3), np.uint8)


def says(pixels):
    """Leaf number pixels[0,0], nearly sure."""
    joint = np.full((len(pixels), len(LEAVES)), 0.01)
    joint[np.arange(len(pixels)), pixels[:, 0, 0]] = 1
    return routing.from_flat(joint / joint.sum(1, keepdims=True))


def shown(*places):
    """A finder of faces at (x, y, leaf)."""
    faces = [DetectedFace([x, y, 40, 40], 0.9, np.full((48, 48), leaf, np.uint8)) for x, y, leaf in places]
    return lambda grey: faces


@pytest.fixture
def see():
    """Shows faces at a time to one tracker, and gives what it saw."""
    tracker = Tracker(shown(), says)

    def seen(now, *places):
        tracker.find = shown(*places)
        return tracker(PICTURE, now)

    return seen


def test_a_face_that_moves_a_little_keeps_its_number(see):
    numbers = [see(step / 25, (5 * step, 3, 0))[0].track for step in range(20)]
    assert numbers == [1] * 20


def test_two_faces_keep_theirs_whichever_is_found_first(see):
    assert [face.track for face in see(0.0, (0, 0, 0), (100, 0, 1))] == [1, 2]
    later = see(0.1, (101, 0, 1), (1, 0, 0))
    assert [(face.track, face.face.box[0]) for face in later] == [(1, 1), (2, 101)]


def test_one_that_comes_from_elsewhere_or_after_long_is_another(see):
    see(0.0, (0, 0, 0))
    assert see(0.1, (200, 0, 0))[0].track == 2
    assert see(0.1 + 0.9 * LOST, (0, 0, 0))[0].track == 1
    assert see(3.0 + LOST, (0, 0, 0))[0].track == 3


def test_nobody_is_no_fault(see):
    assert see(0.0) == [] and see(0.1) == []


def test_an_answer_turns_smoothly_by_the_time_that_passed(see):
    first = see(0.0, (0, 0, 0))[0]
    assert first.label == LEAVES[0] and first.branch == branch_of(LEAVES[0])
    turned = see(SMOOTHING, (0, 0, 3))[0]
    kept = np.exp(-1)
    np.testing.assert_allclose(
        turned.probabilities,
        kept * first.probabilities + (1 - kept) * says(np.full((1, 48, 48), 3)).joint[0],
    )
    assert turned.probabilities.sum() == pytest.approx(1)
    assert turned.label == LEAVES[3] and turned.branch == branch_of(LEAVES[3]) in BRANCHES


def test_halves_of_a_time_smooth_as_the_whole(see):
    other = Tracker(shown((0, 0, 0)), says)
    see(0.0, (0, 0, 0)), other(PICTURE, 0.0)
    other.find = shown((0, 0, 3))
    whole = see(0.4, (0, 0, 3))[0]
    other(PICTURE, 0.2)
    np.testing.assert_allclose(other(PICTURE, 0.4)[0].probabilities, whole.probabilities)


def test_without_smoothing_every_frame_is_for_itself():
    tracker = Tracker(shown((0, 0, 0)), says, smoothing=0)
    tracker(PICTURE, 0.0)
    tracker.find = shown((0, 0, 5))
    np.testing.assert_array_equal(
        tracker(PICTURE, 0.01)[0].probabilities, says(np.full((1, 48, 48), 5)).joint[0]
    )


def test_a_camera_that_begins_anew_is_another_video(see):
    for now in (100.0, 0.0, 0.1):
        (face,) = see(now, (0, 0, 0))
        assert face.track == (1 if now == 100 else 2)
        assert sum(face.shares.values()) == pytest.approx(1) and min(face.shares.values()) >= 0


def test_a_thousand_persons_leave_nothing_behind(see):
    for number in range(1000):
        (face,) = see(number * 0.1, (1000 * number, 0, 0))
    assert face.track == 1000
    tracker = see.__closure__[0].cell_contents
    assert len(tracker.tracks) <= LOST / 0.1 + 1


def test_between_two_looks_the_faces_stay():
    looks = []

    def find(grey):
        looks.append(grey)
        return shown((0, 0, 0))(grey)

    frames = [Frame(number, number / 25, PICTURE) for number in range(7)]
    told = list(watch(frames, Tracker(find, says), every=3))
    assert len(looks) == 3 and [looked for *_, looked in told] == [True, False, False] * 2 + [True]
    assert all(len(seen) == 1 for _, seen, _ in told)
