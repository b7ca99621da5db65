"""Scores against scikit-learn, against examples worked by hand, and against the laws between them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score, recall_score

from hierarchy import routing
from hierarchy.data.dataset import UNLABELLED, FaceDataset, Origin, Split
from hierarchy.data.formats import FER2013_NAMES, ferplus
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, statistics
from hierarchy.evaluation.predictions import Leakage
from hierarchy.evaluation.scores import Scores
from hierarchy.routing import Predictions
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE, Tree

ROWS = 700
LEAVES, BRANCHES, NODES = VALENCE.leaves, VALENCE.branches, VALENCE.nodes


def faces_of(label: np.ndarray) -> FaceDataset:
    n = len(label)
    split = np.full(n, Split.PrivateTest, np.int8)
    return FaceDataset(
        np.zeros((n, 48, 48), np.uint8), label.astype(np.int8), split, np.arange(n, dtype=np.int32)
    )


def predicted(faces: FaceDataset, seed: int) -> Predictions:
    """Predictions somewhat better than chance."""
    draw = np.random.default_rng(seed)
    target = faces.target(VALENCE, FLAT)
    logits = draw.normal(size=(len(faces), len(LEAVES))) + 1.5 * (target[:, None] == np.arange(len(LEAVES)))
    logits[:, VALENCE.leaf_slice(BRANCHES[-1])] += 0.7 * draw.normal(size=(len(faces), 1))
    return routing.from_flat(VALENCE, routing.softmax(logits))


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return faces_of(np.random.default_rng(0).integers(UNLABELLED, len(FER2013_NAMES), ROWS))


@pytest.fixture(scope="module")
def predictions(faces: FaceDataset) -> Predictions:
    return predicted(faces, 1)


@pytest.fixture(scope="module")
def flat(faces: FaceDataset) -> np.ndarray:
    return predicted(faces, 2).joint


@pytest.fixture(scope="module")
def scores(faces: FaceDataset, predictions: Predictions, flat: np.ndarray) -> dict:
    leaks = Leakage(np.arange(ROWS) % 5 == 0, np.arange(ROWS) % 7 == 0)
    return metrics.score(predictions, faces, flat=flat, leaks=leaks, min_confidence=0.5)


def names(labels: np.ndarray) -> list[str]:
    return [LEAVES[code] for code in labels]


def test_accuracies_and_f1_are_scikit_learns(faces, predictions, flat, scores):
    six = np.isin(faces.label, [FER2013_NAMES.index(leaf) for leaf in LEAVES])
    truth = [FER2013_NAMES[code] for code in faces.label[six]]
    answers = {
        "soft": predictions.joint[six].argmax(axis=1),
        "hard": routing.hard(predictions)[six],
    }
    for rule, label in answers.items():
        found = scores["tree"][rule]
        assert found["accuracy"] == accuracy_score(truth, names(label))
        assert found["macro_f1"] == pytest.approx(f1_score(truth, names(label), average="macro"))
        assert found["n"] == scores["n"] == six.sum()
    assert scores["tree"]["soft"]["accuracy"] != scores["tree"]["hard"]["accuracy"]
    assert scores["flat"]["accuracy"] == accuracy_score(truth, names(flat[six].argmax(axis=1)))
    said = names(answers["soft"])
    for leaf, row in scores["per_class"].items():
        hit, claimed = np.array(truth) == leaf, np.array(said) == leaf
        assert row["precision"] == pytest.approx(precision_score(hit, claimed))
        assert row["recall"] == pytest.approx(recall_score(hit, claimed))
        assert row["f1"] == pytest.approx(f1_score(hit, claimed))
        assert row["support"] == hit.sum()
    table = confusion_matrix(truth, said, labels=list(LEAVES))
    assert scores["confusion"]["tree"] == table.tolist()
    branches = [
        [VALENCE.branch_of(leaf) for leaf in truth],
        [BRANCHES[b] for b in predictions.branch[six].argmax(axis=1)],
    ]
    assert scores["confusion"][ROUTER] == confusion_matrix(*branches, labels=list(BRANCHES)).tolist()
    assert scores["nodes"][ROUTER]["accuracy"] == accuracy_score(*branches)


def test_lazy_scores_are_softs_with_fewer_nets(scores):
    assert scores["tree"]["lazy"] == scores["tree"]["soft"]
    assert 2 <= scores["nets_per_face"]["lazy"] < len(NODES)


def test_hierarchical_f1_by_hand():
    happy, neutral, sad = (LEAVES.index(name) for name in ("happy", "neutral", "sad"))
    # leaf and branch right, branch alone right, nothing right: 2 + 1 + 0 of the 2 + 2 + 2 names
    truth, label = np.array([happy, happy, happy]), np.array([happy, neutral, sad])
    assert metrics.hierarchical_f1(VALENCE, truth, label) == 0.5


def test_calibration_error_by_hand():
    probability, right = np.array([0.95, 0.97, 0.5]), np.array([True, False, True])
    bins = statistics.reliability(probability, right)
    assert bins["count"].tolist() == [0] * 7 + [1] + [0] * 6 + [2]
    assert bins["confidence"][14] == pytest.approx(0.96)
    assert bins["accuracy"][[7, 14]].tolist() == [1.0, 0.5]
    assert statistics.calibration_error(probability, right) == pytest.approx((1 * 0.5 + 2 * 0.46) / 3)
    assert statistics.calibration_error(probability[:0], right[:0]) is None


def test_bins_are_closed_above():
    confidence = np.array([0.0, 1 / statistics.BINS, 1.0])
    count = statistics.reliability(confidence, np.array([True, True, True]))["count"]
    assert (count[0], count[-1]) == (2, 1)


def test_hard_confidence_is_the_joint_of_the_chosen_leaf():
    happy, neutral = LEAVES.index("happy"), LEAVES.index("neutral")
    leaf = np.zeros((1, len(LEAVES)))
    leaf[0, [happy, neutral, LEAVES.index("sad")]] = 0.55, 0.45, 1.0
    one = Predictions(np.array([[0.6, 0.4]]), leaf, VALENCE)  # soft says sad at .4, hard says happy at .33
    found = metrics.score(one, faces_of(np.array([FER2013_NAMES.index("happy")])), min_confidence=0)
    assert found["tree"]["hard"]["accuracy"] == 1
    assert found["tree"]["hard"]["ece"] == pytest.approx(1 - 0.33)
    assert found["tree"]["soft"]["ece"] == pytest.approx(0.4)


def test_soft_against_flat_counts_the_faces_they_differ_on(scores):
    pair, n = scores["soft_against_flat"], scores["n"]
    lead = (scores["tree"]["soft"]["accuracy"] - scores["flat"]["accuracy"]) * n
    assert pair["only_soft_right"] - pair["only_flat_right"] == pytest.approx(lead)


def test_faces_left_out_of_the_tree_are_wrong_among_seven(faces, scores):
    six, seven = scores["tree"]["soft"], scores["all_names"]["soft"]
    assert scores["left_out"] == {"disgust": (faces.label == FER2013_NAMES.index("disgust")).sum()}
    assert seven["n"] == six["n"] + sum(scores["left_out"].values()) == (faces.label >= 0).sum()
    assert seven["accuracy"] * seven["n"] == pytest.approx(six["accuracy"] * six["n"])


def test_a_specialist_is_judged_on_its_true_branch_alone(faces, predictions, scores):
    for branch in BRANCHES:
        elsewhere = faces.target(VALENCE, branch) < 0
        leaf = predictions.leaf.copy()
        leaf[elsewhere] = leaf[elsewhere][:, ::-1]
        spoilt = metrics.score(Predictions(predictions.branch, leaf, VALENCE), faces, min_confidence=0.5)
        assert spoilt["nodes"][branch] == scores["nodes"][branch]
        assert scores["nodes"][branch]["n"] == (~elsewhere).sum()


def test_leak_free_scores_are_the_scores_of_the_faces_that_stay(faces, predictions, flat, scores):
    twin, near = np.arange(ROWS) % 5 == 0, np.arange(ROWS) % 7 == 0
    for name, stay in (("leak_free", ~twin), ("leak_free_near", ~(twin | near))):
        alone = metrics.score(predictions.take(stay), faces.take(stay), flat=flat[stay], min_confidence=0.5)
        assert scores[name] == {key: alone[key] for key in scores[name]}
        assert {"tree", "all_names", "per_class", "flat", "nodes"} <= scores[name].keys()


def test_nothing_is_left_when_every_face_leaks(faces, predictions):
    everything = np.ones(ROWS, dtype=bool)
    found = metrics.score(predictions, faces, leaks=Leakage(everything, everything), min_confidence=0.5)
    assert found["leak_free"] == {"n": 0}


def test_a_branch_without_faces_has_no_score_and_the_rest_is_json():
    faces = faces_of(np.full(5, FER2013_NAMES.index("happy")))
    found = metrics.score(predicted(faces, 0), faces, min_confidence=1.0)
    empty = [node for node in BRANCHES if node != VALENCE.branch_of("happy")]
    assert all(
        found["nodes"][node] == {"n": 0, "accuracy": None, "ci95": None, "ece": None} for node in empty
    )
    assert found["selective"]["coverage"] == 0
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_taggers_are_the_truth_where_their_majority_is_a_leaf(predictions, faces):
    votes = np.zeros((ROWS, len(ferplus.CHOICES)), dtype=np.float32)
    said = routing.soft(predictions)
    votes[np.arange(ROWS), [ferplus.CHOICES.index(LEAVES[code]) for code in said]] = 6
    votes[:10, ferplus.CHOICES.index("contempt")] = 7  # no leaf
    votes[10:20, ferplus.CHOICES.index("unknown")] = 6  # a tie
    votes[20:26] = np.roll(votes[20:26], 1, axis=1)
    known = ferplus.plurality(votes, VALENCE)
    found = metrics.score(predictions, replace(faces, votes=votes), min_confidence=0)["ferplus"]
    assert found["n"] == (known >= 0).sum()
    right = sum(
        code >= 0 and ferplus.NAMES[code] == LEAVES[ours] for code, ours in zip(known, said, strict=True)
    )
    assert found["accuracy"] == right / found["n"]
    assert 0.98 < found["accuracy"] < 1


def test_surer_answers_are_fewer_and_better(faces, predictions):
    rows = [metrics.score(predictions, faces, min_confidence=floor)["selective"] for floor in (0.0, 0.4, 0.7)]
    assert rows[0]["coverage"] == 1
    assert rows[0]["coverage"] > rows[1]["coverage"] > rows[2]["coverage"] > 0
    assert rows[0]["accuracy"] < rows[1]["accuracy"] < rows[2]["accuracy"]


def test_scores_do_not_depend_on_the_order_of_faces(faces, predictions, scores):
    order = np.random.default_rng(3).permutation(ROWS)
    other = metrics.score(predictions.take(order), faces.take(order), min_confidence=0.5)
    for key in ("n", "per_class", "confusion", "all_names"):
        assert other[key] == scores[key]
    ours, theirs = other["tree"]["hard"], scores["tree"]["hard"]
    assert ours.pop("ece") == pytest.approx(theirs["ece"])  # a sum, so its last bits follow the order
    assert ours == {key: theirs[key] for key in ours}


def test_faces_without_labels_of_the_tree_are_refused():
    faces = replace(faces_of(np.array([UNLABELLED, FER2013_NAMES.index("disgust")])), source="crops")
    with pytest.raises(InputError, match="^crops: "):
        metrics.score(predicted(faces, 0), faces, min_confidence=0)


def test_predictions_of_other_faces_are_a_fault(faces, predictions, flat):
    with pytest.raises(ValueError, match="differ in number"):
        metrics.score(predictions.take(np.arange(9)), faces, min_confidence=0)
    with pytest.raises(ValueError, match="differ in number"):
        metrics.score(predictions, faces, flat=flat[:9], min_confidence=0)


def test_scores_of_any_tree_are_complete_and_scikit_learns(other_scored, other_tree):
    scores, faces = other_scored.scores, other_scored.faces
    inside = faces.target(other_tree, FLAT) >= 0
    truth = np.array(other_scored.faces.names)[faces.label[inside]]
    label = np.array(other_tree.leaves)[routing.soft(other_scored.predictions)[inside]]
    assert scores["tree"]["soft"]["accuracy"] == accuracy_score(truth, label)
    assert scores["tree"]["soft"]["macro_f1"] == pytest.approx(f1_score(truth, label, average="macro"))
    assert scores["tree"]["lazy"] == scores["tree"]["soft"]
    assert tuple(scores["nodes"]) == other_tree.nodes and tuple(scores["per_class"]) == other_tree.leaves
    assert scores["left_out"] == {"left out": (~inside).sum()} and scores["origins"] == {"real": inside.sum()}
    assert scores["all_names"]["soft"]["n"] == len(faces)
    assert scores["confusion"]["tree"] == confusion_matrix(truth, label, labels=other_tree.leaves).tolist()
    assert Tree.from_dict(scores["classes"]) == other_tree
    assert 1 <= scores["nets_per_face"]["lazy"] <= len(other_tree.nodes)
    assert Scores.from_dict(other_scored.whole, "scores.json").nodes == scores["nodes"]


def test_scores_count_rows_by_where_they_come_from(faces, predictions):
    sketches = np.arange(ROWS) % 3 == 0
    mixed = replace(faces, origin=np.where(sketches, Origin.sketch, Origin.real).astype(np.int8))
    counted = faces.target(VALENCE, FLAT) >= 0
    origins = metrics.score(predictions, mixed, min_confidence=0.5)["origins"]
    assert origins == {"real": (counted & ~sketches).sum(), "sketch": (counted & sketches).sum()}


@pytest.mark.parametrize(
    ("key", "value"),
    [("tree", 1), ("nodes", {}), ("classes", {"one": ["leaf"]}), ("six_class", {}), ("n", "many")],
)
def test_a_file_of_other_scores_is_refused_with_its_key(scored, key, value):
    with pytest.raises(InputError, match=f"^scores.json: .*{key}"):
        Scores.from_dict(scored.whole | {key: value}, "scores.json")


@pytest.mark.parametrize("values", [[], {}, {"n": 1}])
def test_a_file_without_scores_is_refused(tmp_path, values):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="scores.json"):
        Scores.read(path)
