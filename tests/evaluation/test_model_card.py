"""The model card says what law and reader ask for, with the figures of this run and of no other."""

from hierarchy.reports import model_card
from hierarchy.reports.run_markdown import percent
from hierarchy.taxonomy import FLAT, LEAVES


def card_of(scored, **changes):
    about = {"dataset": "faces.csv", "split": "PrivateTest", "view": "single", "drawn": False, "tree": True}
    return model_card.markdown(about | scored.scores | changes, scored.card)


def test_it_says_what_it_is_for_and_what_it_is_not(scored):
    text = card_of(scored)
    for words in ("apparent expression", "Art. 5(1)(f)", "What it must not be used for", "Known bias"):
        assert words in text
    assert "SKETCH" in card_of(scored, drawn=True)


def test_figures_are_those_of_the_run(scored):
    text = card_of(scored)
    soft, surest = scored.scores["six_class"]["soft"], scored.scores["surest"]
    assert f"| tree, soft | {soft['n']} | {percent(soft['accuracy'])} |" in text
    assert f"right on {percent(surest['accuracy'])} %" in text
    for leaf in LEAVES:
        row = scored.scores["per_class"][leaf]
        low, high = row["ci95"]
        assert low < row["recall"] < high
        assert (
            f"{percent(row['recall'])} | {percent(low)} to {percent(high)} | {percent(row['f1'])} |" in text
        )


def test_provenance_is_told_of_fer2013_alone(scored):
    assert "Goodfellow" not in card_of(scored)
    counts = {split: {"happy": rows} for split, rows in model_card.FER2013.items()}
    whole = scored.card | {"data": {"source": "icml.csv", "counts": counts, "left_out": {"disgust": 547}}}
    text = model_card.markdown(dict(dataset="x", split="PrivateTest", view="single") | scored.scores, whole)
    assert "Goodfellow" in text and "Left out of training: disgust (547 faces)." in text


def test_it_says_where_the_nets_come_from(scored):
    assert "flat net from run" not in card_of(scored)
    nets = {FLAT: scored.card["nets"][FLAT] | {"from": "first"}} | {
        node: net for node, net in scored.card["nets"].items() if node != FLAT
    }
    later = scored.card | {"start": {"first": "sum"}, "teacher": {"first": {}, "second": {}}, "nets": nets}
    about = {"dataset": "x", "split": "PrivateTest", "view": "single", "drawn": False}
    text = model_card.markdown(about | scored.scores, later)
    assert "It took its flat net from run first and was taught by first, second as well as" in text
    later["nets"] = scored.card["nets"]
    assert "It went on from the flat net of run first" in model_card.markdown(about | scored.scores, later)
    assert "36 minutes" in text and "48 minutes" in card_of(scored)  # three nets of twelve, and four


def test_a_flat_net_is_not_held_against_itself(scored):
    alone = scored.scores | {"tree": False}
    about = {"dataset": "x", "split": "PrivateTest", "view": "single"}
    whole = model_card.markdown(about | scored.scores, scored.card)
    assert "One flat net, as large as one of them, scores" in whole
    assert "One flat net" not in model_card.markdown(about | alone, scored.card)


def test_a_run_without_flat_net_says_nothing_of_one(scored):
    scores = {key: value for key, value in scored.scores.items() if key != FLAT}
    text = model_card.markdown(dict(dataset="x", split="PrivateTest", view="single") | scores, scored.card)
    assert "One flat net" not in text
