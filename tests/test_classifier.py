"""Conventions of scikit-learn, roles of splits, and labels from pixels, with nets that are lambdas."""

import gc
from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest

from hierarchy import fileio, routing, runs
from hierarchy.classifier import ROUTINGS, HierarchicalClassifier
from hierarchy.data.dataset import UNLABELLED, FaceDataset, Split, as_pixels
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.data.labelling import training_set
from hierarchy.errors import InputError, NotFittedError
from hierarchy.manifest import LEVELS, BranchScores, Calibration, Conformal
from hierarchy.models.preprocessing import VIEWS
from hierarchy.taxonomy import FLAT, ROUTER, TREES, VALENCE, Tree

N = 60
LEAVES, NODES = VALENCE.leaves, VALENCE.nodes
ONE_LEAF = Tree({"mouth": ("happy", "surprise", "sad"), "neutral": ("neutral",)}, name="3+1")
TWO_BY_TWO = Tree({"warm": ("happy", "surprise"), "cold": ("sad", "angry")}, name="2x2")
MADE_UP = Tree({name: (f"{name} low", f"{name} high") for name in ("alpha", "beta", "gamma")}, name="made up")


def net(node: str, first: int = 0, tree: Tree = VALENCE):
    """Logits computed from a few pixels of each face, from `first` on."""
    count = len(tree.classes_of(node))
    return lambda pixels: pixels.reshape(-1, 48 * 48)[:, first : first + count].astype(np.float32) / 25


def opened(*nodes: str, of: Tree = VALENCE, **params: object) -> HierarchicalClassifier:
    """A classifier with nets of these nodes of a tree."""
    classifier = HierarchicalClassifier(**params)
    classifier.run_ = runs.run("none")
    classifier.tree_ = of
    classifier.classes_ = np.sort(of.leaves)
    classifier.nets_ = {node: net(node, 9 * place, of) for place, node in enumerate(nodes)}
    classifier.calibration_ = {}
    return classifier


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, 48, 48), dtype=np.uint8)


@pytest.fixture
def faces(pixels) -> FaceDataset:
    """Labelled Training faces of every leaf."""
    label = np.resize([FER2013_NAMES.index(leaf) for leaf in LEAVES], N).astype(np.int8)
    return FaceDataset(pixels, label, np.zeros(N, np.int8), np.arange(N, dtype=np.int32), source="made")


@pytest.fixture(params=[VALENCE, ONE_LEAF, TWO_BY_TWO, MADE_UP], ids=lambda tree: tree.name)
def any_tree(request) -> Tree:
    """The default tree and those of other shapes."""
    return request.param


PARAMS = {
    "recipe": "sketch",
    "settings": ("fit.epochs=1",),
    "routing": "hard",
    "view": "flip",
    "seed": 3,
    "tree": TREES["valence7"],
    "flat_rows": True,
    "min_face": 40,
    "rotate": "off",
    "detector": "haar",
    "value_range": (0, 255),
    "colour": "bgr",
    "fetch": True,
    "coverage": 0.9,
}


def test_parameters_are_the_constructors():
    assert HierarchicalClassifier(**PARAMS).get_params() == PARAMS
    classifier = HierarchicalClassifier()
    assert classifier.set_params(**PARAMS) is classifier and classifier.get_params() == PARAMS


def test_an_unknown_parameter_is_refused():
    with pytest.raises(InputError, match="'depth'"):
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
def test_an_unfitted_classifier_does_not_predict(method, kind, pixels):
    with pytest.raises(kind, match="HierarchicalClassifier"):
        getattr(HierarchicalClassifier(), method)(pixels)


def test_an_unfitted_classifier_has_nothing_to_score_or_save(faces, pixels):
    classifier = HierarchicalClassifier()
    for use in (
        lambda: classifier.score(faces),
        lambda: classifier.save("x"),
        lambda: classifier.logits(ROUTER, pixels),
    ):
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
def test_other_arrays_are_not_crops(wrong):
    with pytest.raises(InputError, match="^faces: "):
        as_pixels(wrong)


@pytest.mark.parametrize("count", [0, 1, N])
def test_shapes(pixels, count, any_tree):
    classifier = opened(*any_tree.nodes, of=any_tree)
    probability = classifier.predict_proba(pixels[:count])
    assert probability.shape == (count, len(any_tree.leaves)) and probability.dtype == np.float64
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert classifier.predict(pixels[:count]).shape == (count,)
    for labels in classifier.lazy(pixels[:count]):
        assert labels.shape == (count,)


def test_the_three_routings(pixels, any_tree):
    labels = {rule: opened(*any_tree.nodes, of=any_tree, routing=rule).predict(pixels) for rule in ROUTINGS}
    predictions = opened(*any_tree.nodes, of=any_tree).predictions(pixels)
    leaves = np.array(any_tree.leaves)
    assert predictions.tree == any_tree
    assert np.array_equal(labels["soft"], leaves[predictions.joint.argmax(axis=1)])
    assert np.array_equal(labels["hard"], leaves[routing.hard(predictions)])
    assert np.array_equal(labels["lazy"], labels["soft"])


def test_lazy_runs_a_specialist_only_on_faces_it_may_win(pixels, any_tree):
    classifier = opened(*any_tree.nodes, of=any_tree)
    shown = dict.fromkeys(any_tree.nodes, 0)

    def counted(node, logits):
        def call(rows):
            shown[node] += len(rows)
            return logits(rows)

        return call

    classifier.nets_ = {node: counted(node, logits) for node, logits in classifier.nets_.items()}
    _, nets = classifier.lazy(pixels)
    assert nets.sum() == sum(shown.values()) < len(any_tree.nodes) * N
    assert shown[ROUTER] == N


def test_a_row_does_not_depend_on_the_others(pixels):
    classifier = opened(*NODES)
    together = classifier.predict_proba(pixels)
    assert np.array_equal(classifier.predict_proba(pixels[::-1]), together[::-1])
    assert all(np.array_equal(classifier.predict_proba(pixels[[row]])[0], together[row]) for row in range(N))


def test_logits_are_calibrated(pixels):
    classifier = opened(*NODES)
    raw = classifier.logits(ROUTER, pixels)
    classifier.calibration_ = {ROUTER: Calibration((1.0, -1.0), 2.0)}
    assert np.array_equal(classifier.logits(ROUTER, pixels), (raw + [1.0, -1.0]) / 2.0)


SCORES = BranchScores(100, tuple(level / LEVELS for level in range(1, LEVELS + 1)))  # all coverages alike


def conformal(tree: Tree) -> Conformal:
    return Conformal({}, dict.fromkeys(tree.branches, SCORES))


def test_a_prediction_set_has_the_leaves_that_are_likely_enough(pixels, any_tree):
    classifier = opened(*any_tree.nodes, of=any_tree, coverage=0.7)
    classifier.conformal_ = conformal(any_tree)
    sets, probability = classifier.predict_set(pixels), classifier.predict_proba(pixels)
    assert sets.any(axis=1).all() and sets.shape == probability.shape
    likeliest = probability.argmax(axis=1)[:, None] == np.arange(len(any_tree.leaves))
    assert np.array_equal(sets, likeliest | (1 - probability <= 0.7))
    face = classifier.read(pixels[0], faces="whole")[0]
    members = {leaf for name in face.prediction_set for leaf in any_tree.children.get(name, (name,))}
    assert members == set(classifier.classes_[sets[0]])
    hard = opened(*any_tree.nodes, of=any_tree, coverage=0.001, routing="hard")
    hard.conformal_ = conformal(any_tree)
    assert all(each.label in each.prediction_set for each in hard.read(list(pixels), faces="whole"))


@pytest.mark.parametrize(
    "coverage", [0, 1, -0.5, float("nan"), float("inf"), 10**400, True, "0.9", [0.9], 0.991]
)
def test_a_coverage_that_cannot_be_held_is_refused(pixels, coverage):
    classifier = opened(*NODES, coverage=coverage)
    classifier.conformal_ = conformal(VALENCE)
    with pytest.raises(InputError, match="coverage"):
        classifier.predict(pixels)
    classifier.coverage = 0.99  # the most that a hundred faces allow
    classifier.predict(pixels)


def test_sets_need_a_coverage_the_single_view_and_conformal_scores(pixels, manifest_run):
    manifest_run("old")
    with pytest.raises(InputError, match="evaluate --run old"):
        HierarchicalClassifier.load("old", coverage=0.9)
    manifest_run("new", conformal=msgspec.to_builtins(conformal(VALENCE)))
    assert HierarchicalClassifier.load("new", coverage=0.9).conformal_ == conformal(VALENCE)
    with pytest.raises(InputError, match="0.99"):
        HierarchicalClassifier.load("new", coverage=0.999)
    with pytest.raises(InputError, match="flip"):
        HierarchicalClassifier.load("new", coverage=0.9, view="flip")
    with pytest.raises(InputError, match="coverage"):
        opened(*NODES).predict_set(pixels)


def test_a_view_averages_the_logits_of_its_images(pixels):
    classifier = opened(*NODES, view="flip")
    mirrored = opened(*NODES).logits(ROUTER, pixels[:, :, ::-1])
    assert np.allclose(
        classifier.logits(ROUTER, pixels), (opened(*NODES).logits(ROUTER, pixels) + mirrored) / 2
    )


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [("routing", "firm", ROUTINGS), ("view", "both", VIEWS), ("view", None, VIEWS)],
)
def test_an_unknown_routing_or_view_is_refused_by_every_method(name, value, known, pixels, faces, tiny_run):
    params = {name: value}
    for use in (
        lambda: opened(*NODES, **params).predict(pixels),
        lambda: opened(*NODES).set_params(**params).predict_proba(pixels),
        lambda: HierarchicalClassifier.load("tiny", **params),
        lambda: HierarchicalClassifier(**params).fit(faces),
    ):
        with pytest.raises(InputError, match=f"^{name} {value!r}.*{', '.join(known)}"):
            use()


def test_score_is_the_accuracy(pixels, faces):
    classifier = opened(*NODES)
    names = classifier.predict(pixels)
    assert classifier.score(pixels, names) == 1.0
    assert classifier.score(pixels, [f" {name.upper()}" for name in names]) == 1.0, (
        "names are spelled as in fit"
    )
    wrong = np.where(np.arange(N) < 3, "disgust", names)
    assert classifier.score(pixels, wrong) == 1 - 3 / N
    right = np.array(FER2013_NAMES)[faces.label] == names
    assert classifier.score(faces) == right.mean()


def test_score_needs_a_name_for_every_face(pixels, faces):
    classifier = opened(*NODES)
    unlabelled = replace(faces, label=np.where(np.arange(N) < 2, UNLABELLED, faces.label))
    for X, y, key in (
        (pixels, None, r"\by\b"),
        (pixels, ["happy"], f"{N} faces"),
        (unlabelled, None, f"^score: {N} faces, {N - 2} names"),
        (pixels[:0], [], "^score: 0 faces"),
        (pixels, ["glad"] * N, "^y: .*'glad'"),
    ):
        with pytest.raises(InputError, match=key):
            classifier.score(X, y)


@pytest.mark.parametrize("value", [5, ..., [], {}, np.zeros((3, 48, 48)), np.zeros(2, [("a", int)]), "x\ny"])
def test_arguments_of_other_types_are_refused_in_one_line(value, pixels):
    classifier = opened(*NODES)
    for use in (
        lambda: classifier.score(pixels, value),
        lambda: classifier.logits(value, pixels),
        lambda: classifier.read(pixels, faces=value),
        lambda: classifier.read(pixels, min_confidence=value),
        lambda: next(classifier.predict_video(value)),
        lambda: HierarchicalClassifier.load(backend=value),
        lambda: HierarchicalClassifier.load(engine=value),
        *(
            lambda name=name: HierarchicalClassifier.load(**{name: value})
            for name in ("routing", "view", "tree")
        ),
    ):
        with pytest.raises(InputError) as raised:
            use()
        assert "\n" not in str(raised.value)


def test_a_flat_net_predicts_for_the_whole_tree(pixels, any_tree):
    classifier = opened(FLAT, of=any_tree)
    expected = routing.softmax(net(FLAT, tree=any_tree)(pixels))
    np.testing.assert_allclose(classifier.predictions(pixels).joint, expected, atol=1e-12)
    nodes = {node: classifier.logits(node, pixels) for node in any_tree.nodes}
    np.testing.assert_allclose(routing.from_logits(any_tree, nodes).joint, expected, atol=1e-12)
    labels, nets = classifier.lazy(pixels)
    assert np.array_equal(labels, expected.argmax(axis=1)) and (nets == 1).all()


def test_score_reads_names_of_any_tree(pixels, any_tree):
    classifier = opened(*any_tree.nodes, of=any_tree)
    names = classifier.predict(pixels)
    assert classifier.score(pixels, [f" {name.upper()}" for name in names]) == 1.0
    label = np.array([any_tree.leaves.index(name) for name in names], np.int8)
    row = np.arange(N, dtype=np.int32)
    faces = FaceDataset(pixels, label, np.zeros(N, np.int8), row, source="own", names=any_tree.leaves)
    assert classifier.score(faces) == 1.0
    with pytest.raises(InputError, match="^y: .*'sleepy'"):
        classifier.score(pixels, ["sleepy"] * N)


def test_score_reads_a_trees_aliases(pixels):
    tree = Tree(VALENCE.children, aliases={"glad": "happy"})
    classifier = opened(*NODES, of=tree)
    names = classifier.predict(pixels)
    assert (names == "happy").any()
    assert classifier.score(pixels, np.where(names == "happy", "Glad", names)) == 1.0


def test_a_branch_of_one_leaf_needs_no_net(pixels):
    classifier = opened(ROUTER, "mouth", of=ONE_LEAF)
    branch = classifier.predictions(pixels).branch
    assert np.array_equal(classifier.predictions(pixels).joint[:, -1], branch[:, 1])
    assert set(classifier.outputs(pixels)) == {ROUTER, "mouth"}
    chosen, nets = classifier.lazy(pixels)
    sure = branch[:, 1] > branch[:, 0]  # the branch of one leaf is likelier: no specialist can win
    assert sure.any() and (nets[sure] == 1).all() and (chosen[sure] == ONE_LEAF.leaves.index("neutral")).all()
    with pytest.raises(InputError, match="neutral"):
        classifier.logits("neutral", pixels)


def test_outputs_are_the_logits_before_calibration(pixels):
    classifier = opened(FLAT, ROUTER)
    classifier.calibration_ = {FLAT: Calibration((1.0,) * len(LEAVES), 2.0)}
    outputs = classifier.outputs(pixels)
    assert outputs.keys() == {FLAT, ROUTER} and outputs[FLAT].dtype == np.float32
    assert np.array_equal(outputs[FLAT], net(FLAT)(pixels))
    np.testing.assert_allclose(classifier.logits(FLAT, pixels), (outputs[FLAT] + 1.0) / 2.0)


@pytest.mark.parametrize("nodes", [(FLAT, ROUTER), (FLAT, *NODES[:2]), (FLAT, NODES[1])])
def test_while_the_tree_is_incomplete_the_flat_net_predicts(nodes, pixels):
    classifier = opened(*nodes)
    assert np.array_equal(classifier.predict_proba(pixels), opened(FLAT).predict_proba(pixels))
    assert np.array_equal(classifier.predict(pixels), opened(FLAT, routing="lazy").predict(pixels))


def keep(run: runs.Run, nodes: tuple[str, ...]) -> None:
    nets = fileio.read_json(run.folder / runs.MANIFEST)["nets"]
    run.amend({"nets": {node: nets[node] for node in nodes}})


def test_a_tree_without_all_its_nets_is_refused(tiny_run):
    keep(tiny_run, NODES[:2])
    with pytest.raises(InputError, match="'tiny'.* negative .*--resume"):
        HierarchicalClassifier.load("tiny")
    keep(tiny_run, ())
    with pytest.raises(InputError, match="'tiny'.* router, positive, negative "):
        HierarchicalClassifier.load("tiny")


def test_an_unknown_run_is_refused(own_home):
    with pytest.raises(InputError, match=f"run '{runs.DEFAULT_RUN}'"):
        HierarchicalClassifier.load()


def test_a_stored_run_predicts_a_face_as_in_a_batch(tiny_run, pixels):
    classifier = HierarchicalClassifier.load("tiny")
    together = classifier.predict_proba(pixels)
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert len(np.unique(together, axis=0)) == N, "predictions depend on the face"
    np.testing.assert_allclose(classifier.predict_proba(pixels[5:6]), together[5:6], rtol=0, atol=1e-6)
    np.testing.assert_allclose(classifier.predict_proba(pixels[::-1])[::-1], together, rtol=0, atol=1e-6)


@pytest.fixture
def trained_as(monkeypatch, stored_run) -> list[FaceDataset]:
    """`fit` without training: the nets are those of the stored run; the list holds the faces given."""
    from hierarchy.training import train

    given = []

    def fake(run, faces, recipe, *, nodes, identity, backend, verbose):
        given.append(faces)
        for node in nodes:
            run.add_net(
                node,
                stored_run.net(node).read_bytes(),
                {"seed": identity["seed"], "backend": "jax"},
                identity,
                recipe.tree,
            )
        run.amend({"calibration": {}})

    monkeypatch.setattr(train, "train", fake)
    return given


def test_fit_save_load(trained_as, faces, pixels, own_home):
    classifier = HierarchicalClassifier("sketch", seed=5)
    assert classifier.fit(faces) is classifier
    (given,) = trained_as
    assert set(given.split) == {Split.Training, Split.PublicTest}
    probability = classifier.predict_proba(pixels)
    classifier.save("mine")
    assert runs.names() == ["mine"] and runs.run("mine").manifest().nets[ROUTER].seed == 5
    assert np.array_equal(HierarchicalClassifier.load("mine").predict_proba(pixels), probability)
    with pytest.raises(InputError, match="run 'mine'"):
        classifier.save("mine")


def test_the_files_of_fit_are_deleted_with_the_classifier(trained_as, faces):
    classifier = HierarchicalClassifier("sketch").fit(faces).fit(faces)
    folder = classifier.run_.folder
    assert folder.is_dir()
    del classifier
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"recipe": "quick"}, "'quick'"),
        ({"settings": ("fit.epoch=1",)}, r"fit\.epoch"),
        ({"tree": "valance"}, "'valance'"),
        ({"tree": "nowhere/tree.toml"}, "^nowhere/tree.toml: "),
    ],
)
def test_an_unknown_recipe_setting_or_tree_is_refused_before_training(trained_as, faces, params, key):
    with pytest.raises(InputError, match=key):
        HierarchicalClassifier(**params).fit(faces)
    assert not trained_as


def test_a_tree_may_be_a_file_with_aliases(trained_as, pixels, tmp_path):
    file = tmp_path / "own.toml"
    branches = "\n".join(f"{branch} = {list(leaves)}" for branch, leaves in VALENCE.children.items())
    file.write_text(f'[branches]\n{branches}\n[aliases]\nglad = "happy"\n')
    names = np.resize(["glad", *LEAVES[1:]], N)
    classifier = HierarchicalClassifier("sketch", tree=str(file)).fit(pixels, names)
    assert classifier.tree_ == VALENCE
    assert set(trained_as[0].target(VALENCE, FLAT)) == set(range(len(LEAVES)))
    labels = classifier.predict(pixels)
    assert classifier.score(pixels, np.where(labels == "happy", "glad", labels)) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("tree", [ONE_LEAF, TWO_BY_TWO], ids=lambda tree: tree.name)
def test_fit_trains_the_nets_of_another_tree(tree, pixels, own_home):
    settings = ("net.stages=[[4]]", "fit.epochs=1", "fit.batch_size=8", "warm_start.epochs=1")
    classifier = HierarchicalClassifier("sketch", settings, tree=tree)
    names = np.resize(tree.leaves, N)
    classifier.fit(pixels, names, validation=(pixels[:20], names[:20]))
    assert classifier.tree_ == tree and classifier.classes_.tolist() == sorted(tree.leaves)
    assert set(classifier.nets_) == set(tree.nets)
    probability = classifier.predict_proba(pixels)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert classifier.score(pixels, names) == np.mean(classifier.predict(pixels) == names)
    classifier.save("other")
    for asked in (None, tree):
        loaded = HierarchicalClassifier.load("other", tree=asked)
        assert loaded.tree_ == tree and np.array_equal(loaded.predict_proba(pixels), probability)
    with pytest.raises(InputError, match="^run 'other'") as error:
        HierarchicalClassifier.load("other", tree="valence")
    assert str(tree) in str(error.value) and str(VALENCE) in str(error.value)


def test_a_run_of_another_tree_is_refused(manifest_run, other_tree):
    manifest_run("stored", other_tree)
    for tree in (VALENCE, "valence7"):
        with pytest.raises(InputError, match="^run 'stored'") as error:
            HierarchicalClassifier.load("stored", tree=tree)
        expected = TREES[tree] if isinstance(tree, str) else tree
        assert str(other_tree) in str(error.value) and str(expected) in str(error.value)
    assert HierarchicalClassifier.load("stored", tree=other_tree).tree_ == other_tree
    assert HierarchicalClassifier.load("stored").classes_.tolist() == sorted(other_tree.leaves)


def test_an_incomplete_run_names_the_missing_nets_of_its_tree(manifest_run, other_tree):
    manifest_run("stored", other_tree, (ROUTER,))
    missing = ", ".join(other_tree.nodes[1:])
    with pytest.raises(InputError, match=f"^run 'stored'.* {missing} "):
        HierarchicalClassifier.load("stored")


def with_split(faces: FaceDataset, *split: Split) -> FaceDataset:
    return replace(faces, split=np.resize(split, len(faces)).astype(np.int8))


@pytest.mark.parametrize("place", ["X", "y", "validation"])
def test_fit_refuses_the_test_split(trained_as, faces, place):
    private = with_split(faces, Split.Training, Split.PrivateTest)
    arguments = {
        "X": (private,),
        "y": (faces, private),
        "validation": (faces, None, (private, None)),
    }
    with pytest.raises(InputError, match="PrivateTest"):
        HierarchicalClassifier().fit(*arguments[place])
    assert not trained_as


def test_two_data_sets_take_their_roles(faces):
    for given in (
        training_set(VALENCE, faces, faces.take(np.arange(3)), None),
        training_set(VALENCE, faces, None, (faces, None)),
    ):
        assert given.of(Split.Training).row.tolist() == list(range(N))
        assert given.of(Split.PublicTest).row.tolist() == list(range(len(given) - N))


def test_faces_keep_their_own_validation_rows(faces):
    marked = with_split(faces, Split.Training, Split.Training, Split.PublicTest)
    assert np.array_equal(training_set(VALENCE, marked, None, None).split, marked.split)


def test_without_validation_a_seeded_stratified_share_is_held_out(pixels):
    many = np.zeros((600, 48, 48), np.uint8)
    names = np.resize(LEAVES, 600)
    first, again = (training_set(VALENCE, many, names, None) for _ in range(2))
    assert np.array_equal(first.split, again.split)
    counts = first.counts()
    for leaf in LEAVES:
        assert counts["Training"][leaf] + counts["PublicTest"][leaf] == 100
        assert counts["PublicTest"][leaf] == counts["PublicTest"][LEAVES[0]] > 0
    assert "PrivateTest" not in counts


def test_arrays_are_labelled_by_their_names(pixels):
    given = training_set(VALENCE, pixels[:2], ["Happiness", "disgust"], (pixels[2:3], ["sad"]))
    assert [given.names[code] for code in given.label] == ["happy", "disgust", "sad"]
    assert given.split.tolist() == [Split.Training, Split.Training, Split.PublicTest]


@pytest.mark.parametrize(
    ("y", "key"),
    [(None, r"\by\b"), (["happy"], "2 faces"), (["happy", "glad"], "^y: .*'glad'"), ([3, 4], "^y: .*'3'")],
)
def test_names_that_do_not_match_the_faces_are_refused(pixels, y, key):
    with pytest.raises(InputError, match=key):
        training_set(VALENCE, pixels[:2], y, None)


def test_arrays_are_labelled_by_the_names_of_any_tree(pixels, any_tree):
    names = [*any_tree.leaves, "Disgusted"]
    rows = len(names)
    given = training_set(any_tree, pixels[:rows], names, (pixels[:1], names[:1]))
    leaves = list(range(len(any_tree.leaves)))
    disgust = any_tree.leaves.index("disgust") if "disgust" in any_tree.leaves else -1
    assert given.target(any_tree, FLAT).tolist() == [*leaves, disgust, 0]


def test_names_given_with_faces_replace_their_labels(faces):
    given = training_set(VALENCE, faces, ["sad"] * N, None)
    assert {given.names[code] for code in given.label} == {"sad"}


def test_the_package_exports_the_classifier():
    import hierarchy

    assert hierarchy.HierarchicalClassifier is HierarchicalClassifier
    with pytest.raises(AttributeError, match="'Classifier'"):
        hierarchy.Classifier  # noqa: B018


def test_read_predicts_the_faces_of_an_image(tiny_run, pixels, tmp_path):
    face, wall = tmp_path / "face.png", tmp_path / "wall.png"
    cv2.imwrite(str(face), pixels[0])
    cv2.imwrite(str(wall), np.full((200, 300), 90, np.uint8))
    classifier = HierarchicalClassifier.load("tiny")
    (prediction,) = classifier.read(face)
    assert prediction.label == classifier.predict(pixels[:1])[0] and prediction.face == [0, 0, 48, 48]
    assert np.array_equal(prediction.crop, pixels[0])
    (nobody,) = classifier.read(str(wall))
    assert nobody.face is nobody.label is None
    assert classifier.read(wall, faces="whole")[0].label in LEAVES
    assert classifier.read(face, min_confidence=1.0)[0].label is None
    with pytest.raises(InputError, match="nowhere.png: "):
        classifier.read(tmp_path / "nowhere.png")
