"""A run's report: its files are whole, agree with each other, and say what law asks them to say."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierarchy import metrics
from hierarchy.data.faces import Split
from hierarchy.errors import InputError
from hierarchy.reports import report
from hierarchy.reports.markdown import markdown
from hierarchy.routing import Predictions
from hierarchy.taxonomy import FER7, FLAT, LEAVES, NODES, tree_hash

FILES = {"scores.json", "REPORT.md", "predictions.npz"}
PICTURES = {"confusion.png", "router.png", "per_class.png", "reliability.png", "curves.png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, scored: Any) -> Path:
    """A folder that did not exist before its report was written."""
    place = tmp_path_factory.mktemp("results") / "new" / "run"
    report.write(
        place,
        scored.scores,
        scored.predictions,
        scored.faces,
        card=scored.card,
        view="flip",
        history=scored.history,
        flat=scored.flat,
    )
    return place


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, Any]:
    return json.loads((folder / report.SCORES).read_text())


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / report.REPORT).read_text()


def table(text: str, title: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    part = text.split(f"\n## {title}")[1].split("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]


def test_every_file_is_written_and_scores_json_has_its_keys(folder, whole):
    assert {path.name for path in folder.iterdir()} == FILES | PICTURES
    about = {"dataset": "faces.csv", "split": "PrivateTest", "view": "flip", "recipe": "short", "seeds": [0]}
    assert list(whole)[:6] == ["dataset", "split", "view", "n", "recipe", "seeds"]
    assert {key: whole[key] for key in about} == about
    for rule in ("soft", "hard", "lazy"):
        assert {"accuracy", "ci95", "macro_f1", "hierarchical_f1", "ece"} <= whole["six_class"][rule].keys()
    assert all({"accuracy", "ece"} <= whole[node].keys() for node in NODES)
    assert {"accuracy", "ci95"} <= whole["flat"].keys()
    assert list(whole["per_class"]) == list(LEAVES)
    assert {"n", "six_class"} <= whole["leak_free"].keys() & whole["leak_free_near"].keys()
    assert {"n", "accuracy"} <= whole["ferplus"].keys()
    assert {"coverage", "accuracy"} <= whole["abstain"].keys()
    assert whole["nets_per_face"].keys() == {"lazy"}
    assert 0 < whole["seven_class"]["soft"]["accuracy"] < 1


def test_scores_json_holds_the_scores_unrounded(whole, scored):
    assert {key: whole[key] for key in scored.scores} == scored.scores


def test_scores_come_out_of_predictions_npz_again(folder, scored):
    with np.load(folder / report.PREDICTIONS, allow_pickle=False) as kept:
        assert set(kept) == {"row", "split", "branch", "leaf", FLAT}  # and so no pixels
        assert kept["row"].tolist() == scored.faces.row.tolist()
        assert set(kept["split"]) == {Split.PrivateTest}
        again = metrics.score(
            Predictions(kept["branch"], kept["leaf"]), scored.faces, flat=kept[FLAT], min_confidence=0.5
        )
    assert again == {key: scored.scores[key] for key in again}


def test_the_report_says_what_a_score_must_say(whole, text):
    assert "six of seven classes" in text
    assert f"disgust ({whole['left_out']['disgust']} rows here)" in text
    assert f"n = {whole['n']}" in text
    assert "Seed: 0" in text
    assert tree_hash() in text
    assert "jax" in text
    assert "48 minutes" in text
    assert f"p = {whole['soft_against_flat']['mcnemar_p']:.2g}" in text
    assert re.findall(r"\((\w+\.png)\)", text) == sorted(PICTURES, key=text.index)
    assert "SKETCH" not in text.upper()
    assert "quote" not in text


def test_the_first_table_shows_tree_and_flat_net_side_by_side(whole, text):
    header, _, *rows = table(text, "Six of seven classes")
    assert [row[0] for row in rows] == ["tree, soft", "tree, hard", "tree, lazy", "flat net"]
    for row, score in zip(rows, [*whole["six_class"].values(), whole["flat"]], strict=True):
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
    text = markdown(whole | {"dataset": "sketch"}, scored.card)
    assert "SKETCH" in text.splitlines()[0]
    assert table(text, "Six of seven classes")[0][0] == "SKETCH"


def test_a_run_without_flat_net_votes_copies_and_history_has_a_shorter_report(tmp_path, scored):
    faces = replace(scored.faces, votes=None)
    scores = metrics.score(scored.predictions, faces, min_confidence=0.5)
    whole = report.write(tmp_path, scores, scored.predictions, faces, card=scored.card, view="single")
    assert not {"flat", "soft_against_flat", "ferplus", "leak_free"} & whole.keys()
    text = (tmp_path / report.REPORT).read_text()
    assert not any(word in text for word in ("flat net", "McNemar", "FER+", "copies", "curves.png", "None"))
    assert not (tmp_path / "curves.png").exists()


def test_a_flat_net_alone_is_not_called_a_tree(whole, scored):
    assert "no tree yet" not in markdown(whole, scored.card)
    assert "no tree yet" in markdown(whole, scored.card | {"nets": {FLAT: scored.card["nets"][FLAT]}})


def test_the_split_that_chose_the_epochs_is_not_to_be_quoted(whole, scored):
    assert "quote PrivateTest" in markdown(whole | {"split": "PublicTest"}, scored.card)


def test_empty_nodes_are_dashes(whole, scored):
    happy = scored.faces.label == FER7.index("happy")
    scores = metrics.score(scored.predictions.take(happy), scored.faces.take(happy), min_confidence=0.5)
    text = markdown({key: whole[key] for key in ("dataset", "split", "view", "seeds")} | scores, scored.card)
    assert table(text, "Nodes")[-1][2:] == ["0", "-", "-", "-"]


def test_the_verdict_on_tree_and_flat_net_follows_the_test(whole, scored):
    def verdict(ours: int, theirs: int, p: float) -> str:
        pair = {"only_soft_right": ours, "only_flat_right": theirs, "mcnemar_p": p}
        return markdown(whole | {"soft_against_flat": pair}, scored.card)

    assert "the tree is better" in verdict(90, 40, 0.001)
    assert "the flat net is better" in verdict(40, 90, 0.001)
    assert "it may be chance" in verdict(50, 45, 0.4)


def test_the_headline_is_one_line_with_n_and_interval(whole):
    assert re.fullmatch(
        r"faces\.csv, PrivateTest: \d\d\.\d % right \(\d\d\.\d to \d\d\.\d\), "
        r"six of seven classes, n = \d+",
        report.headline(whole),
    )


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path, scored):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"predictions\.npz: cannot be written"):
        report.write(
            tmp_path / "file",
            scored.scores,
            scored.predictions,
            scored.faces,
            card=scored.card,
            view="single",
        )
