"""The audit finds the faults of a small data set, and agrees with FER-2013's published counts."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy.data.audit import COLUMNS, PUBLISHED, Audit, as_table, audit, leaks, rows
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.taxonomy import VALENCE, Tree

TRAINING, PUBLIC, PRIVATE = Split.Training, Split.PublicTest, Split.PrivateTest
ANGRY, HAPPY, SAD = (FER2013_NAMES.index(name) for name in ("angry", "happy", "sad"))


def _noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def _small() -> FaceDataset:
    """Ten faces, rows 100-109: noise, with copies, near copies and blanks put in."""
    pixels = _noise(10)
    pixels[1] = pixels[0]  # identical inside Training, same label
    pixels[5] = pixels[0]  # PublicTest twin of Training, other label
    pixels[6] = pixels[2] // 2 + 50  # PrivateTest: another contrast, no twin but near
    pixels[7] = pixels[5].copy()
    pixels[7, 0, 0] ^= 1  # PrivateTest: one pixel off
    pixels[3] = pixels[8] = 80  # blanks, the same in Training and PrivateTest
    pixels[9] = 90  # another blank, like none in Training
    split = [TRAINING] * 5 + [PUBLIC] + [PRIVATE] * 4
    label = [ANGRY, ANGRY, HAPPY, SAD, HAPPY, SAD, HAPPY, ANGRY, SAD, -1]
    row = np.arange(100, 110, dtype=np.int32)
    return FaceDataset(pixels, np.array(label, np.int8), np.array(split, np.int8), row, source="small")


def _rows(found: Audit, finding: str) -> list[int]:
    return found.faces.row[found.has(finding)].tolist()


def test_each_finding_names_its_rows() -> None:
    found = audit(_small())
    assert _rows(found, "blank") == [103, 108, 109]
    assert _rows(found, "identical") == [100, 101, 103, 105, 108]
    assert found.groups("identical") == 2
    assert _rows(found, "conflicting labels") == [100, 101, 105]
    assert _rows(found, "twin in Training") == [105, 108]
    assert _rows(found, "near twin in Training") == [105, 106, 107, 108]


def test_masks_agree_with_the_audit() -> None:
    faces = _small()
    found = audit(faces)
    for mask, finding in zip(leaks(faces), ("twin in Training", "near twin in Training"), strict=True):
        np.testing.assert_array_equal(mask, found.has(finding))
        assert mask.dtype == bool


def test_copies_are_found_whatever_the_order() -> None:
    faces = _small()
    order = np.random.default_rng(1).permutation(len(faces))
    for mask, whole in zip(leaks(faces.take(order)), leaks(faces), strict=True):
        np.testing.assert_array_equal(mask, whole[order])


def test_nothing_is_a_twin_without_training_rows() -> None:
    faces = _small()
    for part in (faces.of(PRIVATE), faces.of(TRAINING), faces.take(np.array([], dtype=int))):
        assert not any(mask.any() for mask in leaks(part))
        assert "0 faces" in as_table(audit(part))


def test_unlabelled_copies_do_not_conflict() -> None:
    faces = _small()
    unlabelled = replace(faces, label=np.where(faces.split == TRAINING, faces.label, -1).astype(np.int8))
    assert not audit(unlabelled).has("conflicting labels").any()


def test_more_rows_than_one_block_are_compared() -> None:
    pixels = np.concatenate([_noise(700), _noise(700)])
    split = np.repeat([TRAINING, PRIVATE], 700).astype(np.int8)
    faces = FaceDataset(
        pixels // np.uint8(2), np.zeros(1400, np.int8), split, np.arange(1400, dtype=np.int32)
    )
    faces.pixels[700:, :24] += 1  # no row is identical any more
    assert not leaks(faces)[0].any()
    np.testing.assert_array_equal(audit(faces).match["near twin in Training"][700:], np.arange(700))


def test_not_a_face_is_the_strict_top_vote_and_unknown_without_votes() -> None:
    faces = _small()
    assert "not a face: unknown without FER+ votes" in as_table(audit(faces))
    votes = np.zeros((10, 10), np.float32)
    votes[:, 0] = 5
    votes[2, 9], votes[4, 9] = 6, 5  # row 104 is a draw
    found = audit(replace(faces, votes=votes))
    assert _rows(found, "not a face") == [102]
    assert "- not a face: 1 faces" in as_table(found)


def test_rows_name_face_and_match() -> None:
    faces = _small()
    table = [dict(zip(COLUMNS, row, strict=True)) for row in rows(audit(faces))]
    near = [row for row in table if row["face"] == "106"]
    assert near == [
        {
            "face": "106",
            "split": "PrivateTest",
            "label": "happy",
            "finding": "near twin in Training",
            "match": "102",
        }
    ]
    assert {"109", ""} <= {value for row in table if row["face"] == "109" for value in row.values()}
    named = replace(faces, paths=np.array([f"{i}.png" for i in range(10)]))
    assert ("5.png", "PublicTest", "sad", "twin in Training", "0.png") in set(rows(audit(named)))


def test_table_shows_counts_that_are_not_published_ones() -> None:
    table = as_table(audit(_small()))
    assert table.startswith("small: 10 faces, 1 unlabelled. 21 counts differ")
    assert "| Training | 2 (published 3995) |" in table
    assert "- identical: 5 faces of 2 pictures" in table
    assert f"without {', '.join(_small().left_out(VALENCE))}" in table


def test_any_names_are_audited_and_not_compared_with_published_counts() -> None:
    names = ("bored", "calm", "contempt", "happy")
    label = np.array([0, 0, 3, 1, 3, 1, 3, 0, 2, -1], np.int8)
    found = audit(replace(_small(), names=names, label=label))
    table = as_table(found)
    assert "published" not in table and "| split | bored | calm | contempt | happy | all |" in table
    assert "without bored, calm, contempt" in table
    assert "without happy" in as_table(found, Tree({"low": ("bored", "calm"), "high": ("contempt",)}))
    assert {row[2] for row in rows(found)} <= {*names, ""}


def test_a_label_called_as_a_column_keeps_its_counts() -> None:
    found = audit(replace(_small(), names=("all", "happy"), label=np.array([0] * 9 + [1], np.int8)))
    assert "| blank | Training | 1 | 0 | 1 | 0 |" in as_table(found)


def test_any_label_is_one_cell_in_one_line() -> None:
    found = audit(replace(_small(), names=("\x1b[31m\n", "a|b"), label=np.array([0] * 9 + [1], np.int8)))
    assert r"| split | \x1b[31m\n | a\|b | all |" in as_table(found)


def test_published_counts_sum_to_the_published_splits() -> None:
    assert [sum(PUBLISHED[split.name].values()) for split in Split] == [28_709, 3_589, 3_589]


@pytest.fixture(scope="module")
def real(fer2013: FaceDataset) -> Audit:
    return audit(fer2013)


@pytest.mark.real_data
def test_fer2013_is_as_known(real: Audit) -> None:
    assert "All as published for FER-2013" in as_table(real)
    assert real.has("blank").sum() == 12
    assert (real.groups("identical"), real.has("identical").sum()) == (1_514, 3_365)
    assert real.groups("conflicting labels") == 57
    if real.faces.votes is not None:
        assert real.has("not a face").sum() == 177


@pytest.mark.real_data
def test_fer2013_leaks_as_known(real: Audit) -> None:
    trained = real.faces.label != FER2013_NAMES.index("disgust")
    counts = {}
    for finding in ("twin in Training", "near twin in Training"):
        found = real.has(finding)
        counts[finding] = [
            [int((found & (real.faces.split == split) & kept).sum()) for kept in (True, trained)]
            for split in Split
        ]
    assert counts["twin in Training"] == [[0, 0], [280, 265], [288, 272]]
    assert counts["near twin in Training"] == [[0, 0], [499, 478], [530, 505]]
