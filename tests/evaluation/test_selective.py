"""The minimum confidence that a run's PublicTest faces ask for, against the scores stored of them."""

from pathlib import Path

import pytest

from hierarchy import runs
from hierarchy.errors import InputError
from hierarchy.evaluation import selective
from hierarchy.evaluation.scores import Scores

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["duo", "fer2013", "full", "small"])
def test_the_least_confidence_at_which_enough_labels_are_right(name, monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    run = runs.run(name)
    curve = selective.selections(run.manifest())
    scores = Scores.read(run.folder / "PublicTest-single" / "scores.json")
    stored = scores.selective
    same = next(each for each in curve if each.min_confidence == stored["min_confidence"])
    assert (same.coverage, same.accuracy) == pytest.approx((stored["coverage"], stored["accuracy"]))
    assert curve[0] == pytest.approx((0.0, 1.0, scores.tree["soft"]["accuracy"]))
    least = selective.chosen(curve)
    right = {each.min_confidence: each.accuracy for each in curve}
    assert right[least] >= selective.RIGHT > max(right[lower] for lower in right if lower < least)


def test_a_run_without_predictions_of_public_test_is_refused(manifest_run):
    with pytest.raises(InputError, match="PublicTest"):
        selective.selections(manifest_run().manifest())
