"""The model card has what law and reader ask for, with the figures of this run."""

import re
from dataclasses import replace

import msgspec

from hierarchy.reports import model_card
from hierarchy.reports.tables import percent
from hierarchy.taxonomy import FLAT


def card_of(scored, manifest=None, **changes):
    return model_card.markdown(scored.whole | changes, manifest or scored.manifest)


def test_intended_use_misuse_and_bias_are_there(scored):
    text = card_of(scored)
    for words in ("apparent expression", "Art. 5(1)(f)", "## Misuse", "## Known bias"):
        assert words in text
    assert "SKETCH" in card_of(scored, drawn=True)


def test_figures_are_those_of_the_run(scored):
    text = card_of(scored)
    soft, sure = scored.scores["tree"]["soft"], scored.scores["coverage_80"]
    assert f"| tree, soft | {soft['n']} | {percent(soft['accuracy'])} |" in text
    assert f"right on {percent(sure['accuracy'])} %" in text
    for row in scored.scores["per_class"].values():
        low, high = row["ci95"]
        assert low < row["recall"] < high
        assert (
            f"{percent(row['recall'])} | {percent(low)} to {percent(high)} | {percent(row['f1'])} |" in text
        )


def test_other_trees_have_cards_too(other_scored, other_tree):
    text = card_of(other_scored)
    assert all(f"| {leaf} | {other_tree.branch_of(leaf)} |" in text for leaf in other_tree.leaves)
    assert "disgust" not in text or "disgust" in other_tree.leaves
    leaves = set(re.search(r"mistake: (.*) taken for (.*)\.", text).groups())
    assert len(leaves) == 2 and leaves <= set(other_tree.leaves)


def test_provenance_is_given_for_fer2013_only(scored):
    assert "Goodfellow" not in card_of(scored)
    counts = {split: {"happy": rows} for split, rows in model_card.FER2013.items()}
    data = {
        "source": "icml.csv",
        "counts": counts,
        "left_out": {"disgust": 547},
        "origins": {"real": 35_000, "generated": 887},
    }
    text = card_of(scored, replace(scored.manifest, data=data))
    assert "Goodfellow" in text and "disgust (547 faces)" in text and "real 35,000, generated 887" in text


def test_the_origin_of_the_nets_is_named(scored):
    assert "flat net from run" not in card_of(scored)
    copied = msgspec.structs.replace(scored.manifest.nets[FLAT], copied_from="first")
    later = replace(scored.manifest, start={"first": "sum"}, teacher={"first": {}, "second": {}})
    text = card_of(scored, replace(later, nets=later.nets | {FLAT: copied}))
    assert "took its flat net from run first and was distilled from first, second" in text
    assert "continued from the flat net of run first" in card_of(scored, later)
    assert "36 minutes" in text and "48 minutes" in card_of(scored)  # three nets of twelve, and four


def test_a_flat_net_is_not_compared_with_itself(scored):
    assert "One flat net, as large as one of them, scores" in card_of(scored)
    assert "One flat net, as" not in card_of(scored, has_tree=False)
    assert "One flat net, as" not in card_of(scored, flat=None)
