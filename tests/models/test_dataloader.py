from dataclasses import replace

import numpy as np
import pytest

from hierarchy.config.schema import AugmentConfig, TrainConfig
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.models.dataloader import KerasDataset
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.training.targets import node_dataset

FIT = TrainConfig(batch_size=16, epochs=10)


@pytest.fixture(scope="module")
def faces():
    return sketch_faces(300).for_node(VALENCE, FLAT)


def rows(batches, epoch):
    batches.begin(epoch)
    return batches.order.copy()


def test_order_follows_from_seed_and_epoch(faces):
    one, other = (
        KerasDataset(node_dataset(faces, VALENCE, FLAT, FIT), FIT, AugmentConfig(), seed) for seed in (1, 2)
    )
    third = rows(one, 3)
    rows(one, 7)
    np.testing.assert_array_equal(rows(one, 3), third)
    assert (rows(one, 4) != third).any() and (rows(other, 3) != third).any()


def test_oversampling_shows_classes_equally_often_in_an_epoch_of_the_same_length(faces):
    batches = KerasDataset(node_dataset(faces, VALENCE, FLAT, FIT), FIT, AugmentConfig(), seed=0)
    shown = np.concatenate([batches.node_dataset.label[rows(batches, epoch)] for epoch in range(20)])
    assert len(shown) == 20 * len(faces)
    share = np.bincount(shown) / len(shown)
    assert np.ptp(share) < 0.03 < np.ptp(np.bincount(batches.node_dataset.label) / len(faces))


def test_without_oversampling_every_face_is_shown_once(faces):
    batches = KerasDataset(
        node_dataset(faces, VALENCE, FLAT, FIT), replace(FIT, oversample=False), AugmentConfig(), seed=0
    )
    assert sorted(batches.order) == list(range(len(faces)))


def test_batches_hold_faces_and_their_targets(faces):
    batches = KerasDataset(node_dataset(faces, VALENCE, FLAT, FIT), FIT, AugmentConfig(), seed=0)
    pixels, targets = batches[1]
    order = batches.order[16:32]
    np.testing.assert_array_equal(pixels, faces.pixels[order])
    np.testing.assert_array_equal(targets.argmax(axis=1), faces.target(VALENCE, FLAT)[order])


def test_faces_are_mixed_until_the_last_epochs(faces):
    batches = KerasDataset(
        node_dataset(faces, VALENCE, FLAT, FIT), FIT, AugmentConfig(mixup=0.4, mixup_until=0.5), seed=0
    )
    mixed = []
    for epoch in (0, 4, 5, 9):
        batches.begin(epoch)
        targets = np.concatenate([batches[step][1] for step in range(len(batches))])
        mixed.append(bool(((targets > 0) & (targets < 1)).any()))
    assert mixed == [True, True, False, False]


def test_outliers_are_drawn_anew_each_epoch_beside_all_own_faces(faces):
    fit = replace(FIT, oversample=False, outlier_ratio=0.5)
    batches = KerasDataset(node_dataset(faces, VALENCE, "positive", fit), fit, AugmentConfig(), seed=0)
    own = len(batches.node_dataset)
    first, second = (rows(batches, epoch) for epoch in (0, 1))
    for shown in (first, second):
        assert sorted(shown[shown < own]) == list(range(own))
        assert (shown >= own).sum() == round(own / 2)
    assert set(first[first >= own]) != set(second[second >= own])
    assert len(batches) == round(1.5 * own) // 16
