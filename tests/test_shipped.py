"""The shipped run holds what it promises: golden logits anywhere, every score on the real faces."""

import csv
import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hierarchy import fileio, routing, runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import audit
from hierarchy.data.dataset import Split
from hierarchy.evaluation import compare_report, evaluate, leaderboard, metrics, predictions

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
FOLDER = RESULTS / runs.DEFAULT_RUN
NUMBER = re.compile(r"-?[0-9.]+(e-?[0-9]+)?")
ONE_TENTH = 0.001  # of a point: three of 3,534 faces may tip over on another processor
PARTS = ("leak_free", "leak_free_near")
LARGEST, ALL = 16_000_000, 32_000_000  # bytes: a net's file, the default set


@pytest.fixture
def shipped(own_home):
    """A copy of the shipped run in the test's own home."""
    shutil.copytree(FOLDER, own_home / "results" / runs.DEFAULT_RUN)
    return runs.run(runs.DEFAULT_RUN)


def test_golden_logits(shipped):
    with np.load(ROOT / "tests" / "golden" / "golden.npz") as golden:
        classifier = HierarchicalClassifier.load(engine="keras")
        assert set(golden.files) == {"pixels", *classifier.nets_}
        for node in classifier.nets_:
            np.testing.assert_allclose(classifier.logits(node, golden["pixels"]), golden[node], atol=1e-3)


def test_the_weights_are_small_enough_to_ship():
    nets = [path for kind in ("*.keras", "*.onnx") for path in FOLDER.glob(kind)]
    sizes = [path.stat().st_size for path in nets]
    assert sizes and max(sizes) < LARGEST and sum(sizes) <= ALL


def test_the_tree_is_as_good_as_this_recipe_makes_it():
    scores = json.loads((FOLDER / "scores.json").read_text())
    assert scores["split"] == Split.PrivateTest.name
    assert scores["six_class"]["soft"]["accuracy"] >= 0.66  # below, something is wrong


@pytest.mark.parametrize(
    "quoted", [f"{runs.DEFAULT_RUN}/REPORT.md", "compare.md", "benchmarks.md", "detector/REPORT.md"]
)
def test_the_readme_quotes_what_the_program_wrote(quoted):
    readme = (ROOT / "README.md").read_text()
    written = (RESULTS / quoted).read_text().splitlines()
    for part in readme.split(f"<!-- lines of results/{quoted} -->")[1:]:
        lines = [line for line in part.split("<!-- end -->")[0].splitlines() if line.strip()]
        assert len(lines) > 4
        assert [line for line in lines if line not in written] == []


def test_the_committed_predictions_give_the_comparison(own_home):
    files = ("*/recipe.json", "*/scores.json", leaderboard.BENCHMARKS, "**/predictions.npz")
    for path in (path for pattern in files for path in RESULTS.glob(pattern) if committed(path)):
        copy = own_home / "results" / path.relative_to(RESULTS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    compare_report.compare()
    for file in (compare_report.CSV, leaderboard.CSV):
        same_table(own_home / "results" / file, RESULTS / file)


@functools.cache
def tracked() -> set[Path]:
    """The files in results/ that git keeps; none outside a git checkout."""
    if shutil.which("git") is None:
        return set()
    done = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True)
    return {ROOT / line for line in done.stdout.splitlines()}


def committed(path: Path) -> bool:
    """Whether a file is the repository's, and not of a run trained here since, as by `make train`."""
    return not tracked() or path in tracked()


def same_table(ours, theirs):
    now, then = ours.read_text().splitlines(), theirs.read_text().splitlines()
    assert len(now) == len(then)
    for ours, theirs in zip(csv.DictReader(now), csv.DictReader(then), strict=True):
        for key, value in theirs.items():
            expected = pytest.approx(float(value), abs=1e-6) if NUMBER.fullmatch(value) else value
            assert (float(ours[key]) if NUMBER.fullmatch(value) else ours[key]) == expected, (theirs, key)


@pytest.mark.real_data
def test_the_committed_predictions_give_the_committed_scores(shipped, fer2013):
    test = fer2013.of(Split.PrivateTest)
    recorded = json.loads((FOLDER / "scores.json").read_text())
    kept = predictions.read(FOLDER / predictions.FILE)
    np.testing.assert_array_equal(kept.row, test.row)
    np.testing.assert_array_equal(kept.label, test.label)
    rows = fer2013.split == Split.PrivateTest
    leaks = metrics.Leakage(audit.twins(fer2013)[rows], audit.near_twins(fer2013)[rows])
    tree, flat = routing.predict_from_logits(kept.logits, runs.run(runs.DEFAULT_RUN).card()["calibration"])
    floor = recorded["abstain"]["min_confidence"]
    scores = metrics.score(tree, test, flat=flat, leaks=leaks, min_confidence=floor)
    assert (scores["n"], scores["leak_free"]["n"]) == (3534, 3262)
    differ(scores, {key: recorded[key] for key in scores}, 1e-9)


@pytest.mark.real_data
def test_the_weights_score_on_real_faces_what_is_recorded(shipped, fer2013):
    recorded = fileio.read_json(shipped.folder / "scores.json")
    floor = recorded["abstain"]["min_confidence"]
    evaluate.evaluate(runs.DEFAULT_RUN, None, split="PrivateTest", view="single", floor=floor)
    scores = fileio.read_json(shipped.folder / "scores.json")
    for noisy in ("confusion", "reliability", "soft_against_flat", "abstain"):  # counts, not shares
        for part in (recorded, scores, *(box[key] for box in (recorded, scores) for key in PARTS)):
            part.pop(noisy, None)
    differ(scores, recorded, ONE_TENTH)


def differ(now, then, tolerance, where="scores"):
    """Fail where a score has left what is recorded; what is not a share must be equal."""
    if isinstance(now, dict):
        assert now.keys() == then.keys(), where
        for key, value in now.items():
            differ(value, then[key], tolerance, f"{where}.{key}")
    elif isinstance(now, float):
        wide = 5 if "per_class" in where else 1  # a class has a few hundred faces
        assert now == pytest.approx(then, abs=wide * tolerance), where
    elif isinstance(now, list):
        assert len(now) == len(then), where
        for index, value in enumerate(now):
            differ(value, then[index], tolerance, f"{where}[{index}]")
    else:
        assert now == then, where
