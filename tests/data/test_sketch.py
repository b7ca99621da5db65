"""Drawn faces are reproducible, in FER-2013's proportions, and their expressions are separable."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from hierarchy.data import loading
from hierarchy.data.audit import PUBLISHED
from hierarchy.data.dataset import SIDE, FaceDataset, Split
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.data.synthetic.action_units import MAX_NOISE, MIN_SHARE, SOMETIMES, STRENGTHS, Unit, actions
from hierarchy.data.synthetic.portrait import lids, opening, seam
from hierarchy.data.synthetic.sketch import RANGES, draw, sketch_faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, VALENCE

SAMPLES = Path(__file__).parents[2] / "samples"
AVERAGE = {name: (low + high) / 2 for name, (low, high) in RANGES.items()}


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return sketch_faces(1500, seed=3)


def full(name: str) -> dict[Unit, float]:
    """An expression at its full strength, nothing else moving."""
    return dict.fromkeys(Unit, 0.0) | STRENGTHS[name]


def test_same_seed_same_bits_and_another_seed_other_faces() -> None:
    first, again, other = sketch_faces(40, seed=5), sketch_faces(40, seed=5), sketch_faces(40, seed=6)
    for column in ("pixels", "label", "split", "row"):
        assert np.array_equal(getattr(first, column), getattr(again, column))
    assert not np.array_equal(first.pixels, other.pixels)


@pytest.mark.parametrize(
    ("n", "seed", "expected"), [(70, 0, "6c98d2b5c8748cb3"), (200, 1, "43e6a69501a099fa")]
)
def test_the_bits_are_those_of_every_stored_run(n: int, seed: int, expected: str) -> None:
    assert loading.fingerprint(sketch_faces(n, seed)) == expected


def test_a_face_depends_on_its_seed_row_and_expression_alone(faces: FaceDataset) -> None:
    fewer = sketch_faces(60, seed=3)
    same = np.flatnonzero(fewer.label == faces.label[:60])
    assert len(same) > 0
    assert np.array_equal(fewer.pixels[same], faces.pixels[same])


def test_no_two_faces_are_the_same_and_none_is_blank(faces: FaceDataset) -> None:
    flat = faces.pixels.reshape(len(faces), -1)
    assert len(np.unique(flat, axis=0)) == len(faces)
    assert flat.std(axis=1).min() > 8


def test_columns(faces: FaceDataset) -> None:
    assert faces.source == "sketch"
    assert faces.votes is None and faces.paths is None
    assert np.array_equal(faces.row, np.arange(len(faces)))
    assert (faces.label.dtype, faces.split.dtype, faces.row.dtype) == (np.int8, np.int8, np.int32)


def test_expressions_come_in_fer2013s_proportions(faces: FaceDataset) -> None:
    published = PUBLISHED[Split.Training.name]
    for code, name in enumerate(FER2013_NAMES):
        share = published[name] / sum(published.values())
        assert abs((faces.label == code).sum() - share * len(faces)) < 1


@pytest.mark.parametrize("n", [1, 2, 7, 13, 200])
def test_any_size_is_given_whole(n: int) -> None:
    assert len(sketch_faces(n)) == n


@pytest.mark.parametrize("n", [200, 300])
def test_every_split_holds_every_expression(n: int) -> None:
    counts = sketch_faces(n, seed=1).counts()
    assert min(counts[split.name][name] for split in Split for name in FER2013_NAMES) >= 1


def test_splits_are_eighty_ten_ten_of_each_expression_and_at_random(faces: FaceDataset) -> None:
    for code in range(len(FER2013_NAMES)):
        mine = faces.split[faces.label == code]
        for split, share in zip(Split, (0.8, 0.1, 0.1), strict=True):
            assert abs((mine == split).sum() - share * len(mine)) <= 1
    assert set(faces.split[:100]) == set(faces.split[-100:]) == set(Split)


@pytest.mark.parametrize(("n", "seed"), [(0, 0), (-3, 0), (5, -1)])
def test_impossible_sets_are_refused(n: int, seed: int) -> None:
    with pytest.raises(InputError, match=f"seed {seed}"):
        sketch_faces(n, seed)


def test_draw_takes_any_spelling_and_refuses_other_words() -> None:
    face = draw("happy", np.random.default_rng(1))
    assert (face.shape, face.dtype) == ((SIDE, SIDE), np.uint8)
    assert np.array_equal(face, draw(" Happiness", np.random.default_rng(1)))
    with pytest.raises(InputError, match="bored"):
        draw("bored", np.random.default_rng(1))


def test_action_unit_tables_have_every_expression_and_sane_values() -> None:
    assert set(STRENGTHS) == set(FER2013_NAMES) > set(SOMETIMES)
    for table in (STRENGTHS, SOMETIMES):
        assert all(0 < value <= 1 for units in table.values() for value in units.values())
    assert not STRENGTHS["neutral"] and "neutral" not in SOMETIMES
    assert len({tuple(sorted(units.items())) for units in STRENGTHS.values()}) == len(FER2013_NAMES)


@pytest.mark.parametrize("name", FER2013_NAMES)
def test_units_act_within_their_bounds(name: str) -> None:
    act = actions(name, np.random.default_rng(0))
    assert set(act) == set(Unit)
    for unit, strength in STRENGTHS[name].items():
        assert MIN_SHARE * strength <= act[unit] <= strength
    resting = set(Unit) - set(STRENGTHS[name]) - set(SOMETIMES.get(name, {}))
    assert all(0 <= act[unit] <= MAX_NOISE for unit in resting)


def test_units_move_the_mouth_the_way_they_are_named() -> None:
    corner = {
        name: seam(AVERAGE, full(name))[1][0] - seam(AVERAGE, full(name))[1][8] for name in FER2013_NAMES
    }
    width = {name: np.ptp(seam(AVERAGE, full(name))[0]) for name in FER2013_NAMES}
    height = {name: sum(edge.max() for edge in opening(full(name))) for name in FER2013_NAMES}
    assert corner["happy"] < -0.1 < corner["neutral"] < 0.1 < corner["sad"]  # y points down
    assert width["surprise"] < width["neutral"] < width["fear"]
    assert height["neutral"] == 0
    assert height["surprise"] / width["surprise"] > 2 * height["fear"] / width["fear"]


def test_units_move_the_lids_the_way_they_are_named() -> None:
    gap = {name: np.ptp(np.concatenate(lids(full(name)))) for name in FER2013_NAMES}
    assert max(gap["sad"], gap["happy"], gap["disgust"]) < gap["neutral"] < min(gap["fear"], gap["surprise"])


def test_expressions_can_be_told_apart_by_a_linear_rule(faces: FaceDataset) -> None:
    known, unseen = (
        faces.of(Split.Training).for_node(VALENCE, FLAT),
        faces.of(Split.PrivateTest).for_node(VALENCE, FLAT),
    )
    x, y = _features(known), np.eye(len(VALENCE.leaves))[known.target(VALENCE, FLAT)]
    weights = np.linalg.solve(x.T @ x + 30 * np.eye(x.shape[1]), x.T @ y)
    hits = (_features(unseen) @ weights).argmax(axis=1) == unseen.target(VALENCE, FLAT)
    assert hits.mean() > 0.6


def _features(faces: FaceDataset) -> np.ndarray:
    """Each face at half size, without its brightness and contrast."""
    small = faces.pixels.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4)).reshape(len(faces), -1)
    return (small - small.mean(axis=1, keepdims=True)) / small.std(axis=1, keepdims=True)


def test_the_samples_are_what_their_readme_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = re.search(r"```python\n(.*?)```", (SAMPLES / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    monkeypatch.chdir(tmp_path)
    exec(script.group(1), {})
    drawn = {path.name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in tmp_path.glob("*.png")}
    assert set(drawn) == {f"sketch_{name}.png" for name in FER2013_NAMES}
    for name, picture in drawn.items():
        stored = cv2.imread(str(SAMPLES / name), cv2.IMREAD_UNCHANGED)
        assert picture is not None and stored is not None and stored.shape == (SIDE, SIDE)
        assert np.abs(stored.astype(int) - picture).mean() < 1  # OpenCV's builds round differently
