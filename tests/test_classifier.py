"""scikit-learn's manners, split roles, and the way from pixels to names, with nets that cost nothing."""

import gc
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hierarchy import routing, runs
from hierarchy.classifier import ROUTINGS, HierarchicalClassifier, _with_roles, as_pixels
from hierarchy.data.dataset import UNLABELLED, FaceDataset, Split
from hierarchy.errors import InputError, NotFittedError
from hierarchy.models.preprocessing import VIEWS
from hierarchy.taxonomy import FER7, FLAT, LEAVES, LEFT_OUT, NODES, ROUTER, classes_of

N = 60


def net(node: str, first: int = 0):
    """Logits read off a few pixels of the face, others for each node."""
    count = len(classes_of(node))
    return lambda pixels: pixels.reshape(-1, 48 * 48)[:, first : first + count].astype(np.float32) / 25


def opened(*nodes: str, **params: object) -> HierarchicalClassifier:
    """A classifier with nets of these nodes."""
    classifier = HierarchicalClassifier(**params)
    classifier.run_ = runs.run("none")
    classifier.classes_ = np.array(LEAVES)
    classifier.nets_ = {node: net(node, 7 * place) for place, node in enumerate(nodes)}
    classifier.calibration_ = {}
    return classifier


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, 48, 48), dtype=np.uint8)


@pytest.fixture
def faces(pixels) -> FaceDataset:
    """Labelled Training faces of every leaf."""
    label = np.resize([FER7.index(leaf) for leaf in LEAVES], N).astype(np.int8)
    return FaceDataset(pixels, label, np.zeros(N, np.int8), np.arange(N, dtype=np.int32), source="made")


PARAMS = {"recipe": "sketch", "settings": ("fit.epochs=1",), "routing": "hard", "view": "flip", "seed": 3}


def test_parameters_are_the_constructors():
    assert HierarchicalClassifier(**PARAMS).get_params() == PARAMS
    classifier = HierarchicalClassifier()
    assert classifier.set_params(**PARAMS) is classifier and classifier.get_params() == PARAMS


def test_an_unknown_parameter_is_refused():
    with pytest.raises(InputError, match="unknown parameter 'depth': allowed are recipe, settings"):
        HierarchicalClassifier().set_params(depth=3)


def test_scikit_learn_clones_the_parameters_and_not_the_nets():
    from sklearn.base import clone

    original = opened(*NODES, **PARAMS)
    copy = clone(original)
    assert copy is not original and copy.get_params() == PARAMS
    with pytest.raises(NotFittedError):
        copy.predict(np.zeros((1, 48, 48), np.uint8))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predictions", "lazy", "outputs"])
@pytest.mark.parametrize("kind", [NotFittedError, InputError, ValueError, AttributeError])
def test_without_nets_there_is_no_answer(method, kind, pixels):
    with pytest.raises(kind, match="has no nets yet: call fit, or load a run"):
        getattr(HierarchicalClassifier(), method)(pixels)


def test_without_nets_there_is_nothing_to_score_or_save(faces):
    for use in (lambda: HierarchicalClassifier().score(faces), lambda: HierarchicalClassifier().save("x")):
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 48, 48)),
        np.zeros((2, 48, 48), np.int64),
        np.zeros((48, 48), np.uint8),
        np.zeros((2, 44, 44), np.uint8),
        np.zeros((2, 48, 48, 1), np.uint8),
        np.uint8(3),
        [[1, 2], [3, 4]],
    ],
)
def test_other_arrays_are_refused(wrong):
    classifier = opened(*NODES)
    for use in (as_pixels, classifier.predict, classifier.predict_proba, classifier.lazy):
        with pytest.raises(InputError, match=r"faces are uint8\[N,48,48\], grey 0 to 255; this is"):
            use(wrong)


@pytest.mark.parametrize("count", [0, 1, N])
def test_shapes(pixels, count):
    classifier = opened(*NODES)
    shares = classifier.predict_proba(pixels[:count])
    assert shares.shape == (count, len(LEAVES)) and shares.dtype == np.float64
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert classifier.predict(pixels[:count]).shape == (count,)
    assert classifier.classes_.tolist() == list(LEAVES)


def test_the_three_rules(pixels):
    answers = {rule: opened(*NODES, routing=rule).predict(pixels) for rule in ROUTINGS}
    found = opened(*NODES).predictions(pixels)
    assert np.array_equal(answers["soft"], np.array(LEAVES)[found.joint.argmax(axis=1)])
    assert np.array_equal(answers["hard"], np.array(LEAVES)[routing.hard(found)])
    assert np.array_equal(answers["lazy"], answers["soft"])


def test_lazy_shows_a_specialist_only_the_faces_it_may_win(pixels):
    classifier = opened(*NODES)
    shown = dict.fromkeys(NODES, 0)

    def counted(node, answer):
        def call(some):
            shown[node] += len(some)
            return answer(some)

        return call

    classifier.nets_ = {node: counted(node, answer) for node, answer in classifier.nets_.items()}
    _, nets = classifier.lazy(pixels)
    assert nets.sum() == sum(shown.values()) < len(NODES) * N
    assert shown[ROUTER] == N


def test_a_row_does_not_depend_on_the_others(pixels):
    classifier = opened(*NODES)
    together = classifier.predict_proba(pixels)
    assert np.array_equal(classifier.predict_proba(pixels[::-1]), together[::-1])
    assert all(np.array_equal(classifier.predict_proba(pixels[[row]])[0], together[row]) for row in range(N))


def test_logits_are_calibrated(pixels):
    classifier = opened(*NODES)
    raw = classifier.logits(ROUTER, pixels)
    classifier.calibration_ = {ROUTER: (np.array([1.0, -1.0]), 2.0)}
    assert np.array_equal(classifier.logits(ROUTER, pixels), (raw + [1.0, -1.0]) / 2.0)


def test_a_view_averages_what_the_net_is_shown(pixels):
    classifier = opened(*NODES, view="flip")
    mirrored = opened(*NODES).logits(ROUTER, pixels[:, :, ::-1])
    assert np.allclose(
        classifier.logits(ROUTER, pixels), (opened(*NODES).logits(ROUTER, pixels) + mirrored) / 2
    )


@pytest.mark.parametrize(
    ("params", "allowed"),
    [({"routing": "firm"}, ROUTINGS), ({"view": "both"}, VIEWS), ({"view": None}, VIEWS)],
)
def test_an_unknown_rule_or_view_is_refused_wherever_it_comes_in(params, allowed, pixels, faces, tiny_run):
    for use in (
        lambda: opened(*NODES, **params).predict(pixels),
        lambda: opened(*NODES).set_params(**params).predict_proba(pixels),
        lambda: HierarchicalClassifier.load("tiny", **params),
        lambda: HierarchicalClassifier(**params).fit(faces),
    ):
        with pytest.raises(InputError, match=f"allowed are {', '.join(allowed)}"):
            use()


def test_score_is_the_share_of_right_names(pixels, faces):
    classifier = opened(*NODES)
    names = classifier.predict(pixels)
    assert classifier.score(pixels, names) == 1.0
    assert classifier.score(pixels, [f" {name.upper()}" for name in names]) == 1.0, "as fit reads names"
    wrong = np.where(np.arange(N) < 3, LEFT_OUT[0], names)
    assert classifier.score(pixels, wrong) == 1 - 3 / N
    right = np.array(FER7)[faces.label] == names
    assert classifier.score(faces) == right.mean()


def test_score_needs_a_name_for_every_face(pixels, faces):
    classifier = opened(*NODES)
    unlabelled = replace(faces, label=np.where(np.arange(N) < 2, UNLABELLED, faces.label))
    for X, y, complaint in (
        (pixels, None, "needs their names"),
        (pixels, ["happy"], f"{N} faces, 1 names"),
        (unlabelled, None, f"{N} faces, {N - 2} names"),
        (pixels[:0], [], "0 faces"),
        (pixels, ["glad"] * N, "unknown expression 'glad'"),
    ):
        with pytest.raises(InputError, match=complaint):
            classifier.score(X, y)


def test_a_flat_net_alone_answers_for_the_tree(pixels):
    classifier = opened(FLAT)
    expected = routing.softmax(net(FLAT)(pixels))
    np.testing.assert_allclose(classifier.predict_proba(pixels), expected, atol=1e-12)
    nodes = {node: classifier.logits(node, pixels) for node in NODES}
    np.testing.assert_allclose(routing.from_logits(nodes).joint, expected, atol=1e-12)
    labels, nets = classifier.lazy(pixels)
    assert np.array_equal(labels, expected.argmax(axis=1)) and (nets == 1).all()


def test_outputs_are_what_every_net_gives_before_calibration(pixels):
    classifier = opened(FLAT, ROUTER)
    classifier.calibration_ = {FLAT: (np.ones(len(LEAVES)), 2.0)}
    outputs = classifier.outputs(pixels)
    assert outputs.keys() == {FLAT, ROUTER} and outputs[FLAT].dtype == np.float32
    assert np.array_equal(outputs[FLAT], net(FLAT)(pixels))
    np.testing.assert_allclose(classifier.logits(FLAT, pixels), (outputs[FLAT] + 1.0) / 2.0)


@pytest.mark.parametrize("half_way", [(FLAT, ROUTER), (FLAT, *NODES[:2]), (FLAT, NODES[1])])
def test_while_the_tree_is_not_whole_the_flat_net_answers(half_way, pixels):
    classifier = opened(*half_way)
    assert np.array_equal(classifier.predict_proba(pixels), opened(FLAT).predict_proba(pixels))
    assert np.array_equal(classifier.predict(pixels), opened(FLAT, routing="lazy").predict(pixels))


def keep(run: runs.Run, nodes: tuple[str, ...]) -> None:
    nets = run.card()["nets"]
    run.amend({"nets": {node: nets[node] for node in nodes}})


def test_a_tree_without_all_its_nets_is_refused(tiny_run):
    keep(tiny_run, NODES[:2])
    with pytest.raises(InputError, match="'tiny' is not complete: no net for negative; .*--resume"):
        HierarchicalClassifier.load("tiny")
    keep(tiny_run, ())
    with pytest.raises(InputError, match="no net for negative, positive, router"):
        HierarchicalClassifier.load("tiny")


def test_an_unknown_run_is_refused(own_home):
    with pytest.raises(
        InputError, match=f"run '{runs.DEFAULT_RUN}' has not been trained: there are no runs yet"
    ):
        HierarchicalClassifier.load()


def test_a_stored_run_answers_the_same_alone_and_in_a_batch(tiny_run, pixels):
    classifier = HierarchicalClassifier.load("tiny")
    together = classifier.predict_proba(pixels)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert len(np.unique(together, axis=0)) == N, "the nets look at the faces"
    np.testing.assert_allclose(classifier.predict_proba(pixels[5:6]), together[5:6], rtol=0, atol=1e-6)
    np.testing.assert_allclose(classifier.predict_proba(pixels[::-1])[::-1], together, rtol=0, atol=1e-6)


@pytest.fixture
def trained_as(monkeypatch, stored_run) -> list[FaceDataset]:
    """`fit` without training: the nets are those of the stored run; the list holds the faces given."""
    from hierarchy.training import train

    given = []

    def fake(run, faces, recipe, *, nodes, identity, framework):
        given.append(faces)
        for node in nodes:
            run.add_net(
                node,
                stored_run.net(node).read_bytes(),
                {"seed": identity["seed"], "backend": "jax"},
                identity,
            )
        run.amend({"calibration": {}})

    monkeypatch.setattr(train, "train", fake)
    return given


def test_fit_save_load(trained_as, faces, pixels, own_home):
    classifier = HierarchicalClassifier("sketch", seed=5)
    assert classifier.fit(faces) is classifier
    (given,) = trained_as
    assert set(given.split) == {Split.Training, Split.PublicTest}
    shares = classifier.predict_proba(pixels)
    classifier.save("mine")
    assert runs.names() == ["mine"] and runs.run("mine").card()["nets"][ROUTER]["seed"] == 5
    assert np.array_equal(HierarchicalClassifier.load("mine").predict_proba(pixels), shares)
    with pytest.raises(InputError, match="run 'mine' is there already"):
        classifier.save("mine")


def test_what_fit_wrote_goes_with_the_classifier(trained_as, faces):
    classifier = HierarchicalClassifier("sketch").fit(faces).fit(faces)
    folder = classifier.run_.folder
    assert folder.is_dir()
    del classifier
    gc.collect()
    assert not folder.exists()


def test_a_wrong_recipe_or_setting_is_refused_before_training(trained_as, faces):
    for params in ({"recipe": "quick"}, {"settings": ("fit.epoch=1",)}):
        with pytest.raises(InputError, match="unknown recipe"):
            HierarchicalClassifier(**params).fit(faces)
    assert not trained_as


def with_split(faces: FaceDataset, *split: Split) -> FaceDataset:
    return replace(faces, split=np.resize(split, len(faces)).astype(np.int8))


@pytest.mark.parametrize("place", ["X", "y", "validation"])
def test_fit_cannot_be_handed_the_test_split(trained_as, faces, place):
    private = with_split(faces, Split.Training, Split.PrivateTest)
    arguments = {
        "X": (private,),
        "y": (faces, private),
        "validation": (faces, None, (private, None)),
    }
    with pytest.raises(InputError, match="PrivateTest rows are for reporting, not for fit"):
        HierarchicalClassifier().fit(*arguments[place])
    assert not trained_as


def test_two_sets_of_faces_take_their_roles(faces):
    for given in (
        _with_roles(faces, faces.take(np.arange(3)), None),
        _with_roles(faces, None, (faces, None)),
    ):
        assert given.of(Split.Training).row.tolist() == list(range(N))
        assert given.of(Split.PublicTest).row.tolist() == list(range(len(given) - N))


def test_faces_keep_the_validation_they_come_with(faces):
    marked = with_split(faces, Split.Training, Split.Training, Split.PublicTest)
    assert np.array_equal(_with_roles(marked, None, None).split, marked.split)


def test_without_validation_a_seeded_stratified_share_is_set_aside(pixels):
    many = np.zeros((600, 48, 48), np.uint8)
    names = np.resize(LEAVES, 600)
    first, again = (_with_roles(many, names, None) for _ in range(2))
    assert np.array_equal(first.split, again.split)
    counts = first.counts()
    for leaf in LEAVES:
        assert counts["Training"][leaf] + counts["PublicTest"][leaf] == 100
        assert counts["PublicTest"][leaf] == counts["PublicTest"][LEAVES[0]] > 0
    assert "PrivateTest" not in counts


def test_arrays_are_labelled_by_their_names(pixels):
    given = _with_roles(pixels[:2], ["Happiness", "disgust"], (pixels[2:3], ["sad"]))
    assert [FER7[code] for code in given.label] == ["happy", "disgust", "sad"]
    assert given.split.tolist() == [Split.Training, Split.Training, Split.PublicTest]


@pytest.mark.parametrize(
    ("y", "complaint"),
    [
        (None, "an array of faces needs their names"),
        (["happy"], "2 faces, but a column of another length"),
        (["happy", "glad"], "unknown expression 'glad'"),
        ([3, 4], "unknown expression '3'"),
    ],
)
def test_names_that_do_not_fit_the_faces_are_refused(pixels, y, complaint):
    with pytest.raises(InputError, match=complaint):
        _with_roles(pixels[:2], y, None)


def test_names_given_with_faces_count(faces):
    assert {FER7[code] for code in _with_roles(faces, ["sad"] * N, None).label} == {"sad"}


def test_the_package_gives_the_classifier_by_name():
    import hierarchy

    assert hierarchy.HierarchicalClassifier is HierarchicalClassifier
    with pytest.raises(AttributeError, match="no attribute 'Classifier'"):
        hierarchy.Classifier  # noqa: B018


def test_read_gives_what_predict_prints(tiny_run, pixels, tmp_path):
    face, wall = tmp_path / "face.png", tmp_path / "wall.png"
    cv2.imwrite(str(face), pixels[0])
    cv2.imwrite(str(wall), np.full((200, 300), 90, np.uint8))
    classifier = HierarchicalClassifier.load("tiny")
    (answer,) = classifier.read(face)
    assert answer.label == classifier.predict(pixels[:1])[0] and answer.face == [0, 0, 48, 48]
    assert np.array_equal(answer.crop, pixels[0])
    (nobody,) = classifier.read(str(wall))
    assert nobody.face is nobody.label is None
    assert classifier.read(wall, faces="whole")[0].label in LEAVES
    assert classifier.read(face, min_confidence=1.0)[0].label is None
    with pytest.raises(InputError, match="nowhere.png: no such file"):
        classifier.read(tmp_path / "nowhere.png")
