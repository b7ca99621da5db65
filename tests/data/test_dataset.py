"""Faces keep their columns together, and a row's roles and targets follow from its own label."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.data.dataset import SIDE, UNLABELLED, FaceDataset, Split
from hierarchy.errors import InputError
from hierarchy.taxonomy import FER7, FLAT, LEFT_OUT, NODES, classes_of, node_target


def faces_of(label: list[int]) -> FaceDataset:
    """Faces whose pixels, splits, votes and paths all tell the row."""
    row = np.arange(len(label), dtype=np.int32)
    return FaceDataset(
        pixels=np.broadcast_to(row[:, None, None], (len(label), SIDE, SIDE)).astype(np.uint8),
        label=np.array(label, np.int8),
        split=(row % len(Split)).astype(np.int8),
        row=row,
        votes=np.broadcast_to(row[:, None], (len(label), 10)).astype(np.float32),
        paths=tuple(f"{number}.png" for number in row),
    )


LABELS = some.lists(some.integers(UNLABELLED, len(FER7) - 1), min_size=1, max_size=30)


@given(LABELS, some.data())
def test_columns_stay_together(label, data):
    faces = faces_of(label)
    rows = data.draw(some.lists(some.integers(0, len(label) - 1), min_size=1))
    part = faces.take(np.array(rows))
    assert part.row.tolist() == part.pixels[:, 0, 0].tolist() == part.votes[:, 0].tolist() == rows
    assert part.paths == tuple(f"{row}.png" for row in rows)
    assert part.label.tolist() == [label[row] for row in rows]


@given(LABELS)
def test_the_splits_part_the_faces(label):
    faces = faces_of(label)
    parts = [faces.of(split) for split in Split]
    assert sorted(row for part in parts for row in part.row) == list(range(len(label)))
    assert all((part.split == split).all() for split, part in zip(Split, parts, strict=True))


@given(LABELS, some.sampled_from([*NODES, FLAT]))
def test_targets_follow_the_taxonomy(label, node):
    faces = faces_of(label)
    expected = [-1 if code == UNLABELLED else node_target(node, FER7[code]) for code in label]
    assert faces.target(node).tolist() == expected
    trained = faces.for_node(node)
    assert trained.row.tolist() == [row for row, target in enumerate(expected) if target >= 0]
    assert set(trained.target(node)) <= set(range(len(classes_of(node))))


@given(LABELS)
def test_nobody_trains_on_what_is_left_out(label):
    trained = faces_of(label).for_node(FLAT)
    assert not {FER7[code] for code in trained.label} & set(LEFT_OUT)


@given(LABELS)
def test_counts_count_every_labelled_row_once(label):
    counts = faces_of(label).counts()
    assert sum(sum(split.values()) for split in counts.values()) == sum(code != UNLABELLED for code in label)
    assert all(list(split) == list(FER7) for split in counts.values())


@given(LABELS, some.integers(0, 30))
def test_joined_parts_are_the_whole(label, cut):
    faces = faces_of(label)
    rows = np.arange(len(label))
    whole = FaceDataset.joined([faces.take(rows[:cut]), faces.take(rows[cut:])], "whole")
    assert whole.source == "whole" and whole.paths == faces.paths
    for column in ("pixels", "label", "split", "row", "votes"):
        assert np.array_equal(getattr(whole, column), getattr(faces, column))
        assert getattr(whole, column).dtype == getattr(faces, column).dtype


def test_votes_and_paths_are_joined_only_where_all_have_them():
    faces = faces_of([0, 1])
    joined = FaceDataset.joined([faces, replace(faces, votes=None), replace(faces, paths=None)], "three")
    assert len(joined) == 6 and joined.votes is None and joined.paths is None


@pytest.mark.parametrize(
    ("source", "drawn"),
    [("sketch", True), ("sketch.csv", True), ("sketch.parquet", True)]
    + [(name, False) for name in ("", "sketch/", "fer2013.csv", "sketches.csv", "my sketch.csv")],
)
def test_drawn(source, drawn):
    assert replace(faces_of([0]), source=source).drawn is drawn


def test_a_mask_takes_what_it_marks():
    faces = faces_of([0, 1, 2])
    assert faces.take(np.array([True, False, True])).row.tolist() == [0, 2]
    assert len(faces.take(np.zeros(3, bool))) == 0


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 48, 48), np.float32),
        np.zeros((2, 48, 47), np.uint8),
        np.zeros((48, 48), np.uint8),
        np.zeros((2, 48, 48, 1), np.uint8),
    ],
)
def test_other_pixels_are_refused(pixels):
    column = np.zeros(len(pixels), np.int8)
    with pytest.raises(InputError, match=r"faces are uint8\[N,48,48\], not"):
        FaceDataset(pixels, column, column, column)


@pytest.mark.parametrize("column", ["label", "split", "row", "votes", "paths"])
def test_a_column_of_another_length_is_refused(column):
    faces = faces_of([0, 1, 2])
    columns = {name: getattr(faces, name) for name in ("pixels", "label", "split", "row", "votes", "paths")}
    with pytest.raises(InputError, match="3 faces, but a column of another length"):
        FaceDataset(**columns | {column: columns[column][:2]})
