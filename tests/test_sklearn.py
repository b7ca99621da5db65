"""scikit-learn's own metrics, model selection and estimator checks; pickles and processes."""

import copy
import doctest
import multiprocessing
import os
import pickle
import queue
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import ConfusionMatrixDisplay, log_loss, roc_auc_score, top_k_accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

import hierarchy
from hierarchy import fileio, routing, runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.dataset import SIDE
from hierarchy.errors import InputError
from hierarchy.evaluation import predictions
from hierarchy.manifest import RunManifest
from hierarchy.taxonomy import VALENCE, Tree

ROOT = Path(hierarchy.__file__).parents[1]
RESULTS = ROOT / "results"
STORED = sorted(path.parent.name for path in RESULTS.glob(f"*/{predictions.FILE}"))
N = 96
QUICK = ("net.stages=[[2]]", "fit.epochs=1", "fit.batch_size=16", "warm_start.epochs=1")
TABLE = "needs a table of other columns than the pixels of a face"
OTHER_COLUMNS = dict.fromkeys(
    (
        "check_classifier_data_not_an_array",
        "check_classifiers_classes",
        "check_classifiers_train",
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_dtype_object",
        "check_estimators_dtypes",
        "check_estimators_fit_returns_self",
        "check_estimators_nan_inf",
        "check_estimators_overwrite_params",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit2d_predict1d",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_fit_score_takes_y",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_readonly_memmap_input",
        "check_supervised_y_2d",
    ),
    TABLE,
)


def net(count: int, first: int):
    """Logits computed from pixels of each face, from `first` on; no two are equal."""
    weights = np.sin(np.arange(1, 5))[:, None] / 60

    def logits(pixels: np.ndarray) -> np.ndarray:
        few = pixels.reshape(len(pixels), -1)[:, first : first + 4 * count].reshape(-1, 4, count)
        return (few * weights).sum(axis=1).astype(np.float32)

    return logits


def opened(tree: Tree = VALENCE, **params: object) -> HierarchicalClassifier:
    """A classifier with nets that are functions."""
    classifier = HierarchicalClassifier(**params)
    classifier.run_, classifier.tree_, classifier.calibration_ = runs.run("none"), tree, {}
    classifier.classes_ = np.sort(tree.leaves)
    classifier.nets_ = {
        node: net(len(tree.classes_of(node)), 9 * place) for place, node in enumerate(tree.nodes)
    }
    return classifier


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE), dtype=np.uint8)


@pytest.fixture
def names(pixels, tree) -> np.ndarray:
    """A name for every face, two thirds of them as predicted."""
    predicted = opened(tree).predict(pixels)
    return np.where(np.arange(N) % 3 > 0, predicted, np.resize(tree.leaves, N))


@pytest.fixture
def tree() -> Tree:
    return VALENCE


@pytest.fixture
def any_tree(other_tree) -> Tree:
    return other_tree


@pytest.fixture
def without_training(monkeypatch, stored_run) -> list[dict]:
    """`fit` takes the nets of the stored run; the list holds the recipe of every training."""
    from hierarchy.training import train

    trained = []

    def fake(run, faces, recipe, *, nodes, identity, backend, verbose):
        trained.append(identity["recipe"])
        for node in nodes:
            data = stored_run.net(node).read_bytes()
            run.add_net(node, data, {"seed": 0, "backend": "jax"}, identity, recipe.tree)
        run.amend({"calibration": {}})

    monkeypatch.setattr(train, "train", fake)
    return trained


def by_hand(tree: Tree, classifier: HierarchicalClassifier, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Probability of each leaf, float64[N], multiplied from the nets' softmaxes."""
    softmax = {}
    for node in tree.nodes:
        power = np.exp(classifier.nets_[node](pixels).astype(np.float64))
        shares = power / power.sum(axis=1, keepdims=True)
        softmax[node] = dict(zip(tree.classes_of(node), shares.T, strict=True))
    return {
        leaf: softmax[tree.nodes[0]][branch] * (softmax[branch][leaf] if branch in softmax else 1.0)
        for branch, leaves in tree.children.items()
        for leaf in leaves
    }


def test_the_classes_are_sorted_and_the_columns_are_theirs(pixels, other_tree):
    classifier = opened(other_tree)
    assert classifier.classes_.tolist() == sorted(other_tree.leaves)
    expected = by_hand(other_tree, classifier, pixels)
    probability = classifier.predict_proba(pixels)
    for column, name in enumerate(classifier.classes_):
        np.testing.assert_allclose(probability[:, column], expected[name], rtol=0, atol=1e-12)
    assert np.array_equal(classifier.predict(pixels), classifier.classes_[probability.argmax(axis=1)])
    joint = classifier.predictions(pixels).joint
    assert np.array_equal(classifier.lazy(pixels)[0], joint.argmax(axis=1)), "leaves in the tree's order"


@pytest.mark.parametrize("name", STORED)
def test_the_labels_of_stored_logits_are_those_of_the_trees_leaves(name):
    """The labels of every run are those that its scores were computed from."""
    manifest = RunManifest.from_dict(fileio.read_json(RESULTS / name / runs.MANIFEST), name)
    stored = predictions.read(RESULTS / name / predictions.FILE)
    tree, count = manifest.tree, len(stored.label)
    classifier = opened(tree)
    classifier.nets_ = {node: lambda rows, own=own: own[_rows(rows)] for node, own in stored.logits.items()}
    classifier.calibration_ = manifest.calibration
    faces = np.zeros((count, SIDE, SIDE), np.uint8)
    faces.reshape(count, -1)[:, :4] = np.arange(count, dtype="<u4")[:, None].view(np.uint8)
    routed = routing.predict_from_logits(tree, stored.logits, manifest.calibration)[0]
    labels = np.array(tree.leaves)[routing.soft(routed)]
    assert np.array_equal(classifier.predict(faces), labels)
    probability = classifier.predict_proba(faces)
    assert np.array_equal(classifier.classes_[probability.argmax(axis=1)], labels)
    target = stored.target(tree)
    right = (labels == np.array([*tree.leaves, ""])[target])[target >= 0]
    scores = fileio.read_json(RESULTS / name / "scores.json")
    recorded = scores["tree"]["soft"] if scores["has_tree"] else scores["flat"]
    assert right.mean() == pytest.approx(recorded["accuracy"], abs=1e-12)
    inside = target >= 0
    loss = log_loss(np.array(tree.leaves)[target[inside]], probability[inside], labels=classifier.classes_)
    by_hand = -np.log(routed.joint[inside, target[inside]]).mean()
    assert loss == pytest.approx(by_hand, abs=1e-9)


def _rows(faces: np.ndarray) -> np.ndarray:
    """The row that a face's first pixels write down."""
    return np.ascontiguousarray(faces.reshape(len(faces), -1)[:, :4]).view("<u4").ravel()


def test_metrics_are_right_to_the_digit(pixels, names):
    classifier = opened()
    chances = by_hand(VALENCE, classifier, pixels)
    own = np.array([chances[name][row] for row, name in enumerate(names)])
    probability = classifier.predict_proba(pixels)
    assert log_loss(names, probability) == pytest.approx(-np.log(own).mean(), abs=1e-12)
    better = sum((column > own).astype(int) for column in chances.values())
    for k in (1, 2, 3):
        assert top_k_accuracy_score(names, probability, k=k) == (better < k).mean()
    areas = []
    for name, column in chances.items():
        inside, outside = column[names == name], column[names != name]
        areas.append(np.mean((inside[:, None] > outside) + 0.5 * (inside[:, None] == outside)))
    ours = roc_auc_score(names, probability, multi_class="ovr")
    assert ours == pytest.approx(np.mean(areas), abs=1e-12)
    assert classifier.score(pixels, names) == (classifier.predict(pixels) == names).mean()


def test_confusion_matrix_from_the_estimator(pixels, names):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    classifier = opened()
    shown = ConfusionMatrixDisplay.from_estimator(classifier, pixels, names)
    predicted = classifier.predict(pixels)
    for row, true in enumerate(classifier.classes_):
        for column, name in enumerate(classifier.classes_):
            assert shown.confusion_matrix[row, column] == ((names == true) & (predicted == name)).sum()
    assert [text.get_text() for text in shown.ax_.get_xticklabels()] == classifier.classes_.tolist()
    matplotlib.pyplot.close(shown.figure_)


def test_it_is_a_classifier_that_knows_whether_it_is_fitted(pixels):
    from sklearn.exceptions import NotFittedError

    plain = HierarchicalClassifier(recipe="sketch", seed=3)
    assert is_classifier(plain)
    assert repr(plain) == "HierarchicalClassifier(recipe='sketch', seed=3)"
    for use in (lambda: check_is_fitted(plain), lambda: plain.predict(pixels)):
        with pytest.raises(NotFittedError):
            use()
    with pytest.raises(InputError) as caught:
        plain.predict(pixels)
    assert type(pickle.loads(pickle.dumps(caught.value))) is not InputError
    check_is_fitted(opened())
    assert not clone(opened(routing="hard")).__sklearn_is_fitted__()


def test_an_exported_calibration_of_a_frozen_classifier(pixels, names):
    classifier = opened()
    calibrated = CalibratedClassifierCV(FrozenEstimator(classifier), method="temperature")
    calibrated.fit(pixels, names)
    assert calibrated.classes_.tolist() == classifier.classes_.tolist()
    probability = calibrated.predict_proba(pixels)
    assert np.array_equal(probability.argmax(axis=1), classifier.predict_proba(pixels).argmax(axis=1))
    assert log_loss(names, probability) < log_loss(names, classifier.predict_proba(pixels))


def test_cross_validation_scores_every_fold_with_its_own_nets(without_training, pixels, names):
    scores = cross_val_score(HierarchicalClassifier("sketch"), pixels, names, cv=3, error_score="raise")
    assert len(without_training) == 3 and scores.shape == (3,)
    likely = cross_val_score(
        HierarchicalClassifier("sketch"), pixels, names, cv=3, scoring="neg_log_loss", error_score="raise"
    )
    assert np.isfinite(likely).all() and (likely < 0).all()


def test_a_grid_over_recipe_and_settings(without_training, pixels, names, tmp_path):
    grid = {"recipe": ["sketch", str(tmp_path / "own.json")], "settings": [("fit.epochs=1",), "fit.epochs=2"]}
    from hierarchy.config import overrides, recipes

    overrides.store(recipes.SKETCH, tmp_path / "own.json")
    search = GridSearchCV(HierarchicalClassifier(), grid, cv=2, error_score="raise")
    search.fit(pixels, names, verbose=False)
    assert len(without_training) == 2 * 2 * 2 + 1
    assert {each["fit"]["epochs"] for each in without_training} == {1, 2}
    assert search.best_params_.keys() == grid.keys()
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(pixels, names) == search.best_estimator_.score(pixels, names)
    assert search.classes_.tolist() == sorted(VALENCE.leaves)


def test_a_pipeline(without_training, pixels, names):
    rows = pixels.reshape(N, -1)
    inverted = FunctionTransformer(lambda X: 255 - X)
    steps = make_pipeline(inverted, HierarchicalClassifier("sketch", flat_rows=True)).fit(rows, names)
    assert "HierarchicalClassifier" in repr(steps) and "HierarchicalClassifier" in steps._repr_html_()
    classifier = steps[-1]
    assert np.array_equal(steps.predict_proba(rows), classifier.predict_proba(255 - pixels))
    assert steps.score(rows, names) == classifier.score(255 - pixels, names)
    assert steps.classes_.tolist() == classifier.classes_.tolist()


def test_flat_rows_are_faces_where_they_are_accepted(pixels):
    rows, expected = pixels.reshape(N, -1), opened().predict_proba(pixels)
    accepting = opened(flat_rows=True)
    for X in (
        rows,
        rows.tolist(),
        np.asfortranarray(rows),
        rows / 255,
        (rows / 255).astype(np.float32),
        pixels,
    ):
        assert np.array_equal(accepting.predict_proba(X), expected)
    whole = opened(flat_rows=True, value_range=(0, 255))
    assert np.array_equal(whole.predict_proba(rows.astype(np.float64)), expected)
    with pytest.raises(InputError, match="flat_rows=True"):
        opened().predict(rows)
    with pytest.raises(InputError, match=r"\b7\b.*2304"):
        accepting.predict(rows[:, :7])


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.5])
def test_floats_outside_of_the_range_are_refused_with_their_row(pixels, value):
    rows = pixels.reshape(N, -1) / 255
    rows[5, 7] = value
    with pytest.raises(InputError, match=r"\b5\b") as caught:
        opened(flat_rows=True).predict(rows)
    assert "\n" not in str(caught.value)


def test_fit_takes_flat_rows_of_floats(monkeypatch, without_training, pixels, names):
    from hierarchy.data import labelling

    given = []
    labelled = labelling.labelled
    monkeypatch.setattr(labelling, "labelled", lambda tree, X, y: given.append(X) or labelled(tree, X, y))
    rows = pixels.reshape(N, -1)
    classifier = HierarchicalClassifier("sketch", flat_rows=True)
    classifier.fit(rows / 255, names, validation=(rows, names))
    assert len(given) == 2 and all(np.array_equal(faces, pixels) for faces in given)


@pytest.mark.parametrize(
    ("X", "y", "key"),
    [
        ([], [], "2D array"),
        (np.zeros((0, SIDE, SIDE), np.uint8), [], "0 sample"),
        (np.full((4, SIDE, SIDE), np.nan), list("abcd"), "NaN"),
        (np.full((4, SIDE, SIDE), 1j), list("abcd"), "Complex"),
        (np.full((4, SIDE, SIDE), -1), list("abcd"), "Negative"),
        (np.zeros((4, SIDE, SIDE), object), list("abcd"), r"\["),
        (np.zeros((4, SIDE, SIDE), np.uint8), None, r"\by\b"),
        (np.zeros((4, SIDE, SIDE), np.uint8), ["happy"], "4"),
        (np.zeros((4, SIDE, SIDE), np.uint8), ["happy"] * 4, "'happy'"),
        (np.zeros((4, SIDE, SIDE), np.uint8), [0.5, 1.5, 2.5, 3.5], "continuous"),
        (np.zeros((4, SIDE, SIDE), np.uint8), [0, 1, 2, 3], "'0'"),
        ([[1, 2], [3]], ["happy", "sad"], "fit"),
        ("faces", "names", "fit"),
        (None, ["happy", "sad"], "fit"),
    ],
)
def test_fit_refuses_nonsense_in_one_line(without_training, X, y, key):
    with pytest.raises(InputError, match=key) as caught:
        HierarchicalClassifier("sketch").fit(X, y)
    assert "\n" not in str(caught.value) and not without_training


@pytest.mark.parametrize("validation", [3, (), ("a",), (np.zeros((2, 48, 48), np.uint8), ["happy"] * 2, 1)])
def test_fit_refuses_a_validation_set_that_is_none(without_training, pixels, names, validation):
    with pytest.raises(InputError, match=r"^validation|^image|^a: "):
        HierarchicalClassifier("sketch").fit(pixels, names, validation)


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"recipe": "quick"}, "'quick'"),
        ({"recipe": None}, "^recipe None"),
        ({"settings": ("fit.epoch=1",)}, r"fit\.epoch"),
        ({"settings": ("net.stages=[[0]]",)}, r"net\.stages"),
        ({"settings": ("net.size=9",)}, r"net\.size"),
        ({"settings": 3}, "^settings 3"),
        ({"settings": (3,)}, "^settings"),
        ({"settings": "fit.epochs"}, "fit.epochs"),
        ({"settings": ("fit.distillation_weight=0.5",)}, "distillation_weight"),
        ({"seed": -1}, "^seed -1"),
        ({"seed": None}, "^seed None"),
        ({"seed": "0"}, "^seed '0'"),
        ({"tree": 3}, "^tree 3"),
    ],
)
def test_fit_refuses_what_the_command_line_refuses(pixels, names, params, key, monkeypatch):
    from hierarchy.models.keras_backend import Keras

    monkeypatch.setattr(Keras, "fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(InputError, match=key) as caught:
        HierarchicalClassifier(**({"recipe": "sketch"} | params)).fit(pixels, names)
    assert "\n" not in str(caught.value)


def test_fit_refuses_a_backend_that_is_missing(pixels, names, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(InputError, match="theano"):
        HierarchicalClassifier("sketch").fit(pixels, names)


def test_a_stored_run_is_pickled_by_its_name(tiny_run, pixels):
    model = HierarchicalClassifier.load("tiny", view="flip")
    expected = model.predict_proba(pixels[:4])
    stored = pickle.dumps(model)
    assert len(stored) < 2000 < sum(path.stat().st_size for path in tiny_run.folder.iterdir())
    for again in (pickle.loads(stored), copy.deepcopy(model), copy.copy(model)):
        assert (again.engine_, again.tree_, again.run_) == (model.engine_, model.tree_, model.run_)
        assert again.get_params() == model.get_params()
        assert np.array_equal(again.predict_proba(pixels[:4]), expected)
    runs.run("tiny").amend({"tree": {name: leaves for name, leaves in reversed(VALENCE.children.items())}})
    with pytest.raises(InputError, match="'tiny'"):
        pickle.loads(stored)


def test_a_pickle_of_a_run_that_is_gone_is_refused_in_one_line(tiny_run, own_home, monkeypatch):
    stored = pickle.dumps(HierarchicalClassifier.load("tiny"))
    monkeypatch.setenv("HIERARCHY_HOME", str(own_home / "elsewhere"))
    with pytest.raises(InputError, match="'tiny'"):
        pickle.loads(stored)


def test_a_fitted_classifier_is_pickled_with_its_nets(without_training, pixels, names, tmp_path):
    fitted = HierarchicalClassifier("sketch").fit(pixels, names)
    expected = fitted.predict_proba(pixels[:4])
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    again = [
        joblib.load(tmp_path / "fitted.joblib"),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
    ]
    assert len({classifier.run_.folder for classifier in (fitted, *again)}) == 1 + len(again)
    del fitted
    for classifier in again:
        assert np.array_equal(classifier.predict_proba(pixels[:4]), expected)
    again[0].save("kept")
    assert np.array_equal(HierarchicalClassifier.load("kept").predict_proba(pixels[:4]), expected)
    unfitted = pickle.loads(pickle.dumps(HierarchicalClassifier(seed=4)))
    assert unfitted.get_params() == HierarchicalClassifier(seed=4).get_params()


def answered(model: HierarchicalClassifier, pixels: np.ndarray, answers) -> None:
    """Put the probabilities, or the reason of failure, into a queue."""
    try:
        answers.put(model.predict_proba(pixels))
    except InputError as error:
        answers.put(str(error))


def in_process(method: str, model: HierarchicalClassifier, pixels: np.ndarray) -> np.ndarray | str:
    """What a model answers in another process, started by `method`."""
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    process = context.Process(target=answered, args=(model, pixels, answers))
    process.start()
    try:
        return answers.get(timeout=120)
    except queue.Empty:
        return "no answer"
    finally:
        process.kill()
        process.join()


SCRIPT = """
import sys
from tests.test_sklearn import *
pixels = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
model = HierarchicalClassifier.load(engine=sys.argv[1])
expected = model.predict_proba(pixels)
answer = in_process(sys.argv[2], model, pixels)
print(answer if isinstance(answer, str) else f"difference {np.abs(answer - expected).max()}")
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_a_model_answers_in_other_processes_or_is_refused(engine, method, tmp_path):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, engine, method],
        cwd=ROOT,
        env={**os.environ, "HIERARCHY_HOME": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if (engine, method) == ("keras", "fork"):
        assert "Keras" in done.stdout and "spawn" in done.stdout and done.stdout.count("\n") == 1
    else:
        assert float(done.stdout.removeprefix("difference ")) < 1e-6


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_checks_pass_where_they_do_not_need_other_tables():
    classifier = HierarchicalClassifier("sketch", QUICK, flat_rows=True)
    results = check_estimator(classifier, expected_failed_checks=OTHER_COLUMNS, on_fail=None, on_skip=None)
    counts = Counter(result["status"] for result in results)
    assert not counts["failed"], [result for result in results if result["status"] == "failed"]
    assert 2 * counts["passed"] >= len(results), counts
    excused = [result for result in results if result["status"] == "xfail"]
    assert {result["check_name"] for result in excused} == OTHER_COLUMNS.keys()
    for result in excused:  # each was stopped by the number of columns and by nothing else
        assert isinstance(result["exception"], InputError) and "feature" in str(result["exception"])


@pytest.mark.slow
def test_fit_prints_only_where_it_is_asked_to(pixels, names, capfd):
    params = {"recipe": "sketch", "settings": QUICK}
    fitted = HierarchicalClassifier(**params).fit(pixels, names, verbose=False)
    assert capfd.readouterr() == ("", "")
    HierarchicalClassifier(**params).fit(pixels, names)
    assert "epoch 1/1" in capfd.readouterr().err
    assert np.isfinite(log_loss(names, fitted.predict_proba(pixels)))
    check_is_fitted(pickle.loads(pickle.dumps(fitted)))


def test_nothing_of_scikit_learn_is_imported_to_load_and_predict():
    script = (
        "import sys, numpy, hierarchy; model = hierarchy.HierarchicalClassifier.load(); "
        "model.predict(numpy.zeros((1, 48, 48), 'uint8')); print('sklearn' in sys.modules); repr(model)"
    )
    environment = {**os.environ, "HIERARCHY_HOME": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.slow
def test_the_documentation_answers_as_printed(monkeypatch, without_training):
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    text = (ROOT / "docs" / "scikit-learn.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    parser, runner, names = doctest.DocTestParser(), doctest.DocTestRunner(), {}
    example = parser.get_doctest(first, names, "scikit-learn", "scikit-learn.md", 0)
    runner.run(example, clear_globs=False)
    assert runner.tries and not runner.failures
    names, predictions = example.globs, example.globs["model"].predictions(example.globs["X"])
    own = [predictions.tree.leaves.index(name) for name in names["y"]]
    loss = -np.log(predictions.joint[np.arange(len(own)), own]).mean()
    assert f'>>> print(f"{{log_loss(y, model.predict_proba(X)):.2f}}")\n{loss:.2f}\n' in first
    exec(compile(second, "scikit-learn.md", "exec"), names)  # noqa: S102
    assert len(without_training) == 3 + 4 * 3 + 1 and np.isfinite(names["search"].best_score_)
