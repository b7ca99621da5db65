"""A run's report: its files are whole, agree with each other, and have all that a score needs."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hierarchy import routing, runs
from hierarchy.data import loading
from hierarchy.data.dataset import Split
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, predictions, run_report
from hierarchy.reports.run_markdown import markdown
from hierarchy.taxonomy import FLAT, VALENCE, Tree

FILES = {"scores.json", "REPORT.md", "predictions.npz"}
LEAVES, NODES = VALENCE.leaves, VALENCE.nodes
PICTURES = {"confusion.png", "router.png", "per_class.png", "reliability.png", "curves.png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, scored: Any) -> Path:
    """A folder that did not exist before its report was written."""
    place = tmp_path_factory.mktemp("results") / "new" / "run"
    run_report.write(
        place,
        scored.scores,
        scored.stored,
        scored.faces,
        manifest=scored.manifest,
        view="flip",
        history=scored.history,
    )
    return place


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Any]:
    return json.loads((folder / run_report.SCORES).read_text())


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / run_report.REPORT).read_text()


def table(text: str, title: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    part = text.split(f"\n## {title}")[1].split("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]


def test_every_file_is_written_and_scores_json_has_its_keys(folder, whole):
    assert {path.name for path in folder.iterdir()} == FILES | PICTURES
    about = {"dataset": "faces.csv", "split": "PrivateTest", "view": "flip", "recipe": "short", "seeds": [0]}
    about |= {"drawn": False, "has_tree": True}
    assert list(whole)[:8] == [*("dataset", "split", "view", "n", "recipe", "seeds"), "drawn", "has_tree"]
    assert {key: whole[key] for key in about} == about
    for rule in ("soft", "hard", "lazy"):
        assert {"accuracy", "ci95", "macro_f1", "hierarchical_f1", "ece"} <= whole["tree"][rule].keys()
    assert all({"accuracy", "ece"} <= whole["nodes"][node].keys() for node in NODES)
    assert {"accuracy", "ci95"} <= whole["flat"].keys()
    assert list(whole["per_class"]) == list(LEAVES)
    assert {"n", "tree"} <= whole["leak_free"].keys() & whole["leak_free_near"].keys()
    assert {"n", "accuracy"} <= whole["ferplus"].keys()
    assert {"coverage", "accuracy"} <= whole["selective"].keys()
    assert whole["nets_per_face"].keys() == {"lazy"}
    assert 0 < whole["all_names"]["soft"]["accuracy"] < 1


def test_scores_json_holds_the_scores_unrounded(whole, scored):
    assert {key: whole[key] for key in scored.scores} == scored.scores


def test_scores_come_out_of_predictions_npz_again(folder, scored):
    stored = predictions.read(folder / predictions.FILE)
    assert stored.row.tolist() == scored.faces.row.tolist()
    assert set(stored.split) == {Split.PrivateTest}
    assert stored.target(VALENCE).tolist() == scored.faces.target(VALENCE, FLAT).tolist()
    tree, flat = routing.predict_from_logits(VALENCE, stored.logits, scored.manifest.calibration)
    again = metrics.score(tree, scored.faces, flat=flat, leaks=stored.leaks, min_confidence=0.5)
    assert again == {key: scored.scores[key] for key in again}


def test_predictions_hold_no_pixels(folder):
    with np.load(folder / predictions.FILE, allow_pickle=False) as kept:
        assert set(kept) == {*predictions.COLUMNS, *VALENCE.nets} - {"names"}


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_file_that_holds_no_predictions_is_named(tmp_path, data):
    (tmp_path / "x.npz").write_bytes(data)
    for path in (tmp_path / "x.npz", tmp_path / "none.npz"):
        with pytest.raises(InputError, match=re.escape(str(path))):
            predictions.read(path)


def test_the_report_says_what_a_score_must_say(whole, text):
    assert "six of seven classes" in text
    assert f"disgust {whole['left_out']['disgust']};" in text and f"(real {whole['n']})" in text
    assert f"n = {whole['n']}" in text
    assert "Seed: 0" in text
    assert VALENCE.hash in text
    assert "jax" in text
    assert "48 minutes" in text
    assert f"p = {whole['soft_against_flat']['mcnemar_p']:.2g}" in text
    assert re.findall(r"\((\w+\.png)\)", text) == sorted(PICTURES, key=text.index)
    assert "SKETCH" not in text.upper()
    assert "quote" not in text


def test_the_first_table_shows_tree_and_flat_net_side_by_side(whole, text):
    header, _, *rows = table(text, "Six of seven classes")
    assert [row[0] for row in rows] == ["tree, soft", "tree, hard", "tree, lazy", "flat net"]
    for row, score in zip(rows, [*whole["tree"].values(), whole["flat"]], strict=True):
        low, high = score["ci95"]
        shown = dict(zip(header, row, strict=True))
        assert shown["accuracy"] == f"{100 * score['accuracy']:.1f}"
        assert shown["interval"] == f"{100 * low:.1f} to {100 * high:.1f}"
        assert shown["ECE"] == f"{100 * score['ece']:.1f}"


def test_every_row_of_every_table_is_complete(text, scored):
    for title in re.findall(r"^## (.*)$", text, flags=re.MULTILINE):
        assert len({len(row) for row in table(text, title)}) <= 1
    assert [row[1] for row in table(text, "Without copies")[2:]] == [
        str(part["n"])
        for part in (scored.scores, scored.scores["leak_free"], scored.scores["leak_free_near"])
    ]


def test_drawn_faces_are_called_sketches_in_title_and_table(whole, scored):
    text = markdown(whole | {"drawn": True}, scored.manifest)
    assert "SKETCH" in text.splitlines()[0]
    assert table(text, "Six of seven classes")[0][0] == "SKETCH"


def test_a_run_without_flat_net_votes_copies_and_history_has_a_shorter_report(tmp_path, scored):
    faces = replace(scored.faces, votes=None)
    scores = metrics.score(scored.predictions, faces, min_confidence=0.5)
    whole = run_report.write(tmp_path, scores, scored.stored, faces, manifest=scored.manifest, view="single")
    assert not {"flat", "soft_against_flat", "ferplus", "leak_free"} & whole.keys()
    text = (tmp_path / run_report.REPORT).read_text()
    assert not any(word in text for word in ("flat net", "McNemar", "FER+", "twin", "curves.png", "None"))
    assert "Copies of these faces in the run's Training split were not searched for." in text
    assert not (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("nets", [(FLAT,), (FLAT, *NODES[:-1])])
def test_a_flat_net_alone_is_not_called_a_tree(tmp_path, scored, nets):
    manifest = replace(scored.manifest, nets={node: scored.manifest.nets[node] for node in nets})
    tree = routing.from_flat(VALENCE, scored.flat)
    leaks = predictions.Leakage(np.arange(len(scored.faces)) % 3 == 0, np.arange(len(scored.faces)) % 4 == 0)
    scores = metrics.score(tree, scored.faces, flat=scored.flat, leaks=leaks, min_confidence=0.5)
    whole = run_report.write(tmp_path, scores, scored.stored, scored.faces, manifest=manifest, view="single")
    text = (tmp_path / run_report.REPORT).read_text()
    assert whole["has_tree"] is False
    missing = [node for node in NODES if node not in nets]
    assert f"not complete (no net for {', '.join(missing)})" in text
    assert "In scores.json, soft, hard, lazy" in text
    assert [row[0] for row in table(text, "Six of seven classes")[2:]] == ["flat net"]
    assert table(text, "Without copies")[0] == ["faces", "n", "flat net"]
    assert "## Classes (flat net)" in text and "## Other counts (flat net)" in text
    for word in ("tree, ", "nets a face", "## Nodes", "## Tree or flat net", "McNemar", "router.png"):
        assert word not in text
    assert not (tmp_path / "router.png").exists()
    assert run_report.headline(whole).endswith(", flat net only")


def test_a_whole_tree_is_called_one(whole, text):
    assert "not complete" not in text
    assert {"Nodes", "Tree or flat net"} <= set(re.findall(r"^## (.*)$", text, flags=re.MULTILINE))


def test_nets_that_were_stopped_are_named_before_any_score(whole, scored, text):
    nets = {
        node: msgspec.structs.replace(net, finished=node != NODES[0])
        for node, net in scored.manifest.nets.items()
    }
    opening = markdown(whole, replace(scored.manifest, nets=nets)).split("\n## ")[0]
    assert f"not finished: {NODES[0]} (3 epochs)" in opening
    assert "not finished" not in text


def test_a_recipe_is_named_with_the_values_that_were_set(tmp_path, scored):
    manifest = replace(scored.manifest, settings=("fit.epochs=24", "fit.ema=0.9"))
    whole = run_report.write(
        tmp_path, scored.scores, scored.stored, scored.faces, manifest=manifest, view="single"
    )
    assert whole["recipe"] == "short with fit.epochs=24, fit.ema=0.9"
    assert f"Recipe: {whole['recipe']} (" in (tmp_path / run_report.REPORT).read_text()
    assert "Recipe: short (" in markdown(whole, scored.manifest)


def test_only_the_backends_that_trained_are_named(whole, scored, text):
    assert "on the jax backend" in text
    assert not any(name in text for name in ("torch", "tensorflow"))


@pytest.mark.parametrize("source", ["sketch", "sketch.csv", "sketch/", "faces.csv", "sketches.csv"])
def test_a_run_was_trained_on_drawings_if_its_faces_were_drawn(scored, source):
    faces = replace(scored.faces, source=source)
    described = replace(scored.manifest, data=loading.describe(faces, VALENCE))
    assert runs.sketched(described) == faces.drawn
    assert not runs.sketched(replace(scored.manifest, data={}))


def test_drawn_faces_are_drawn_in_scores_json_and_pictures(tmp_path, scored, folder):
    faces = replace(scored.faces, source="sketch")
    manifest = replace(scored.manifest, data={"source": "sketch"})
    whole = run_report.write(
        tmp_path, scored.scores, scored.stored, faces, manifest=manifest, view="flip", history=scored.history
    )
    assert whole["drawn"] is True
    for name in PICTURES:
        assert (tmp_path / name).read_bytes() != (folder / name).read_bytes(), name


def test_the_split_that_chose_the_epochs_is_not_to_be_quoted(whole, scored):
    assert "quote PrivateTest" in markdown(whole | {"split": "PublicTest"}, scored.manifest)


def test_empty_nodes_are_dashes(whole, scored):
    happy = scored.faces.label == FER2013_NAMES.index("happy")
    scores = metrics.score(scored.predictions.take(happy), scored.faces.take(happy), min_confidence=0.5)
    about = {key: whole[key] for key in ("dataset", "split", "view", "seeds", "drawn", "has_tree")}
    text = markdown(about | scores, scored.manifest)
    assert table(text, "Nodes")[-1][2:] == ["0", "-", "-", "-"]


def test_the_verdict_on_tree_and_flat_net_follows_the_test(whole, scored):
    def verdict(ours: int, theirs: int, p: float) -> str:
        pair = {"only_soft_right": ours, "only_flat_right": theirs, "mcnemar_p": p}
        return markdown(whole | {"soft_against_flat": pair}, scored.manifest)

    assert "the tree is better" in verdict(90, 40, 0.001)
    assert "the flat net is better" in verdict(40, 90, 0.001)
    assert "it may be chance" in verdict(50, 45, 0.4)


def test_the_headline_is_one_line_with_n_and_interval(whole):
    assert re.fullmatch(
        r"faces\.csv, PrivateTest: \d\d\.\d % accuracy \(\d\d\.\d to \d\d\.\d\), "
        r"six of seven classes, n = \d+",
        run_report.headline(whole),
    )


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path, scored):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"predictions\.npz"):
        run_report.write(
            tmp_path / "file",
            scored.scores,
            scored.stored,
            scored.faces,
            manifest=scored.manifest,
            view="single",
        )


def test_other_trees_have_complete_reports(tmp_path, other_scored, other_tree):
    whole = run_report.write(
        tmp_path,
        other_scored.scores,
        other_scored.stored,
        other_scored.faces,
        manifest=other_scored.manifest,
        view="single",
        history=other_scored.history,
    )
    text = (tmp_path / run_report.REPORT).read_text()
    assert [row[0] for row in table(text, "Nodes")[2:]] == list(other_tree.nodes)
    assert [row[:2] for row in table(text, "Classes")[2:]] == [
        [leaf, other_tree.branch_of(leaf)] for leaf in other_tree.leaves
    ]
    assert f"left out {whole['left_out']['left out']};" in text
    assert str(other_tree) in text and other_tree.hash in text
    stored = predictions.read(tmp_path / predictions.FILE)
    assert stored.names == other_scored.faces.names
    assert stored.target(other_tree).tolist() == other_scored.faces.target(other_tree, FLAT).tolist()


def test_a_tree_that_covers_the_data_leaves_nothing_out(scored_of):
    full = scored_of(
        Tree({"up": ("happy", "calm"), "down": ("sad", "angry")}), ("calm", "happy", "sad", "angry")
    )
    text = markdown(full.whole, full.manifest)
    assert "four of four classes" in text and "eft out" not in text and "always wrong" not in text


def test_nodes_may_have_the_names_of_columns(tmp_path):
    logits = {"flat": np.zeros((2, 4)), "row": np.ones((2, 2)), "file": np.ones((2, 2))}
    columns = (np.arange(2), np.full(2, 2), np.zeros(2, int))
    (tmp_path / "x.npz").write_bytes(predictions.StoredPredictions(*columns, logits).to_bytes())
    stored = predictions.read(tmp_path / "x.npz")
    assert set(stored.logits) == set(logits) and stored.row.tolist() == [0, 1]
