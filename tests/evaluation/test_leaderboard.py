"""Every run has a row with the values of its own files."""

import csv
import io
from datetime import date

import pytest

from hierarchy import fileio, runs
from hierarchy.errors import InputError
from hierarchy.evaluation import benchmarks, leaderboard, run_report
from hierarchy.evaluation.benchmarks import Entry
from hierarchy.evaluation.evaluate import evaluate
from hierarchy.reports import captions, forest_plot, plots
from hierarchy.taxonomy import FLAT, VALENCE


@pytest.fixture
def two_runs(tiny_run):
    """Two runs, the other's flat net taken from the first; both evaluated."""
    for name in ("tiny", "other"):
        if name == "other":
            runs.copy(tiny_run, runs.run(name))
            nets = fileio.read_json(runs.run(name).folder / runs.MANIFEST)["nets"]
            nets[FLAT]["from"] = "tiny"
            runs.run(name).amend({"nets": nets, "framework": "PyTorch", "settings": ["fit.epochs=1"]})
        evaluate(name, None, split="PrivateTest", view="single", min_confidence=0.5)
    return tiny_run


def test_a_tree_and_a_flat_net_of_ones_own_have_a_line_each(two_runs):
    lines = leaderboard.standings()
    assert sorted((line["run"], line["answer"]) for line in lines) == [
        ("SKETCH other", "tree, soft"),
        ("SKETCH tiny", "flat net"),
        ("SKETCH tiny", "tree, soft"),
    ]
    accuracies = [line["accuracy"] for line in lines]
    assert accuracies == sorted(accuracies, reverse=True)


def test_a_row_has_the_values_of_manifest_and_scores(two_runs):
    line = next(line for line in leaderboard.standings() if line["answer"] == "tree, soft")
    manifest, scores = two_runs.manifest(), fileio.read_json(two_runs.folder / "scores.json")
    assert line["accuracy"] == scores["tree"]["soft"]["accuracy"]
    assert line["parameters"] == sum(manifest.nets[node].parameters for node in VALENCE.nodes)
    files = [two_runs.folder / manifest.nets[node].file for node in VALENCE.nodes]
    assert line["megabytes"] == sum(file.stat().st_size for file in files) / 1e6


def test_what_was_not_measured_is_a_dash_and_what_was_is_read(two_runs):
    assert leaderboard.standings()[0]["ms_64"] is None and "| - | - |" in leaderboard.markdown(
        leaderboard.standings()
    )
    speed = {"tiny": {"flat net": {"1": 2.5, "64": 0.125}}}
    benchmarks.write([Entry("a processor", (), 2, date(2026, 1, 2), {benchmarks.SPEED: speed})])
    lines = {(line["run"], line["answer"]): line for line in leaderboard.standings()}
    assert (
        lines["SKETCH tiny", "flat net"]["ms_1"] == 2.5 and lines["SKETCH tiny", "tree, soft"]["ms_1"] is None
    )
    assert "| 2.50 | 0.12 |" in leaderboard.markdown(leaderboard.standings())


def test_the_csv_holds_every_line_unrounded(two_runs):
    lines = leaderboard.standings()
    rows = list(csv.DictReader(io.StringIO(leaderboard.csv(lines))))
    assert [float(row["accuracy"]) for row in rows] == [line["accuracy"] for line in lines]
    assert rows[0]["low"] == str(lines[0]["ci95"][0])


def test_the_frameworks_and_the_labels_are_named(two_runs):
    runs.run("other").amend({"labels": "ferplus"})
    table = leaderboard.markdown(leaderboard.standings())
    assert "tiny with fit.epochs=1, ferplus labels" in table and "PyTorch on" in table
    axes = forest_plot.standings(leaderboard.standings()).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[-1].endswith("ferplus labels)") and len(names) == 3


def test_both_frameworks_on_the_same_work_stand_side_by_side(two_runs):
    speeds = {"tree, soft": {"1": 3.0, "64": 1.25}}
    known = {
        benchmarks.SAME: {"Keras": speeds, "PyTorch": speeds},
        benchmarks.TRAINED: {"Keras on JAX": {"faces_per_second": 99.6, "of_pytorch": 0.5}},
    }
    assert "the default run's nets" not in leaderboard.markdown(leaderboard.standings())
    benchmarks.write([Entry("a processor", (), 2, date(2026, 1, 2), known)])
    table = leaderboard.markdown(leaderboard.standings())
    assert "| PyTorch | tree, soft | 3.00 | 1.25 |" in table and "| Keras on JAX | 100 | 0.50 |" in table


def test_runs_of_several_trees_are_in_one_table(two_runs, manifest_run, other_scored, other_tree):
    run = manifest_run("another", other_tree)
    fileio.write_json(run.folder / run_report.SCORES, other_scored.whole)
    lines = leaderboard.standings()
    trees = [line["tree"] for line in lines]
    assert sorted(trees) == sorted([other_tree.hash, other_tree.hash, *["valence"] * 3])
    assert trees == sorted(trees, key=trees.index)  # rows of a tree are together
    row = next(line for line in lines if (line["run"], line["answer"]) == ("another", "tree, soft"))
    assert row["classes"] == captions.coverage(other_scored.whole) and row["n"] == other_scored.scores["n"]
    table = leaderboard.markdown(lines)
    assert f"| another | tree, soft | {other_tree.hash} |" in table
    names = forest_plot.standings(lines).axes[0].get_yticklabels()
    assert any(name.get_text().startswith(f"{other_tree.hash}: another") for name in names)


def test_damaged_scores_are_named(two_runs):
    (two_runs.folder / run_report.SCORES).write_text("{}")
    with pytest.raises(InputError, match=r"tiny/scores\.json"):
        leaderboard.standings()


def test_without_a_scored_run_there_is_an_empty_table(own_home):
    assert leaderboard.standings() == [] and leaderboard.csv([]).strip() == ""


def test_without_scores_the_plot_is_empty():
    assert plots.png(forest_plot.standings([])).startswith(b"\x89PNG")
