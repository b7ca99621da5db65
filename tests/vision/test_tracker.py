"""A face keeps its track while visible, and its probabilities change smoothly."""

import numpy as np
import pytest

from hierarchy import routing
from hierarchy.taxonomy import VALENCE
from hierarchy.vision.align import DetectedFace
from hierarchy.vision.tracker import LOST, SMOOTHING, Tracker, track
from hierarchy.vision.video import AHEAD_PIXELS, Frame

PICTURE = np.zeros((8, 8, 3), np.uint8)
LEAVES = VALENCE.leaves


def predictions(pixels, tree=VALENCE):
    """Confident predictions of leaf number pixels[0,0]."""
    joint = np.full((len(pixels), len(tree.leaves)), 0.01)
    joint[np.arange(len(pixels)), pixels[:, 0, 0]] = 1
    return routing.from_flat(tree, joint / joint.sum(1, keepdims=True))


def shown(*places):
    """A detector of faces at (x, y, leaf)."""
    faces = [DetectedFace([x, y, 40, 40], 0.9, np.full((48, 48), leaf, np.uint8)) for x, y, leaf in places]
    return lambda grey: faces


@pytest.fixture
def see():
    """Shows faces at a time to one tracker, in `see.tracker`, and returns the tracked faces."""
    tracker = Tracker(shown(), predictions)

    def tracked(now, *places):
        tracker.find = shown(*places)
        return tracker(PICTURE, now)

    tracked.tracker = tracker
    return tracked


def test_a_face_that_moves_a_little_keeps_its_number(see):
    numbers = [see(step / 25, (5 * step, 3, 0))[0].track for step in range(20)]
    assert numbers == [1] * 20


def test_two_faces_keep_their_numbers_in_any_order(see):
    assert [face.track for face in see(0.0, (0, 0, 0), (100, 0, 1))] == [1, 2]
    later = see(0.1, (101, 0, 1), (1, 0, 0))
    assert [(face.track, face.face.box[0]) for face in later] == [(1, 1), (2, 101)]


def test_a_distant_or_late_face_starts_a_new_track(see):
    see(0.0, (0, 0, 0))
    assert see(0.1, (200, 0, 0))[0].track == 2
    assert see(0.1 + 0.9 * LOST, (0, 0, 0))[0].track == 1
    assert see(3.0 + LOST, (0, 0, 0))[0].track == 3


def test_frames_without_faces_are_empty(see):
    assert see(0.0) == [] and see(0.1) == []


def test_predictions_are_smoothed_by_elapsed_time(see):
    first = see(0.0, (0, 0, 0))[0]
    assert first.label == LEAVES[0] and first.branch == VALENCE.branch_of(LEAVES[0])
    turned = see(SMOOTHING, (0, 0, 3))[0]
    weight = np.exp(-1)
    np.testing.assert_allclose(
        turned.probabilities,
        weight * first.probabilities + (1 - weight) * predictions(np.full((1, 48, 48), 3)).joint[0],
    )
    assert turned.probabilities.sum() == pytest.approx(1)
    assert turned.label == LEAVES[3] and turned.branch == VALENCE.branch_of(LEAVES[3])


def test_smoothing_does_not_depend_on_the_frame_rate(see):
    other = Tracker(shown((0, 0, 0)), predictions)
    see(0.0, (0, 0, 0)), other(PICTURE, 0.0)
    other.find = shown((0, 0, 3))
    whole = see(0.4, (0, 0, 3))[0]
    other(PICTURE, 0.2)
    np.testing.assert_allclose(other(PICTURE, 0.4)[0].probabilities, whole.probabilities)


def test_without_smoothing_frames_are_independent():
    tracker = Tracker(shown((0, 0, 0)), predictions, smoothing=0)
    tracker(PICTURE, 0.0)
    tracker.find = shown((0, 0, 5))
    np.testing.assert_array_equal(
        tracker(PICTURE, 0.01)[0].probabilities, predictions(np.full((1, 48, 48), 5)).joint[0]
    )


def test_an_earlier_time_starts_new_tracks(see):
    for now in (100.0, 0.0, 0.1):
        (face,) = see(now, (0, 0, 0))
        assert face.track == (1 if now == 100 else 2)
        assert sum(face.shares.values()) == pytest.approx(1) and min(face.shares.values()) >= 0


def test_ended_tracks_are_removed(see):
    for number in range(1000):
        (face,) = see(number * 0.1, (1000 * number, 0, 0))
    assert face.track == 1000
    assert len(see.tracker.last) <= LOST / 0.1 + 1


def test_labels_and_shares_follow_the_tree(other_tree):
    for place, leaf in enumerate(other_tree.leaves):
        tracker = Tracker(shown((0, 0, place)), lambda pixels: predictions(pixels, other_tree))
        (face,) = tracker(PICTURE, 0.0)
        assert face.label == leaf and face.branch == other_tree.branch_of(leaf)
        assert tuple(face.shares) == other_tree.leaves


def test_skipped_frames_repeat_the_faces():
    calls = []

    def find(grey):
        calls.append(grey)
        return shown((0, 0, 0))(grey)

    frames = [Frame(number, number / 25, PICTURE) for number in range(7)]
    tracked = list(track(frames, Tracker(find, predictions), frame_step=3))
    assert len(calls) == 3 and [due for *_, due in tracked] == [True, False, False] * 2 + [True]
    assert all(len(faces) == 1 for _, faces, _ in tracked)


def clip(frames):
    """Frames with a face each that moves and changes, except every fifth, and a detector that finds it."""
    pictures = [np.full((8, 8, 3), number, np.uint8) for number in range(frames)]

    def find(grey):
        number = int(grey[0, 0])
        return shown((3 * number, 0, number // 4))(grey) if number % 5 else []

    return [Frame(number, number / 25, picture) for number, picture in enumerate(pictures)], find


def told(tracked):
    """What can be compared of frames and their faces."""
    return [
        (frame.number, due, [(face.track, face.face.box, face.probabilities.tolist()) for face in faces])
        for frame, faces, due in tracked
    ]


@pytest.mark.parametrize("frame_step", [1, 3])
@pytest.mark.parametrize("together", [2, 4, 8])
def test_frames_answered_together_have_the_faces_of_each_by_itself(together, frame_step):
    frames, find = clip(21)
    alone = told(track(frames, Tracker(find, predictions), frame_step))
    assert told(track(frames, Tracker(find, predictions), frame_step, together)) == alone
    assert [number for number, *_ in alone] == list(range(21)) and sum(len(faces) for *_, faces in alone) > 10


def test_the_nets_answer_frames_in_one_call():
    frames, find = clip(16)
    calls = []
    tracker = Tracker(find, lambda pixels: calls.append(len(pixels)) or predictions(pixels))
    list(track(frames, tracker, together=8))
    assert sum(calls) == 12 and len(calls) == 2


def test_a_frame_by_itself_is_answered_before_the_next_is_taken():
    frames, find = clip(3)
    taken = []
    answers = track((taken.append(frame) or frame for frame in frames), Tracker(find, predictions))
    next(answers)
    assert len(taken) == 1


def test_large_frames_do_not_wait_for_others():
    """However small the first frame of the video was."""
    picture = np.broadcast_to(np.uint8(0), (1500, 4000, 3))
    taken = []
    frames = (taken.append(number) or Frame(number, number / 25, picture) for number in range(9))
    for frame, *_ in track(frames, Tracker(lambda grey: [], predictions), together=8):
        assert len(taken) - frame.number <= 2 * AHEAD_PIXELS // (1500 * 4000) + 1


@pytest.mark.parametrize("together", [1, 8])
def test_the_frames_before_an_error_of_the_source_are_answered(together):
    frames, find = clip(11)

    def source():
        yield from frames
        raise OSError("unplugged")

    seen = []
    with pytest.raises(OSError, match="unplugged"):
        for frame, *_ in track(source(), Tracker(find, predictions), together=together):
            seen.append(frame.number)
    assert seen == list(range(11))
