"""What a node is told: its labels, and in which share what taggers, other nets or nobody says."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy import routing, runs
from hierarchy.config import recipes
from hierarchy.config.schema import TrainConfig
from hierarchy.data.formats import ferplus
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.routing import predict_from_logits
from hierarchy.taxonomy import FLAT, LEAVES, NODES, classes_of, node_target
from hierarchy.training.distillation import Teacher, teacher_checksums
from hierarchy.training.targets import check, few_of_each, node_dataset


@pytest.fixture(scope="module")
def faces():
    """Drawn faces; ten taggers are evenly parted between happy and sad, but call the first one contempt."""
    drawn = sketch_faces(60)
    votes = np.zeros((len(drawn), len(ferplus.CHOICES)), np.float32)
    votes[:, [ferplus.CHOICES.index("happy"), ferplus.CHOICES.index("sad")]] = 5
    votes[0] = 10 * (np.array(ferplus.CHOICES) == "contempt")
    return replace(drawn, votes=votes)


def plain(faces, node):
    return np.eye(len(classes_of(node)))[faces.for_node(node).target(node)]


@pytest.mark.parametrize("node", [FLAT, *NODES])
def test_labels_alone_unless_more_is_asked_for(node, faces):
    told = node_dataset(faces, node, TrainConfig())
    np.testing.assert_array_equal(told.target, plain(faces, node))
    np.testing.assert_array_equal(told.pixels, faces.for_node(node).pixels)
    assert len(told) == len(told.pixels)


@pytest.mark.parametrize("node", [FLAT, *NODES])
def test_votes_count_for_their_share_where_there_are_some_for_the_node(node, faces):
    told = node_dataset(faces, node, TrainConfig(soft_label_weight=0.4)).target
    np.testing.assert_allclose(told.sum(axis=1), 1, rtol=1e-6)
    voted = {name: node_target(node, name) for name in ("happy", "sad")}
    say = np.zeros(len(classes_of(node)))
    for code in voted.values():
        say[code] += code >= 0
    mine = faces.target(node) >= 0
    expected = 0.6 * plain(faces, node) + 0.4 * say / say.sum()
    silent = np.flatnonzero(mine)[0] == 0  # the first face, of which the taggers say contempt
    expected[: int(silent)] = plain(faces, node)[: int(silent)]
    np.testing.assert_allclose(told, expected, atol=1e-6)


def test_a_teacher_counts_for_its_share_at_each_node(faces):
    taught = np.tile(np.arange(1.0, 7.0) / 21, (len(faces), 1))
    for node in (FLAT, *NODES):
        codes = [node_target(node, leaf) for leaf in LEAVES]
        say = np.array([sum(taught[0, np.array(codes) == code]) for code in range(len(classes_of(node)))])
        told = node_dataset(faces, node, TrainConfig(distillation_weight=0.7, oversample=False), taught).target
        np.testing.assert_allclose(told, 0.3 * plain(faces, node) + 0.7 * say / say.sum(), atol=1e-6)
        say /= plain(faces, node).sum(axis=0)  # classes of training, had each been shown as often
        told = node_dataset(faces, node, TrainConfig(distillation_weight=0.7), taught).target
        np.testing.assert_allclose(told, 0.3 * plain(faces, node) + 0.7 * say / say.sum(), atol=1e-6)


def test_specialists_learn_to_be_undecided_about_outsiders(faces):
    told = node_dataset(faces, "negative", TrainConfig(outlier_ratio=1.0))
    own, positive = faces.for_node("negative"), faces.for_node("positive")
    assert len(told) == len(own)
    np.testing.assert_array_equal(told.pixels[len(own) :], positive.pixels)
    np.testing.assert_allclose(told.target[len(own) :], 1 / 3)
    assert len(node_dataset(faces, "router", TrainConfig(outlier_ratio=1.0)).pixels) == len(
        faces.for_node("router")
    )


@pytest.mark.parametrize("part", ["fit", "warm"])
def test_what_is_asked_for_and_not_there_is_told(part, faces):
    bare, plain = replace(faces, votes=None), recipes.sketch()
    voted, taught = (replace(plain, **{part: TrainConfig(**{name: 0.1})}) for name in ("votes", "teacher"))
    check(plain, bare, taught=False)
    check(voted, faces, taught=False)
    check(taught, bare, taught=True)
    with pytest.raises(
        InputError, match="no FER\\+ votes for the recipe's share votes; lay fer2013new.csv beside it"
    ):
        check(voted, bare, taught=True)
    for recipe, there in ((taught, False), (plain, True)):
        with pytest.raises(InputError, match="share teacher and --teacher RUN,RUN go together"):
            check(recipe, faces, there)


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        (
            TrainConfig(samples_per_class=10, oversample=False),
            "fit.samples_per_class shows all classes alike: it goes with fit.oversample",
        ),
        (TrainConfig(class_weights=True, outlier_ratio=0.5), "fit.class_weights go by labels alone"),
        (TrainConfig(class_weights=True, soft_label_weight=0.5), "fit.class_weights go by labels alone"),
    ],
)
def test_wishes_that_contradict_each_other_are_told(fit, said, faces):
    with pytest.raises(InputError, match=said):
        check(replace(recipes.sketch(), fit=fit), faces, taught=False)


@pytest.fixture
def teaching(tiny_run):
    """The tiny run, calibrated to the end."""
    plain = {node: {"offset": 0.0, "temperature": 1.0} for node in (FLAT, *NODES)}
    tiny_run.amend({"calibration": plain | tiny_run.card()["calibration"]})
    return tiny_run


def teacher(*names):
    return Teacher(teacher_checksums(names), KERAS_BACKEND)


def test_a_teacher_is_the_mean_of_its_runs_trees_and_flat_nets(teaching, few_sketches):
    from hierarchy.classifier import HierarchicalClassifier

    pixels = few_sketches.pixels[:5]
    outputs = HierarchicalClassifier.load("tiny").outputs(pixels)
    tree, flat = predict_from_logits(outputs, teaching.card()["calibration"])
    runs.copy(teaching, runs.run("flat-alone"))
    nets = teaching.card()["nets"]
    runs.run("flat-alone").amend({"nets": {FLAT: nets[FLAT]}})
    said = teacher("tiny", "flat-alone")(pixels)
    np.testing.assert_allclose(said, (tree.joint + 2 * flat) / 3, atol=1e-6)
    np.testing.assert_allclose(teacher("flat-alone")(pixels), routing.softmax(outputs[FLAT]), atol=1e-6)


def test_a_teacher_is_asked_once(teaching, few_sketches, tmp_path):
    pixels = few_sketches.pixels[:5]
    said = teacher("tiny").kept(pixels, tmp_path)
    np.testing.assert_array_equal(said, teacher("tiny")(pixels))
    silent = teacher("tiny")
    silent.nets = {}
    np.testing.assert_array_equal(silent.kept(pixels, tmp_path), said)
    with pytest.raises(KeyError):
        silent.kept(few_sketches.pixels[:6], tmp_path)  # other faces, of which nothing is kept


def test_who_cannot_teach_is_told(teaching):
    known = teacher_checksums(["tiny"])
    nets = teaching.card()["nets"]
    for change in (
        {"calibration": {}},
        {"nets": nets | {FLAT: nets[FLAT] | {"finished": False}}},
    ):
        before = teaching.card()
        teaching.amend(change)
        with pytest.raises(InputError, match="run 'tiny' cannot teach: it is not trained to the end"):
            teacher_checksums(["tiny"])
        teaching.amend({key: before[key] for key in change})
    teaching.amend({"nets": nets | {FLAT: nets[FLAT] | {"sha256": "another"}}})
    with pytest.raises(InputError, match="the nets of tiny have changed since they began to teach"):
        Teacher(known, KERAS_BACKEND)
    teaching.amend({"nets": {"router": nets["router"]}})
    with pytest.raises(InputError, match="it has neither a whole tree nor a flat net"):
        teacher_checksums(["tiny"])


def test_where_a_teacher_says_nothing_the_label_alone_counts(faces):
    silent = np.zeros((len(faces), len(LEAVES)))
    told = node_dataset(faces, "negative", TrainConfig(distillation_weight=0.7), silent).target
    np.testing.assert_array_equal(told, plain(faces, "negative"))


def test_few_of_each_class_are_the_same_ones_every_time():
    label = np.array([0] * 10 + [1] * 3 + [2] * 7)
    chosen = few_of_each(label, 4)
    assert np.bincount(label[chosen]).tolist() == [4, 3, 4]
    np.testing.assert_array_equal(chosen, few_of_each(label, 4))


def test_a_face_of_its_own_that_was_not_drawn_is_no_outsider(faces):
    fit = TrainConfig(samples_per_class=2, outlier_ratio=1.0)
    assert len(node_dataset(faces, FLAT, fit).pixels) == len(
        node_dataset(faces, FLAT, TrainConfig(samples_per_class=2)).pixels
    )
    told = node_dataset(faces, "negative", fit)
    assert len(told) == 6 and len(told.pixels) - len(told) == len(faces.for_node("positive"))
