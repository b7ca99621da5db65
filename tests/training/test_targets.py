"""Targets of a node: labels, and the shares of votes, teachers and outliers."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy import fileio, routing, runs
from hierarchy.config import recipes
from hierarchy.config.schema import TrainConfig
from hierarchy.data.dataset import FaceDataset
from hierarchy.data.formats import ferplus
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.routing import predict_from_logits
from hierarchy.taxonomy import FLAT, TREES, VALENCE
from hierarchy.training.distillation import probabilities, taught, teacher_checksums
from hierarchy.training.targets import check_faces, check_recipe, class_weights, few_of_each, node_dataset


@pytest.fixture(scope="module")
def faces():
    """Drawn faces; ten votes are evenly split between happy and sad, but all contempt for the first one."""
    drawn = sketch_faces(60)
    votes = np.zeros((len(drawn), len(ferplus.CHOICES)), np.float32)
    votes[:, [ferplus.CHOICES.index("happy"), ferplus.CHOICES.index("sad")]] = 5
    votes[0] = 10 * (np.array(ferplus.CHOICES) == "contempt")
    return replace(drawn, votes=votes)


def labels_only(faces, node, tree=VALENCE):
    return np.eye(len(tree.classes_of(node)))[faces.for_node(tree, node).target(tree, node)]


def target(faces, node, fit, taught=None):
    return node_dataset(faces, VALENCE, node, fit, taught).target


@pytest.mark.parametrize("node", VALENCE.nets)
def test_labels_only_by_default(node, faces):
    dataset = node_dataset(faces, VALENCE, node, TrainConfig())
    np.testing.assert_array_equal(dataset.target, labels_only(faces, node))
    np.testing.assert_array_equal(dataset.pixels, faces.for_node(VALENCE, node).pixels)
    assert len(dataset) == len(dataset.pixels)


@pytest.mark.parametrize("node", VALENCE.nets)
def test_votes_count_for_their_share_where_there_are_some_for_the_node(node, faces):
    mixed = target(faces, node, TrainConfig(soft_label_weight=0.4))
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-6)
    votes = np.zeros(len(VALENCE.classes_of(node)))
    for code in (VALENCE.class_index(node, name) for name in ("happy", "sad")):
        votes[code] += code >= 0
    expected = 0.6 * labels_only(faces, node) + 0.4 * votes / votes.sum()
    if faces.target(VALENCE, node)[0] >= 0:  # the first face, whose votes are all for contempt
        expected[0] = labels_only(faces, node)[0]
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


def test_votes_for_a_leaf_count_in_every_tree_that_has_it(faces, other_tree):
    for tree in (TREES["ferplus8"], other_tree):
        if not faces.for_node(tree, FLAT).pixels.size:
            continue
        mixed = node_dataset(faces, tree, FLAT, TrainConfig(soft_label_weight=1 - 1e-9)).target
        voted = np.zeros(len(tree.leaves))
        for name in ("happy", "sad"):
            if leaf := tree.leaf_named(name):
                voted[tree.leaves.index(leaf)] = 1
        np.testing.assert_allclose(mixed[1], voted / voted.sum(), atol=1e-6)


def test_a_teacher_counts_for_its_share_at_each_node(faces):
    leaves = np.arange(1.0, 1 + len(VALENCE.leaves))
    taught = np.tile(leaves / leaves.sum(), (len(faces), 1))
    for node in VALENCE.nets:
        soft = np.array([taught[0, group].sum() for group in VALENCE.members(node)])
        hard = labels_only(faces, node)
        mixed = target(faces, node, TrainConfig(distillation_weight=0.7, oversample=False), taught)
        np.testing.assert_allclose(mixed, 0.3 * hard + 0.7 * soft / soft.sum(), atol=1e-6)
        soft /= hard.sum(axis=0)  # as if all classes were equally frequent
        mixed = target(faces, node, TrainConfig(distillation_weight=0.7), taught)
        np.testing.assert_allclose(mixed, 0.3 * hard + 0.7 * soft / soft.sum(), atol=1e-6)


def test_outliers_have_uniform_targets(faces):
    first, second = VALENCE.branches
    dataset = node_dataset(faces, VALENCE, second, TrainConfig(outlier_ratio=1.0))
    own, others = (faces.for_node(VALENCE, branch) for branch in (second, first))
    assert len(dataset) == len(own)
    np.testing.assert_array_equal(dataset.pixels[len(own) :], others.pixels)
    np.testing.assert_allclose(dataset.target[len(own) :], 1 / len(VALENCE.children[second]))
    router = node_dataset(faces, VALENCE, "router", TrainConfig(outlier_ratio=1.0))
    assert len(router.pixels) == len(router) == len(faces.for_node(VALENCE, "router"))


def test_every_node_of_another_tree_has_its_own_faces_and_outliers(other_tree):
    count = 10 * len(other_tree.leaves)
    label = np.resize(np.arange(len(other_tree.leaves)), count).astype(np.int8)
    pixels = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((1, 48, 48), np.uint8)
    split = np.zeros(count, np.int8)
    row = np.arange(count, dtype=np.int32)
    named = FaceDataset(pixels, label, split, row, source="made", names=other_tree.leaves)
    for node in other_tree.nets:
        dataset = node_dataset(named, other_tree, node, TrainConfig(outlier_ratio=1.0))
        np.testing.assert_array_equal(dataset.target[: len(dataset)], labels_only(named, node, other_tree))
        assert len(dataset.pixels) == count
        np.testing.assert_allclose(dataset.target.sum(axis=1), 1, rtol=1e-6)


def test_missing_votes_and_teachers_are_refused(faces):
    for section in ("fit", "warm_start"):
        bare, plain = replace(faces, votes=None), recipes.SKETCH
        voted, taught = (
            replace(plain, **{section: TrainConfig(**{key: 0.1})})
            for key in ("soft_label_weight", "distillation_weight")
        )
        check_recipe(plain, False), check_recipe(voted, False), check_recipe(taught, True)
        check_faces(bare, plain, VALENCE.nets), check_faces(faces, voted, VALENCE.nets)
        with pytest.raises(InputError, match="fit.soft_label_weight.*fer2013new.csv"):
            check_faces(bare, voted, ())
        for recipe, teacher in ((taught, False), (plain, True)):
            with pytest.raises(InputError, match="fit.distillation_weight.*--teacher"):
                check_recipe(recipe, teacher)


@pytest.mark.parametrize(
    ("fit", "key"),
    [
        (TrainConfig(samples_per_class=10, oversample=False), "fit.samples_per_class"),
        (TrainConfig(class_weights=True, outlier_ratio=0.5), "fit.class_weights"),
        (TrainConfig(class_weights=True, soft_label_weight=0.5), "fit.class_weights"),
    ],
)
def test_options_that_contradict_each_other_are_refused(fit, key):
    with pytest.raises(InputError, match=key):
        check_recipe(replace(recipes.SKETCH, fit=fit), False)


def test_class_weights_cover_classes_without_faces():
    label = np.array([0, 0, 0, 1])
    np.testing.assert_allclose(class_weights(label, 2), [4 / 6, 2])
    assert np.average(class_weights(label, 2), weights=np.bincount(label)) == 1
    assert len(class_weights(label, 3)) == 3


@pytest.fixture
def teaching(tiny_run):
    """The tiny run with all nets calibrated."""
    plain = {node: {"offset": [0.0], "temperature": 1.0} for node in VALENCE.nets}
    tiny_run.amend({"calibration": plain | stored(tiny_run)["calibration"]})
    return tiny_run


def stored(run):
    return fileio.read_json(run.folder / runs.MANIFEST)


def test_a_teacher_is_the_mean_of_its_runs_trees_and_flat_nets(teaching, few_sketches):
    from hierarchy.classifier import HierarchicalClassifier

    pixels = few_sketches.pixels[:5]
    outputs = HierarchicalClassifier.load("tiny").outputs(pixels)
    predictions, flat = predict_from_logits(VALENCE, outputs, teaching.manifest().calibration)
    runs.copy(teaching, runs.run("flat-only"))
    runs.run("flat-only").amend({"nets": {FLAT: stored(teaching)["nets"][FLAT]}})
    mean = probabilities(["tiny", "flat-only"], VALENCE, KERAS_BACKEND, pixels)
    np.testing.assert_allclose(mean, (predictions.joint + 2 * flat) / 3, atol=1e-6)
    alone = probabilities(["flat-only"], VALENCE, KERAS_BACKEND, pixels)
    np.testing.assert_allclose(alone, routing.softmax(outputs[FLAT]), atol=1e-6)


def test_a_teacher_is_cached(teaching, few_sketches, tmp_path):
    pixels = few_sketches.pixels[:5]
    known = teacher_checksums(["tiny"], VALENCE)
    first = taught(known, VALENCE, KERAS_BACKEND, pixels, tmp_path)
    np.testing.assert_array_equal(first, probabilities(["tiny"], VALENCE, KERAS_BACKEND, pixels))
    np.testing.assert_array_equal(taught(known, VALENCE, None, pixels, tmp_path), first)
    with pytest.raises(AttributeError):  # other faces are not in the cache
        taught(known, VALENCE, None, few_sketches.pixels[:6], tmp_path)


def test_runs_that_cannot_teach_are_refused(teaching, few_sketches, tmp_path):
    known, before = teacher_checksums(["tiny"], VALENCE), stored(teaching)
    nets = before["nets"]
    for change in ({"calibration": {}}, {"nets": nets | {FLAT: nets[FLAT] | {"finished": False}}}):
        teaching.amend(change)
        with pytest.raises(InputError, match="'tiny'"):
            teacher_checksums(["tiny"], VALENCE)
        teaching.amend({key: before[key] for key in change})
    teaching.amend({"nets": nets | {FLAT: nets[FLAT] | {"sha256": "another"}}})
    with pytest.raises(InputError, match="tiny"):
        taught(known, VALENCE, KERAS_BACKEND, few_sketches.pixels, tmp_path)
    teaching.amend({"nets": {"router": nets["router"]}})
    with pytest.raises(InputError, match="'tiny'"):
        teacher_checksums(["tiny"], VALENCE)


def test_a_teacher_of_another_tree_is_refused_with_both_printed(manifest_run, other_tree):
    manifest_run("other", other_tree)
    with pytest.raises(InputError, match="'other'") as error:
        teacher_checksums(["other"], VALENCE)
    assert str(other_tree) in str(error.value) and str(VALENCE) in str(error.value)


def test_rows_without_a_teacher_keep_their_labels(faces):
    nothing = np.zeros((len(faces), len(VALENCE.leaves)))
    mixed = target(faces, "negative", TrainConfig(distillation_weight=0.7), nothing)
    np.testing.assert_array_equal(mixed, labels_only(faces, "negative"))


def test_few_of_each_class_are_always_the_same():
    label = np.array([0] * 10 + [1] * 3 + [2] * 7)
    chosen = few_of_each(label, 4)
    assert np.bincount(label[chosen]).tolist() == [4, 3, 4]
    np.testing.assert_array_equal(chosen, few_of_each(label, 4))


def test_own_faces_that_were_not_drawn_are_no_outliers(faces):
    few = TrainConfig(samples_per_class=2)
    fit = replace(few, outlier_ratio=1.0)
    flat = [node_dataset(faces, VALENCE, FLAT, each) for each in (fit, few)]
    assert len(flat[0].pixels) == len(flat[1].pixels)
    first, second = VALENCE.branches
    dataset = node_dataset(faces, VALENCE, second, fit)
    assert len(dataset) == 2 * len(VALENCE.children[second])
    assert len(dataset.pixels) - len(dataset) == len(faces.for_node(VALENCE, first))
