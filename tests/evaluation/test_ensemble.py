"""Runs predict together from their stored predictions: by their mean, or by vote."""

import json
import shutil

import numpy as np
import pytest

from hierarchy import routing, runs
from hierarchy.errors import InputError
from hierarchy.evaluation import ensemble, evaluate
from hierarchy.routing import Predictions
from hierarchy.taxonomy import VALENCE


def predictions(*rows):
    return routing.from_flat(VALENCE, np.array(rows, float))


def test_the_mean_is_of_the_probabilities_of_the_leaves():
    said = [predictions([0.6, 0, 0, 0.4, 0, 0]), predictions([0, 0, 0.2, 0.8, 0, 0])]
    np.testing.assert_allclose(routing.mean(said).joint, [[0.3, 0, 0.1, 0.6, 0, 0]])


@pytest.mark.parametrize(
    "rows, chosen",
    [
        (
            ([0.4, 0.3, 0.3, 0, 0, 0], [0.4, 0.3, 0.3, 0, 0, 0], [0, 1, 0, 0, 0, 0]),
            0,
        ),  # two votes against one
        (([0.9, 0.1, 0, 0, 0, 0], [0.4, 0.6, 0, 0, 0, 0]), 0),  # one each: the mean decides
        (([0.9, 0.1, 0, 0, 0, 0], [0, 0.4, 0, 0, 0.6, 0], [0, 0.4, 0.6, 0, 0, 0]), 0),
    ],
)
def test_a_vote_counts_heads_and_the_mean_parts_equals(rows, chosen):
    voted = ensemble.voted([predictions(row) for row in rows])
    assert routing.soft(voted) == [chosen]
    np.testing.assert_allclose(voted.joint.sum(), 1)


@pytest.fixture
def two_runs(tiny_run):
    """The tiny run and one of the same nets whose classes it calibrates otherwise, both evaluated."""
    other = runs.run("other")
    shutil.copytree(tiny_run.folder, other.folder)
    other.amend({"run": "other", "calibration": {"router": {"offset": [-3.0, 0.0], "temperature": 1.0}}})
    for name in ("tiny", "other"):
        evaluate.evaluate(name, None, split="PrivateTest", view="single", min_confidence=0.5)


def test_an_ensemble_is_scored_with_the_report_of_a_run(two_runs):
    said = ensemble.evaluate(["tiny", "other"], None, split="PrivateTest", view="single", min_confidence=0.5)
    folder = runs.home() / "results" / "ensembles" / "tiny+other-mean-PrivateTest-single"
    assert str(folder) in said and " only" not in said
    report = (folder / "REPORT.md").read_text()
    assert "by the mean of tiny, other." in report
    assert "| together |" in report and "not complete" not in report
    assert "ensembles" not in runs.names()
    one, other, both = (
        json.loads((place / "scores.json").read_text())
        for place in (runs.run("tiny").folder, runs.run("other").folder, folder)
    )
    assert both["n"] == one["n"] == other["n"] and both["tree"]["soft"]["n"] == one["n"]


def test_what_it_says_is_what_its_runs_say_together(two_runs, few_sketches):
    from hierarchy.data.dataset import Split
    from hierarchy.evaluation import predictions as kept

    ensemble.evaluate(
        ["tiny", "other"], None, split="PrivateTest", view="single", min_confidence=0.5, out=runs.home() / "x"
    )
    each = []
    for name in ("tiny", "other"):
        manifest = runs.run(name).manifest()
        logits = kept.of_run(manifest, "PrivateTest", "single").logits
        each.append(routing.predict_from_logits(VALENCE, logits, manifest.calibration)[0])
    together = kept.read(runs.home() / "x" / kept.FILE)
    assert len(together.row) == (few_sketches.split == Split.PrivateTest).sum()
    expected = (each[0].joint + each[1].joint) / 2
    np.testing.assert_allclose(np.exp(together.logits["flat"]), expected, atol=1e-6)
    assert isinstance(each[0], Predictions)


@pytest.mark.parametrize("names", [["tiny"], ["tiny", "tiny"]])
def test_one_run_is_no_ensemble(names):
    with pytest.raises(InputError, match="--ensemble tiny"):
        ensemble.evaluate(names, None, split="PrivateTest", view="single", min_confidence=0.5)


def test_what_cannot_be_joined_is_named(two_runs):
    how = {"split": "PrivateTest", "view": "single", "min_confidence": 0.5}
    with pytest.raises(InputError, match="run 'tiny': .*PrivateTest, flip"):
        ensemble.evaluate(["tiny", "other"], None, **(how | {"view": "flip"}))
    with pytest.raises(InputError, match="'other'"):
        ensemble.evaluate(["tiny", "other"], None, **how, out=runs.run("other").folder / "x")
    with pytest.raises(InputError, match="split 'Test': .*PublicTest, PrivateTest"):
        ensemble.evaluate(["tiny", "other"], None, **(how | {"split": "Test"}))
    runs.run("other").amend({"labels": "ferplus"})
    with pytest.raises(InputError, match=r"--ensemble: .*\(fer2013, ferplus\)"):
        ensemble.evaluate(["tiny", "other"], None, **how)


def test_runs_of_different_trees_are_refused_with_both_printed(tiny_run, manifest_run, other_tree):
    manifest_run("another", other_tree)
    with pytest.raises(InputError, match="'another'") as refused:
        ensemble.evaluate(["tiny", "another"], None, split="PrivateTest", view="single", min_confidence=0.5)
    assert str(other_tree) in str(refused.value) and str(VALENCE) in str(refused.value)


def test_votes_of_any_tree_are_counted(other_tree, rng):
    shares = rng.dirichlet(np.ones(len(other_tree.leaves)), 20)
    members = [routing.from_flat(other_tree, shares)] * 3
    assert ensemble.voted(members).tree == other_tree
    np.testing.assert_array_equal(routing.soft(ensemble.voted(members)), shares.argmax(axis=1))
