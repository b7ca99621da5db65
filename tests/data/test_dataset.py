"""Columns stay together, and the targets of a row follow from its label and the tree."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.data.dataset import COLUMNS, SIDE, UNLABELLED, FaceDataset, Origin, Split
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, ROUTER, TREES, Tree


def faces_of(label: list[int], names: tuple[str, ...] = FER2013_NAMES) -> FaceDataset:
    """Faces whose pixels, splits, votes and paths identify the row."""
    row = np.arange(len(label), dtype=np.int32)
    return FaceDataset(
        pixels=np.broadcast_to(row[:, None, None], (len(label), SIDE, SIDE)).astype(np.uint8),
        label=np.array(label, np.int8),
        split=(row % len(Split)).astype(np.int8),
        row=row,
        votes=np.broadcast_to(row[:, None], (len(label), 10)).astype(np.float32),
        paths=np.array([f"{number}.png" for number in row]),
        names=names,
    )


LABELS = some.lists(some.integers(UNLABELLED, len(FER2013_NAMES) - 1), min_size=1, max_size=30)
SHAPES = [  # 2x2, 3+1 and 2x4, of FER-2013's names and of others
    *TREES.values(),
    Tree({"up": ("happy", "surprise"), "down": ("sad", "fear")}),
    Tree({"calm": ("neutral", "sad", "happy"), "angry": ("angry",)}),
    Tree({"one": ("a", "b", "happiness", "d"), "two": ("e", "anger", "g", "h")}),
]


@given(LABELS, some.data())
def test_columns_stay_together(label, data):
    faces = faces_of(label)
    rows = data.draw(some.lists(some.integers(0, len(label) - 1), min_size=1))
    part = faces.take(np.array(rows))
    assert part.row.tolist() == part.pixels[:, 0, 0].tolist() == part.votes[:, 0].tolist() == rows
    assert part.paths.tolist() == [f"{row}.png" for row in rows]
    assert part.label.tolist() == [label[row] for row in rows]


@given(LABELS)
def test_the_splits_part_the_faces(label):
    faces = faces_of(label)
    parts = [faces.of(split) for split in Split]
    assert sorted(row for part in parts for row in part.row) == list(range(len(label)))
    assert all((part.split == split).all() for split, part in zip(Split, parts, strict=True))


@given(LABELS, some.sampled_from([(tree, node) for tree in SHAPES for node in tree.nets]))
def test_targets_follow_the_tree(label, place):
    tree, node = place
    faces = faces_of(label)
    leaves = [None if code == UNLABELLED else tree.leaf_named(FER2013_NAMES[code]) for code in label]
    expected = [tree.class_index(node, leaf) for leaf in leaves]
    assert faces.target(tree, node).tolist() == expected
    trained = faces.for_node(tree, node)
    assert trained.row.tolist() == [row for row, target in enumerate(expected) if target >= 0]
    assert set(trained.target(tree, node)) <= set(range(len(tree.classes_of(node))))


def test_a_data_sets_own_names_find_their_leaves():
    tree = Tree({"low": ("bored", "calm"), "high": ("happy",)})
    faces = faces_of([0, 1, 2, 3, -1], ("Bored", "calm", "joy", "rage"))
    assert faces.target(tree, FLAT).tolist() == [0, 1, 2, -1, -1]
    assert faces.target(tree, ROUTER).tolist() == [0, 0, 1, -1, -1]
    assert faces.left_out(tree) == {"rage": 1}


@given(LABELS, some.sampled_from(SHAPES))
def test_what_is_left_out_is_counted_and_not_trained_on(label, tree):
    faces = faces_of(label)
    trained, left_out = faces.for_node(tree, FLAT), faces.left_out(tree)
    assert not {FER2013_NAMES[code] for code in trained.label} & set(left_out)
    assert len(trained) + sum(left_out.values()) == sum(code != UNLABELLED for code in label)
    assert set(left_out) == {name for name in FER2013_NAMES if tree.leaf_named(name) is None}


@given(LABELS)
def test_counts_count_every_labelled_row_once(label):
    counts = faces_of(label).counts()
    assert sum(sum(split.values()) for split in counts.values()) == sum(code != UNLABELLED for code in label)
    assert all(list(split) == list(FER2013_NAMES) for split in counts.values())


@given(LABELS, some.integers(0, 30))
def test_joined_parts_are_the_whole(label, cut):
    faces = faces_of(label)
    rows = np.arange(len(label))
    whole = FaceDataset.joined([faces.take(rows[:cut]), faces.take(rows[cut:])], "whole")
    assert whole.source == "whole"
    for column in COLUMNS:
        assert np.array_equal(getattr(whole, column), getattr(faces, column))
        assert getattr(whole, column).dtype == getattr(faces, column).dtype


def test_votes_and_paths_are_joined_only_where_all_have_them():
    faces = faces_of([0, 1])
    joined = FaceDataset.joined([faces, replace(faces, votes=None), replace(faces, paths=None)], "three")
    assert len(joined) == 6 and joined.votes is None and joined.paths is None


def test_joined_parts_share_their_names():
    joined = FaceDataset.joined([faces_of([0, 1], ("a", "b")), faces_of([0, -1, 1], ("b", "c"))], "both")
    assert joined.names == ("a", "b", "c")
    assert joined.label.tolist() == [0, 1, 1, -1, 2]


def test_origin_follows_the_source_and_stays_with_its_row():
    faces = faces_of([0, 1, 2, 3])
    assert faces.origins() == {"real": 4}
    assert replace(faces, source="sketch", origin=None).origins() == {"sketch": 4}
    mixed = replace(faces, origin=np.array([Origin.generated, 0, 1, 0], np.int8))
    assert mixed.origins() == {"real": 2, "sketch": 1, "generated": 1}
    assert mixed.take(np.array([2, 0])).origin.tolist() == [Origin.sketch, Origin.generated]
    assert FaceDataset.joined([mixed, faces], "both").origins() == {"real": 6, "sketch": 1, "generated": 1}


def test_generated_faces_belong_to_training_only():
    faces = replace(faces_of([0, 1, 2]), source="mixed")
    with pytest.raises(InputError, match="mixed"):
        replace(faces, origin=np.array([0, Origin.generated, 0], np.int8))


@pytest.mark.parametrize("code", [-2, 2])
def test_a_label_without_a_name_is_refused(code):
    with pytest.raises(InputError, match="label"):
        faces_of([0, code], ("a", "b"))


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
    with pytest.raises(InputError, match=r"uint8\[N,48,48\]"):
        FaceDataset(pixels, column, column, column)


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "pixels"])
def test_a_column_of_another_length_is_refused(column):
    faces = faces_of([0, 1, 2])
    columns = {name: getattr(faces, name) for name in COLUMNS}
    with pytest.raises(InputError, match="3 faces"):
        FaceDataset(**columns | {column: columns[column][:2]})
