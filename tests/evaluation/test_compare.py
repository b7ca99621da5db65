"""The comparison holds what the runs' predictions say, and nothing that they do not."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest

from hierarchy import routing, runs
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, predictions
from hierarchy.evaluation.compare_report import CSV, FILE, compare, verdict
from hierarchy.evaluation.comparison import CHOICE, groups, lines
from hierarchy.evaluation.evaluate import evaluate
from hierarchy.reports import forest_plot
from hierarchy.reports.run_markdown import percent
from hierarchy.routing import predict_from_logits
from hierarchy.taxonomy import FLAT, NODES

FLAT_SYSTEM = ["flat net", "tree, hard", "tree, soft", "tree times flat net"]
FLAT_SYSTEM += [f"tree, soft, without {what}" for what in ("temperatures", "class frequencies")]


def rewrite(run, **changes):
    """Give a run other predictions, and nets of its own to have made them."""
    path = run.folder / predictions.FILE
    card = run.card()
    nets = {node: net | {"sha256": f"{run.name} {node}"} for node, net in card["nets"].items()}
    run.amend({"nets": nets})
    kept = replace(predictions.read(path), **changes)
    path.write_bytes(replace(kept, nets={node: nets[node]["sha256"] for node in kept.logits}).to_bytes())


@pytest.fixture
def seeds(tiny_run):
    """Three runs of one recipe, whose logits differ; one face at least has a twin in Training."""
    evaluate(tiny_run.name, None, split="PrivateTest", view="single", floor=0.5)
    kept = predictions.read(tiny_run.folder / predictions.FILE)
    leaks = metrics.Leakage(kept.target == kept.target.max(), kept.leaks.near)
    for seed, run in enumerate((tiny_run, runs.run("other-1"), runs.run("other-2"))):
        if seed:
            runs.copy(tiny_run, run)
        draw = np.random.default_rng(seed)
        moved = {
            node: np.float32(value + draw.normal(size=value.shape)) for node, value in kept.logits.items()
        }
        rewrite(run, logits=moved, leaks=leaks)
    return tiny_run.folder.parent


def rows(folder):
    with (folder / CSV).open(newline="") as file:
        return list(csv.DictReader(file))


def line(folder, answer, part="all"):
    return next(row for row in rows(folder) if (row["answer"], row["part"]) == (answer, part))


def test_runs_that_differ_in_their_seed_are_one_group(seeds):
    told = compare()
    assert (seeds / FILE).read_text().count("\n## ") == 2  # the group, and every run
    assert "SKETCH, tiny (other-1, other-2, tiny)" in (seeds / FILE).read_text()
    assert "than three flat nets averaged, which cost the same a face" in told and told.endswith(FILE)
    together = ["three flat nets averaged", "three trees averaged"]
    assert {row["answer"] for row in rows(seeds)} == {
        *FLAT_SYSTEM,
        *together,
        "three trees averaged, times three flat nets",
    }
    assert line(seeds, "flat net")["systems"] == "3" and line(seeds, together[0])["systems"] == "1"
    assert line(seeds, "tree, hard")["nets"] == "2" and line(seeds, together[1])["nets"] == "9"


def test_the_picture_shows_every_line_where_its_score_is(seeds):
    compare()
    assert (seeds / forest_plot.FILE).read_bytes().startswith(b"\x89PNG")
    (group,) = groups()
    found = list(lines(group))
    (axes,) = forest_plot.forest({group.title: found}).axes
    assert [label.get_text().split(" (")[0] for label in axes.get_yticklabels()] == [
        row["answer"] for row in found
    ]
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert dots == [pytest.approx(100 * row["views"]["single"]["all"]["accuracy"]) for row in found]


def test_a_line_is_what_the_predictions_say(seeds):
    compare()
    answers = []
    for name in runs.names():
        kept = predictions.read(runs.run(name).folder / predictions.FILE)
        answers.append((kept, *predict_from_logits(kept.logits, runs.run(name).card()["calibration"])))
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
    assert "than three flat nets" not in compare()  # two runs have no three flat nets
    written = (seeds / FILE).read_text()
    assert written.count("\n## ") == 4 and written.index("## Recipes side by side") < written.index(
        "## SKETCH"
    )


def test_recipes_stand_side_by_side_with_what_public_test_said(seeds):
    other = runs.run("other-1")
    other.amend({"recipe": {**other.card()["recipe"], "name": "changed"}})
    kept = predictions.read(other.folder / predictions.FILE)
    predictions.folder_of(other, *CHOICE).mkdir()
    half = replace(kept, label=np.where(np.arange(len(kept.label)) % 2, kept.label, np.int8(-1)))
    (predictions.folder_of(other, *CHOICE) / predictions.FILE).write_bytes(half.to_bytes())
    compare()
    (row,) = [
        line for line in (seeds / FILE).read_text().splitlines() if line.startswith("| SKETCH, changed")
    ]
    tree, _ = predict_from_logits(half.logits, other.card()["calibration"])
    right = routing.soft(tree)[half.target >= 0] == half.target[half.target >= 0]
    assert row.split(" | ")[1] == percent(right.mean())
    (row,) = [line for line in (seeds / FILE).read_text().splitlines() if line.startswith("| SKETCH, tiny")]
    assert row.split(" | ")[1] == "-"  # not evaluated there


def test_a_group_without_an_opponent_of_its_own_meets_another_recipes(seeds):
    other = runs.run("fourth")
    runs.copy(runs.run("other-1"), other)
    other.amend({"recipe": {**other.card()["recipe"], "name": "changed"}})
    rewrite(other)
    assert "than three flat nets of SKETCH, tiny (other-1, other-2, tiny) averaged" in compare()
    changed = [row for row in rows(seeds) if row["runs"].startswith("SKETCH, changed")]
    theirs = next(row for row in changed if (row["answer"], row["part"]) == ("tree, soft", "all"))
    assert float(theirs["difference"]) == pytest.approx(
        float(theirs["accuracy"]) - float(line(seeds, "three flat nets averaged")["accuracy"])
    )
    (kept,) = [predictions.read(other.folder / predictions.FILE)]
    rewrite(other, row=kept.row[::-1])
    compare()
    assert [row["difference"] for row in rows(seeds) if row["runs"].startswith("SKETCH, changed")] == [
        ""
    ] * 18


def test_one_flat_net_in_three_runs_is_no_average_of_three(seeds):
    mine = runs.run("tiny").card()["nets"][FLAT]["sha256"]
    said = predictions.read(seeds / "tiny" / predictions.FILE).logits[FLAT]
    for name in ("other-1", "other-2"):
        run = runs.run(name)
        kept = predictions.read(run.folder / predictions.FILE)
        run.amend({"nets": run.card()["nets"] | {FLAT: run.card()["nets"][FLAT] | {"sha256": mine}}})
        same = replace(kept, logits={**kept.logits, FLAT: said}, nets={**kept.nets, FLAT: mine})
        (run.folder / predictions.FILE).write_bytes(same.to_bytes())
    assert "than three flat nets" not in compare()
    assert line(seeds, "flat net")["systems"] == "1" and line(seeds, "tree, soft")["systems"] == "3"


def without(run, *nodes):
    logits = predictions.read(run.folder / predictions.FILE).logits
    rewrite(run, logits={node: value for node, value in logits.items() if node not in nodes})


def test_without_a_flat_net_the_lines_that_need_one_are_left_out(seeds):
    for name in runs.names():
        without(runs.run(name), FLAT)
    compare()
    assert {"tree, soft", "tree, hard"} <= {row["answer"] for row in rows(seeds)}
    assert not any("flat" in row["answer"] for row in rows(seeds))


def test_a_run_without_its_tree_yet_counts_among_the_flat_nets(seeds):
    without(runs.run("other-2"), *NODES)
    told = compare()
    assert "than three flat nets averaged, which cost the same a face" in told
    assert (line(seeds, "flat net")["systems"], line(seeds, "tree, soft")["systems"]) == ("3", "2")
    assert {"two trees averaged", "three flat nets averaged"} <= {row["answer"] for row in rows(seeds)}


def test_nothing_to_compare_is_one_line(tiny_run):
    with pytest.raises(InputError, match="no run to compare: evaluate writes"):
        compare()


def test_damaged_predictions_are_named(seeds):
    (seeds / "other-2" / predictions.FILE).write_bytes(b"cut")
    with pytest.raises(InputError, match=r"other-2/predictions\.npz: cannot be read"):
        compare()


def test_predictions_of_other_nets_or_faces_are_refused(seeds):
    other = runs.run("other-1")
    nets = other.card()["nets"]
    other.amend({"nets": nets | {FLAT: nets[FLAT] | {"sha256": "trained on"}}})
    with pytest.raises(
        InputError, match=r"other-1/predictions\.npz: of other nets than the run's; evaluate it"
    ):
        compare()
    rewrite(other, row=predictions.read(other.folder / predictions.FILE).row[::-1])
    with pytest.raises(InputError, match="not of the same PrivateTest faces"):
        compare()


def test_a_copy_of_a_run_and_an_unfinished_one_are_no_further_seeds(seeds):
    runs.copy(runs.run("other-1"), runs.run("copy"))
    half = runs.run("other-2")
    half.amend({"nets": {node: net | {"finished": False} for node, net in half.card()["nets"].items()}})
    compare()
    assert line(seeds, "tree, soft")["systems"] == "2"


@pytest.mark.parametrize("key", ["teacher", "framework", "labels"])
def test_runs_that_differ_in_more_than_their_seed_are_apart(seeds, key):
    runs.run("other-1").amend({key: "another"})
    compare()
    assert (seeds / FILE).read_text().count("\n## ") == 4  # two groups, both side by side, every run


def test_runs_come_and_go(seeds):
    shutil.rmtree(seeds / "other-2")
    assert "than three flat nets" not in compare()


@pytest.mark.parametrize(
    ("gap", "found"),
    [
        (0.02, "the tree is better"),
        (-0.02, "three flat nets are better"),
        (0.005, "it may be chance"),
        (-0.005, "it may be chance"),
    ],
)
def test_the_verdict_asks_all_seeds_in_whatever_order(gap, found):
    pair = {"difference": gap, "ci95": [gap - 0.01, gap + 0.01], "mcnemar_p": [0.2, 0.001]}
    row = {"answer": "tree, soft", "opponent": None, "views": {"single": {"all": {"against_flat": pair}}}}
    assert found in verdict([row]) and "exact McNemar test of each tree, p = 0.2, 0.001)" in verdict([row])
    assert ("more accurate" if gap > 0 else "less accurate") in verdict([row])
    pair["mcnemar_p"].pop()
    assert "exact McNemar test, p = 0.2)" in verdict([row])
