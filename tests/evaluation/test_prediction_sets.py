"""What prediction sets achieve: counted again by hand, in report and card, and added by evaluate."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy import fileio, routing, runs
from hierarchy.data import loading
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.evaluation import prediction_sets, predictions, run_report
from hierarchy.evaluation.evaluate import evaluate
from hierarchy.evaluation.scores import Scores
from hierarchy.reports import model_card, run_markdown
from hierarchy.taxonomy import VALENCE
from hierarchy.training import conformal


@pytest.fixture
def with_sets(other_scored):
    """A run of another tree with conformal scores, and its scores with those of the sets."""
    tree, stored = other_scored.manifest.tree, other_scored.stored
    fitted = conformal.fit(tree, stored.logits, stored.target(tree), other_scored.manifest.calibration)
    manifest = replace(other_scored.manifest, conformal=fitted)
    sets = prediction_sets.score(manifest, stored.logits, stored.target(tree), stored.leaks)
    return manifest, stored, other_scored.whole | {"prediction_sets": sets}


def test_coverage_and_size_are_counted_for_all_branches_and_classes(with_sets):
    manifest, stored, scores = with_sets
    tree, leaf = manifest.tree, stored.target(manifest.tree)
    assert scores["prediction_sets"]
    for asked, groups in scores["prediction_sets"].items():
        sets = routing.prediction_sets(tree, stored.logits, manifest.conformal, float(asked))
        names = [[name] for name in tree.leaves] + [list(leaves) for leaves in tree.children.values()]
        rows = [*groups["classes"].values(), *groups["branches"].values()]
        for members, row in zip(names, rows, strict=True):
            own = np.flatnonzero([code >= 0 and tree.leaves[code] in members for code in leaf])
            assert row["n"] == len(own)
            assert row["coverage"] == pytest.approx(np.mean([sets[at, leaf[at]] for at in own]))
            assert row["size"] == pytest.approx(np.mean([sum(sets[at]) for at in own]))
        assert list(groups["faces"]) == ["all", "leak_free", "leak_free_near"]
        assert groups["faces"]["all"]["n"] == scores["n"]


def test_report_and_card_tell_what_sets_achieve(with_sets):
    manifest, _, scores = with_sets
    Scores.from_dict(scores, "scores.json")
    for text in (run_markdown.markdown(scores, manifest), model_card.markdown(scores, manifest)):
        part = text.split("## Prediction sets")[1].split("\n## ")[0]
        assert all(f"\n| {name} |" in part for name in (*manifest.tree.branches, *manifest.tree.leaves))
    without = {key: value for key, value in scores.items() if key != "prediction_sets"}
    assert "Prediction sets" not in run_markdown.markdown(without, manifest)


def test_evaluate_adds_conformal_scores_to_a_run_without_them(tiny_run, monkeypatch):
    """There are too few sketches in this run's PublicTest, so that others stand in for its faces."""
    many = sketch_faces(300)
    tiny_run.amend({"data": loading.describe(many, VALENCE)})
    monkeypatch.setattr(loading, "SKETCHES", 300)
    evaluate("tiny", None, split="PublicTest", view="single", min_confidence=0.5)
    assert tiny_run.manifest().conformal is None
    evaluate("tiny", None, split="PrivateTest", view="single", min_confidence=0.5)
    manifest = tiny_run.manifest()
    public = predictions.of_run(manifest, "PublicTest", "single")
    leaf = public.target(manifest.tree)
    assert manifest.conformal == conformal.fit(manifest.tree, public.logits, leaf, manifest.calibration)
    assert fileio.read_json(tiny_run.folder / run_report.SCORES)["prediction_sets"]
    manifest_before = (tiny_run.folder / runs.MANIFEST).read_bytes()
    evaluate("tiny", None, split="PrivateTest", view="single", min_confidence=0.5)
    assert (tiny_run.folder / runs.MANIFEST).read_bytes() == manifest_before


def test_too_few_faces_give_no_sets(tiny_run):
    evaluate("tiny", None, split="PrivateTest", view="single", min_confidence=0.5)
    assert tiny_run.manifest().conformal is None
