"""The comparison holds what the runs' predictions say, and nothing that they do not."""

import csv
import shutil

import numpy as np
import pytest

from hierarchy import metrics, routing, runs
from hierarchy.errors import InputError
from hierarchy.reports import predictions
from hierarchy.reports.compare import CSV, FILE, compare, verdict
from hierarchy.reports.evaluation import evaluate
from hierarchy.reports.predictions import judged
from hierarchy.taxonomy import FLAT

ALONE = ["flat net", "tree, hard", "tree, soft, without temperatures", "tree, soft", "tree times flat net"]


@pytest.fixture
def seeds(tiny_run):
    """Three runs of one recipe, whose logits differ; one face at least has a twin in Training."""
    evaluate(tiny_run.name, None, split="PrivateTest", view="single", floor=0.5)
    kept = predictions.read(tiny_run.folder / predictions.FILE)
    leaks = metrics.Leaks(kept.target == kept.target.max(), kept.leaks.near)
    for seed, run in enumerate((tiny_run, runs.run("other-1"), runs.run("other-2"))):
        if seed:
            runs.copy(tiny_run, run)
        draw = np.random.default_rng(seed)
        moved = {
            node: np.float32(value + draw.normal(size=value.shape)) for node, value in kept.logits.items()
        }
        changed = predictions.Kept(kept.row, kept.split, kept.label, moved, leaks)
        (run.folder / predictions.FILE).write_bytes(changed.to_bytes())
    return tiny_run.folder.parent


def rows(folder):
    with (folder / CSV).open(newline="") as file:
        return list(csv.DictReader(file))


def line(folder, answer, part="all"):
    return next(row for row in rows(folder) if (row["answer"], row["part"]) == (answer, part))


def test_runs_that_differ_in_their_seed_are_one_group(seeds):
    told = compare()
    assert (seeds / FILE).read_text().count("\n## ") == 1
    assert "SKETCH, tiny (other-1, other-2, tiny)" in (seeds / FILE).read_text()
    assert "Held against three flat nets averaged" in told and told.endswith(FILE)
    together = ["three flat nets averaged", "tree, three nets a node"]
    assert {row["answer"] for row in rows(seeds)} == {
        *ALONE,
        *together,
        "tree, three nets a node, times three flat nets",
    }
    assert line(seeds, "flat net")["systems"] == "3" and line(seeds, together[0])["systems"] == "1"
    assert line(seeds, "tree, hard")["nets"] == "2" and line(seeds, together[1])["nets"] == "9"


def test_a_line_is_what_the_predictions_say(seeds):
    compare()
    answers = []
    for name in runs.names():
        kept = predictions.read(runs.run(name).folder / predictions.FILE)
        answers.append((kept, *judged(kept.logits, runs.run(name).card()["calibration"])))
    six = answers[0][0].target >= 0
    truth = answers[0][0].target[six]
    soft = [np.mean(routing.soft(tree)[six] == truth) for _, tree, _ in answers]
    assert float(line(seeds, "tree, soft")["accuracy"]) == pytest.approx(np.mean(soft))
    flat = np.mean([flat for _, _, flat in answers], axis=0).argmax(axis=1)
    row = line(seeds, "three flat nets averaged")
    assert float(row["accuracy"]) == pytest.approx(np.mean(flat[six] == truth))
    assert int(row["n"]) == six.sum() > int(line(seeds, "tree, soft", "leak-free")["n"])


def test_a_run_of_another_recipe_is_a_group_of_its_own(seeds):
    other = runs.run("other-1")
    other.amend({"recipe": {**other.card()["recipe"], "name": "changed"}})
    assert "Held against" not in compare()  # two runs have no three flat nets
    assert (seeds / FILE).read_text().count("\n## ") == 2


def test_without_a_flat_net_the_lines_that_need_one_are_left_out(seeds):
    for name in runs.names():
        card = runs.run(name).card()
        runs.run(name).amend({"nets": {node: net for node, net in card["nets"].items() if node != FLAT}})
    compare()
    assert {"tree, soft", "tree, hard"} <= {row["answer"] for row in rows(seeds)}
    assert not any("flat" in row["answer"] for row in rows(seeds))


def test_a_run_without_its_tree_yet_counts_among_the_flat_nets(seeds):
    other = runs.run("other-2")
    other.amend({"nets": {FLAT: other.card()["nets"][FLAT]}})
    told = compare()
    assert "Held against three flat nets averaged" in told
    assert (line(seeds, "flat net")["systems"], line(seeds, "tree, soft")["systems"]) == ("3", "2")
    assert not any(row["answer"].startswith("tree, three") for row in rows(seeds))


def test_nothing_to_compare_is_one_line(tiny_run):
    with pytest.raises(InputError, match="no run to compare: evaluate writes"):
        compare()


def test_damaged_predictions_are_named(seeds):
    (seeds / "other-2" / predictions.FILE).write_bytes(b"cut")
    with pytest.raises(InputError, match=r"other-2/predictions\.npz: cannot be read"):
        compare()


def test_runs_come_and_go(seeds):
    shutil.rmtree(seeds / "other-2")
    assert "Held against" not in compare()


@pytest.mark.parametrize(
    ("gap", "p", "found"),
    [
        (0.02, 0.001, "the tree is better"),
        (-0.02, 0.001, "three flat nets are better"),
        (0.02, 0.2, "chance"),
    ],
)
def test_the_verdict_follows_the_test(gap, p, found):
    pair = {"difference": gap, "ci95": [gap - 0.01, gap + 0.01], "mcnemar_p": p}
    row = {"answer": "tree, soft", "views": {"single": {"all": {"against_flat": pair}}}}
    assert found in verdict([row]) and f"p = {p}" in verdict([row])
    assert ("more" if gap > 0 else "fewer") in verdict([row])


def test_the_interval_of_several_systems_holds_their_mean():
    right = np.random.default_rng(0).random((3, 500)) < 0.7
    score = metrics.several(right)
    assert score["accuracy"] == pytest.approx(right.mean())
    assert score["ci95"][0] < score["accuracy"] < score["ci95"][1]
    assert score["spread"] == pytest.approx(right.mean(axis=1).std(ddof=1))
    alone = metrics.several(right[:1])
    assert alone["spread"] is None and np.ptp(alone["ci95"]) > np.ptp(score["ci95"])
    # one system: the normal approximation, a bootstrap's limit
    assert np.ptp(alone["ci95"]) == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 500), rel=0.1)


def test_systems_apart_are_told_apart():
    right = np.random.default_rng(0).random((3, 500)) < 0.7
    same = metrics.apart(right, right)
    assert same == {"difference": 0.0, "ci95": None, "mcnemar_p": 1.0}
    worse = metrics.apart(right & (np.arange(500) % 5 > 0), right)
    assert worse["ci95"][1] < 0 and worse["mcnemar_p"] < 0.001
