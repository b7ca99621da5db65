"""Parts of a face in words: where they are, what is summed, and that covering the named one costs most."""

from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from hierarchy import routing
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import Split
from hierarchy.data.images import SIDE
from hierarchy.errors import InputError
from hierarchy.inference import explanation
from hierarchy.inference.explanation import PARTS, explain, explained, mask, shares, words
from hierarchy.inference.occlusion import GREY
from hierarchy.inference.output_schema import face_schema
from hierarchy.inference.predictor import FacePrediction
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.vision.align import LANDMARKS, aligned

FACES, WINDOWS = 200, 5  # faces, and random windows that the named part of each is compared with
CROP = np.full((SIDE, SIDE), 90, np.uint8)
FACE = FacePrediction("a.png", [0, 0, 9, 9], None, VALENCE.branches[0], VALENCE.leaves[0], 0.5, {}, CROP)


def test_parts_are_disjoint_and_in_their_places():
    masks = {name: mask(name) for name in PARTS}
    assert max(np.sum(list(masks.values()), axis=0).ravel()) == 1
    middle = {name: np.argwhere(where).mean(axis=0) for name, where in masks.items()}
    heights = [middle[name][0] for name in ("brows", "eyes", "nose", "mouth")]
    assert heights == sorted(heights)
    (left, right), (_, nose), mouth = LANDMARKS[:2], LANDMARKS[1:3], LANDMARKS[3:].mean(axis=0)
    for name, (x, y) in (("eyes", left), ("eyes", right), ("nose", nose), ("mouth", mouth)):
        assert masks[name][round(y), round(x)]


def test_parts_follow_landmarks_and_stay_in_the_crop():
    lower = LANDMARKS + [0, 5]
    assert np.array_equal(mask("mouth", lower)[5:], mask("mouth")[:-5])
    for wild in (LANDMARKS * 100, LANDMARKS * 0, -LANDMARKS, LANDMARKS[::-1]):
        assert all(mask(name, wild).shape == (SIDE, SIDE) for name in PARTS)


def test_a_detector_gives_landmarks_in_the_crop(rng):
    grey = rng.integers(0, 256, (200, 200), np.uint8)
    face = aligned(grey, np.array([20.0, 20, 90, 100]), 0.9, (2 * LANDMARKS + 30).ravel())
    np.testing.assert_allclose(face.landmarks, LANDMARKS, atol=1e-6)
    assert aligned(grey, np.array([20.0, 20, 90, 100]), 0.9).landmarks is None


@pytest.mark.parametrize("part", PARTS)
def test_shares_are_of_all_drops(part):
    heat = np.where(mask(part), 1.0, -1.0)
    assert shares(heat) == {name: float(name == part) for name in PARTS}
    heat[0, 0] = mask(part).sum()  # elsewhere
    assert shares(heat)[part] == pytest.approx(0.5)
    assert set(shares(np.zeros((SIDE, SIDE))).values()) == {0.0}


def test_words_name_the_largest_shares():
    assert words({"nose": 0.22, "mouth": 0.61, "eyes": 0.04}) == "mouth 61 %, nose 22 %"
    assert words(dict.fromkeys(PARTS, 0.0)) == "no part"


def test_text_and_json_have_the_explanation(brightness):
    model, error = brightness(VALENCE), InputError("no")
    known = replace(FACE, landmarks=LANDMARKS)
    none = FacePrediction("b.png", None, None, None, None, None, {})
    first, second, *others = explained([FACE, known, error, none], model)
    assert others == [error, none] and explain(first, model) is first
    assert str(first.explanation) in first.as_text() and "usual" in first.as_text()
    assert "usual" not in second.as_text()
    plain = second.to_dict()["explanation"]
    assert (plain["node"], plain["class"]) == (VALENCE.branches[0], VALENCE.leaves[0])
    assert plain["landmarks"] and list(plain["parts"]) == list(PARTS)
    jsonschema.validate(second.to_dict(), face_schema())
    assert "explanation" not in FACE.to_dict() and "explanation" not in first.as_row()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.real_data
def test_covering_the_named_part_costs_more_than_a_window_of_its_size(fer2013, monkeypatch):
    """Of the shipped run on faces of PublicTest; the windows of a part are moved to random places."""
    monkeypatch.delenv("HIERARCHY_HOME")
    model, draw = HierarchicalClassifier.load(), np.random.default_rng(0)
    faces = fer2013.of(Split.PublicTest).for_node(model.tree_, FLAT)
    chosen = draw.choice(len(faces), FACES, replace=False)
    predicted = model.read(list(faces.pixels[chosen]), faces="whole")
    costs = np.array([cost(explain(face, model), model, draw) for face in predicted])
    gain = costs[:, 0] - costs[:, 1]
    assert gain.mean() > 4 * gain.std() / FACES**0.5
    assert np.mean(gain > 0) > 0.6


def cost(face, model, draw) -> tuple[float, float]:
    """Drop of the explained probability with the named part covered, and mean drop with moved windows."""
    why = face.explanation
    part = max(why.parts, key=why.parts.get)
    places = [mask(part), *(moved(part, draw) for _ in range(WINDOWS))]
    covered = np.stack([face.crop, *(np.where(place, np.uint8(GREY), face.crop) for place in places)])
    column = model.tree_.classes_of(why.node).index(why.name)
    probability = routing.softmax(model.logits(why.node, covered))[:, column]
    drops = probability[0] - probability[1:]
    return drops[0], drops[1:].mean()


def moved(part, draw) -> np.ndarray:
    """The windows of a part, each at a random place of the crop."""
    where = np.zeros((SIDE, SIDE), bool)
    for window in PARTS[part]:
        rows, columns = np.nonzero(own(window))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        top, left = draw.integers(SIDE - height + 1), draw.integers(SIDE - width + 1)
        where[top : top + height, left : left + width] = True
    return where


def own(window) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(explanation.PARTS, "window", (window,))
        return mask("window")
