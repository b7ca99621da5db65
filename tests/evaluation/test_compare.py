"""The comparison has what the runs' stored predictions give, grouped by tree."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest

from hierarchy import fileio, routing, runs
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.evaluation import predictions, summary
from hierarchy.evaluation.compare_report import CSV, FILE, compare, verdict
from hierarchy.evaluation.comparison import groups, lines
from hierarchy.evaluation.evaluate import evaluate
from hierarchy.reports import captions, forest_plot
from hierarchy.routing import predict_from_logits
from hierarchy.taxonomy import FLAT, VALENCE, Tree

FLAT_SYSTEM = ["flat net", "tree, hard", "tree, soft", "tree times flat net"]
FLAT_SYSTEM += [f"tree, soft, without {what}" for what in ("temperatures", "class frequencies")]


def nets_of(run):
    """The manifest's nets as plain values."""
    return fileio.read_json(run.folder / runs.MANIFEST)["nets"]


def rewrite(run, **changes):
    """Give a run other predictions, and nets of its own to have made them."""
    path = run.folder / predictions.FILE
    nets = {node: net | {"sha256": f"{run.name} {node}"} for node, net in nets_of(run).items()}
    run.amend({"nets": nets})
    kept = replace(predictions.read(path), **changes)
    path.write_bytes(replace(kept, nets={node: nets[node]["sha256"] for node in kept.logits}).to_bytes())


@pytest.fixture
def seeds(tiny_run):
    """Three runs of one recipe, whose logits differ; one face at least has a twin in Training."""
    evaluate(tiny_run.name, None, split="PrivateTest", view="single", min_confidence=0.5)
    kept = predictions.read(tiny_run.folder / predictions.FILE)
    leaks = predictions.Leakage(kept.target(VALENCE) == len(VALENCE.leaves) - 1, kept.leaks.near)
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
    assert (seeds / FILE).read_text().count("\n### ") == 1
    assert "SKETCH, tiny (other-1, other-2, tiny)" in (seeds / FILE).read_text()
    assert "than three flat nets averaged, which cost the same for a face" in told and told.endswith(FILE)
    together = ["three flat nets averaged", "three trees averaged"]
    assert {row["answer"] for row in rows(seeds)} == {
        *FLAT_SYSTEM,
        *together,
        "three trees averaged, times three flat nets",
    }
    assert line(seeds, "flat net")["systems"] == "3" and line(seeds, together[0])["systems"] == "1"
    assert line(seeds, "tree, hard")["nets"] == "2" and line(seeds, together[1])["nets"] == "9"


def test_the_summary_is_of_recipes_with_stored_nets_with_and_without_blur(seeds):
    trial, blurred = runs.run("other-2"), runs.run("blurred")
    runs.copy(trial, blurred)
    rewrite(blurred)
    recipe = fileio.read_json(blurred.folder / runs.MANIFEST)["recipe"]
    blurred.amend({"recipe": recipe | {"net": recipe["net"] | {"blur": 0.4}}})
    longer = runs.run("longer")
    runs.copy(trial, longer)
    rewrite(longer)
    longer.amend({"recipe": recipe | {"fit": recipe["fit"] | {"epochs": 9}}})
    for run in (*map(runs.run, ("tiny", "other-1", "other-2")), longer):
        for net in run.folder.glob("*.keras"):
            net.unlink()
    compare()
    table = (seeds / summary.FILE).read_text()
    assert "(blurred)" in table and "(other-1, other-2, tiny)" in table and "(longer)" not in table
    (row,) = [row for row in table.splitlines() if "(other-1, other-2, tiny) | tree, soft" in row]
    soft = [each for each in rows(seeds) if each["answer"] == "tree, soft" and "other-1" in each["runs"]]
    assert f" {100 * float(soft[0]['accuracy']):.1f} ± " in row


def test_the_negative_log_likelihood_is_of_the_true_leaf(seeds):
    compare()
    losses = []
    for name in runs.names():
        kept = predictions.read(runs.run(name).folder / predictions.FILE)
        tree, _ = predict_from_logits(VALENCE, kept.logits, runs.run(name).manifest().calibration)
        losses += [
            -np.log(row[leaf])
            for row, leaf in zip(tree.joint, kept.target(VALENCE), strict=True)
            if leaf >= 0
        ]
    assert float(line(seeds, "tree, soft")["nll"]) == pytest.approx(np.mean(losses))


def test_the_picture_shows_every_line_where_its_score_is(seeds):
    compare()
    assert (seeds / forest_plot.FILE).read_bytes().startswith(b"\x89PNG")
    (group,) = groups()
    found = list(lines(group))
    (axes,) = forest_plot.forest({group.title: found}, group.classes).axes
    assert [label.get_text().split(" (")[0] for label in axes.get_yticklabels()] == [
        row["answer"] for row in found
    ]
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert dots == [pytest.approx(100 * row["scores"]["single", "all"]["accuracy"]) for row in found]


def test_a_line_is_what_the_predictions_say(seeds):
    compare()
    answers = []
    for name in runs.names():
        kept = predictions.read(runs.run(name).folder / predictions.FILE)
        calibration = runs.run(name).manifest().calibration
        answers.append((kept, *predict_from_logits(VALENCE, kept.logits, calibration)))
    target = answers[0][0].target(VALENCE)
    six = target >= 0
    truth = target[six]
    soft = [np.mean(routing.soft(tree)[six] == truth) for _, tree, _ in answers]
    assert float(line(seeds, "tree, soft")["accuracy"]) == pytest.approx(np.mean(soft))
    flat = np.mean([flat for _, _, flat in answers], axis=0).argmax(axis=1)
    row = line(seeds, "three flat nets averaged")
    assert float(row["accuracy"]) == pytest.approx(np.mean(flat[six] == truth))
    assert int(row["n"]) == six.sum() > int(line(seeds, "tree, soft", "leak-free")["n"])


def test_a_run_of_another_recipe_is_a_group_of_its_own(seeds):
    other = runs.run("other-1")
    other.amend({"recipe": {**other.manifest().recipe, "name": "changed"}})
    assert "than three flat nets" not in compare()  # two runs have no three flat nets
    written = (seeds / FILE).read_text()
    assert written.count("\n### ") == 3
    assert written.index("### Recipes side by side") < written.index("### SKETCH")


def test_recipes_stand_side_by_side_with_what_public_test_said(seeds):
    other = runs.run("other-1")
    other.amend({"recipe": {**other.manifest().recipe, "name": "changed"}})
    other.amend({"public_test_accuracy": 0.625})
    runs.run("other-2").amend({"public_test_accuracy": 0.5})  # not known of the group's other run
    compare()
    cells = {
        line.split(" | ")[0]: line.split(" | ")[1]
        for line in (seeds / FILE).read_text().splitlines()
        if line.startswith("| SKETCH, ")
    }
    assert cells == {"| SKETCH, changed (other-1)": "62.5", "| SKETCH, tiny (other-2, tiny)": "-"}


def test_a_group_without_an_opponent_of_its_own_meets_another_recipes(seeds):
    other = runs.run("fourth")
    runs.copy(runs.run("other-1"), other)
    other.amend({"recipe": {**other.manifest().recipe, "name": "changed"}})
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
    mine = runs.run("tiny").manifest().checksums[FLAT]
    said = predictions.read(seeds / "tiny" / predictions.FILE).logits[FLAT]
    for name in ("other-1", "other-2"):
        run = runs.run(name)
        kept = predictions.read(run.folder / predictions.FILE)
        run.amend({"nets": nets_of(run) | {FLAT: nets_of(run)[FLAT] | {"sha256": mine}}})
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
    without(runs.run("other-2"), *VALENCE.nodes)
    told = compare()
    assert "than three flat nets averaged, which cost the same for a face" in told
    assert (line(seeds, "flat net")["systems"], line(seeds, "tree, soft")["systems"]) == ("3", "2")
    assert {"two trees averaged", "three flat nets averaged"} <= {row["answer"] for row in rows(seeds)}


def test_nothing_to_compare_is_one_line(tiny_run):
    with pytest.raises(InputError, match="no run to compare"):
        compare()


def test_damaged_predictions_are_named(seeds):
    (seeds / "other-2" / predictions.FILE).write_bytes(b"cut")
    with pytest.raises(InputError, match=r"other-2/predictions\.npz"):
        compare()


@pytest.mark.parametrize(
    "change",
    [
        {"label": bool},  # another type
        {"label": np.float16},
        {"twin": np.zeros(3, bool)},
        {"flat": np.zeros((1, 0), np.float32)},
        {"row": np.zeros(())},
        {"names": np.array(5)},
        {"names": np.array(["happy"])},  # there are more codes
        {"names": np.array(["x"] * 7)},  # none of the tree
    ],
    ids=lambda change: next(iter(change)),
)
def test_predictions_of_odd_columns_are_named(seeds, change):
    path = seeds / "other-2" / predictions.FILE
    with np.load(path) as archive:
        columns = dict(archive)
    for name, value in change.items():
        columns[name] = columns[name].astype(value) if isinstance(value, type) else value
    np.savez(path, **columns)
    with pytest.raises(InputError, match=predictions.FILE):
        compare()


def test_a_run_that_cannot_be_read_is_left_out_of_the_others_table(seeds, logged):
    compare()
    expected = (seeds / FILE).read_bytes()
    (seeds / "damaged").mkdir()
    (seeds / "damaged" / runs.MANIFEST).write_text("[]")
    compare()
    assert (seeds / FILE).read_bytes() == expected
    assert any("damaged" in line for line in logged.messages)


def test_a_renamed_folder_is_the_name_of_its_run(seeds):
    (seeds / "other-2").rename(seeds / "renamed")
    assert runs.run("renamed").manifest().run == "renamed"
    compare()


def test_predictions_of_other_nets_or_faces_are_refused(seeds):
    other = runs.run("other-1")
    nets = nets_of(other)
    other.amend({"nets": nets | {FLAT: nets[FLAT] | {"sha256": "trained on"}}})
    with pytest.raises(InputError, match=r"other-1/predictions\.npz"):
        compare()
    rewrite(other, row=predictions.read(other.folder / predictions.FILE).row[::-1])
    with pytest.raises(InputError, match=r"predictions\.npz: .*PrivateTest"):
        compare()


def test_a_copy_of_a_run_and_an_unfinished_one_are_no_further_seeds(seeds):
    runs.copy(runs.run("other-1"), runs.run("copy"))
    half = runs.run("other-2")
    half.amend({"nets": {node: net | {"finished": False} for node, net in nets_of(half).items()}})
    compare()
    assert line(seeds, "tree, soft")["systems"] == "2"


@pytest.mark.parametrize(
    ("key", "value"), [("teacher", {"other": {}}), ("framework", "another"), ("labels", "another")]
)
def test_runs_that_differ_in_more_than_their_seed_are_apart(seeds, key, value):
    runs.run("other-1").amend({key: value})
    compare()
    assert (seeds / FILE).read_text().count("\n### ") == 3  # two groups, and their overview


def add_runs(manifest_run, tree, names):
    """Evaluated runs of another tree, on random faces of its leaves and one more name."""
    rng = np.random.default_rng(0)
    n = 60
    label = np.arange(len(tree.leaves) + 1).repeat(n).astype(np.int8)
    split = np.full(len(label), Split.PrivateTest, np.int8)
    for name in names:
        run = manifest_run(name, tree)
        logits = {
            node: rng.normal(size=(len(label), len(tree.classes_of(node)))).astype(np.float32)
            for node in tree.nets
        }
        row, nets = np.arange(len(label), dtype=np.int32), run.manifest().checksums
        stored = predictions.StoredPredictions(
            row, split, label, logits, None, nets, (*tree.leaves, "left out")
        )
        (run.folder / predictions.FILE).write_bytes(stored.to_bytes())


def test_trees_are_compared_apart_in_one_report(seeds, manifest_run, other_tree):
    compare()
    before = line(seeds, "tree, soft")
    same = [before[key] for key in ("runs", "answer", "part")]
    add_runs(manifest_run, other_tree, [f"another-{seed}" for seed, _ in enumerate(other_tree.nodes)])
    told = compare()
    text = (seeds / FILE).read_text()
    assert f"Tree valence: {VALENCE}." in text and f"Tree {other_tree.hash}: {other_tree}." in text
    sections = [part for part in text.split("\n## ") if " classes\n" in part.split("\n\n")[0] + "\n"]
    assert len(sections) == 2
    own, other = (next(part for part in sections if f": {tree}." in part) for tree in (VALENCE, other_tree))
    assert "another" not in own and "(other-1" not in other
    assert all(f" {node} " in other for node in other_tree.nodes)
    found = [row for row in rows(seeds) if [row[key] for key in ("runs", "answer", "part")] == same]
    assert [{key: row[key] for key in before} for row in found] == [before]
    row = next(row for row in rows(seeds) if row["tree"] == other_tree.hash and row["answer"] == "tree, soft")
    assert row["difference"] and not row["opponent"]  # as many flat nets of its own tree
    count = len(other_tree.nodes)
    assert f"than {captions.spelled(count)} flat net" in told


def test_runs_of_another_tree_are_no_baseline(seeds, manifest_run):
    """A tree of as many leaves and nodes, of other names, has no equal-compute baseline here."""
    tree = Tree({"up": VALENCE.children["positive"], "down": VALENCE.children["negative"]})
    add_runs(manifest_run, tree, ["another"])
    compare()
    others = [row for row in rows(seeds) if row["runs"].startswith("tiny (another)")]
    assert others and not any(row["difference"] for row in others)
    assert {row["tree"] for row in others} == {tree.hash}


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
    row = {
        "answer": "tree, soft",
        "opponent": None,
        "nodes": dict.fromkeys(VALENCE.nodes),
        "scores": {("single", "all"): {"against_flat": pair}},
    }
    assert found in verdict([row]) and "exact McNemar test of each tree, p = 0.2, 0.001)" in verdict([row])
    assert ("more accurate" if gap > 0 else "less accurate") in verdict([row])
    pair["mcnemar_p"].pop()
    assert "exact McNemar test, p = 0.2)" in verdict([row])
