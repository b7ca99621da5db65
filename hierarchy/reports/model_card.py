"""MODEL_CARD.md: what a run's nets are for, what they are not for, and how far they can be trusted.

After M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. Figures are looked up in scores.json
and recipe.json; the rest is true of every run.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from hierarchy.config.backbones import BACKBONES
from hierarchy.data.dataset import Split
from hierarchy.reports import plots
from hierarchy.reports.run_markdown import PARTS, descent, interval, minutes, percent, recipe_of, table
from hierarchy.taxonomy import FLAT, LEAVES, NODES, branch_of, describe

FILE: Final = "MODEL_CARD.md"
FER2013: Final = {"Training": 28709, "PublicTest": 3589, "PrivateTest": 3589}  # rows of its splits

ORIGIN: Final = """\
FER-2013 (I. Goodfellow et al., "Challenges in Representation Learning: A report on three machine
learning contests", ICONIP 2013) holds 35,887 grey faces of 48x48 pixels, found by image search on
the web with words for expressions and sorted by a few people. It was published for research.
Neither the people shown nor those who took the pictures were asked, nobody recorded age, gender,
skin or country, and labels are noisy: ten people asked again (FER+) agree by plurality with its own
labels on about two faces in three. It is not in this repository."""

USE: Final = """\
Research and teaching; demonstrations; sorting pictures by the expression they show where a wrong
answer costs nothing; a baseline to be beaten. Input is one upright face, cropped as FER-2013's are,
48x48 grey pixels.

The answer is the *apparent* expression: what people who label web photographs would call this
picture. It is no statement about what the person shown feels, wants, or is."""

ABUSE: Final = """\
- Inferring emotions of people at work or in education. The EU AI Act (Regulation (EU) 2024/1689),
  Art. 5(1)(f), forbids it, medical and safety reasons excepted.
- Hiring, policing, border control, credit, insurance, lie detection, diagnosis, or any other
  decision about a person. Emotion recognition that is not forbidden is high-risk under the Act's
  Annex III, and Art. 50 asks that those exposed to it be told.
- Faces of people who do not know of it."""

BIAS: Final = """\
- Groups of people are unevenly present in web photographs, and no labels exist by which the error of each
  could be measured here. Expect it to differ by skin, age, gender, culture, glasses, beards and headwear.
- Acted and posed pictures are common; spontaneous, weak or mixed expressions are rare."""


def markdown(scores: Mapping[str, Any], card: Mapping[str, Any], robustness: str | None = None) -> str:
    """The card of a run that was scored on PrivateTest.

    Args:
        scores: what scores.json holds.
        card: the run's recipe.json.
        robustness: a table of what corruptions cost, where it was measured.
    """
    parts = [f"# Model card: {card['run']}", *_about(scores, card)]
    parts += ["## What it is for", USE, "## What it must not be used for", ABUSE]
    parts += ["## The data", *_data(card), "## How good it is", *_scores(scores, card)]
    if robustness:
        parts += ["## When pictures are bad", robustness]
    return "\n\n".join([*parts, "## Known bias", f"{BIAS}\n{_weakest(scores)}"]) + "\n"


def _about(scores: Mapping[str, Any], card: Mapping[str, Any]) -> Iterator[str]:
    if plots.drawn(scores):
        yield "**SKETCH: the program drew these faces. Nothing here holds for photographs.**"
    nets = card["nets"]
    how = " in two steps" if plots.has_tree(scores) else ""
    sizes = ", ".join(f"{node} {net['parameters']:,}" for node, net in nets.items())
    yield (
        f"{_kind(scores, card)} the apparent expression of a face{how}. {len(LEAVES)} "
        f"answers in a tree: {describe(card['tree'])}. Weights: {sizes}. Recipe: {recipe_of(card)}; seed "
        f"{card.get('seed', 0)}; {minutes(card):.0f} minutes of training on "
        f"{' and '.join(sorted({net['backend'] for net in nets.values()}))}.{descent(card)} Epochs and "
        f"temperatures were chosen on {Split.PublicTest.name}. MIT licence."
    )


def _kind(scores: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    backbone = card["recipe"].get("net", {}).get("backbone")
    family = BACKBONES[backbone].title if backbone in BACKBONES else "VGG-style"
    return f"{family} nets that say" if plots.has_tree(scores) else f"One flat {family} net that says"


def _weakest(scores: Mapping[str, Any]) -> str:
    """What this run confuses most, and what it cannot say."""
    recall = {leaf: row["recall"] for leaf, row in scores["per_class"].items() if row["support"]}
    worst = min(recall, key=lambda leaf: recall[leaf])
    counts = np.array(scores["confusion"]["six_class"])
    np.fill_diagonal(counts, 0)
    true, taken = np.unravel_index(counts.argmax(), counts.shape)
    missing = " and ".join(scores["left_out"])
    return (
        f"- The weakest class is {worst}; the commonest mistake: {LEAVES[true]} taken for {LEAVES[taken]}.\n"
        f"- {missing.capitalize()} is no answer of this model: such faces are called something else."
    )


def _data(card: Mapping[str, Any]) -> Iterator[str]:
    about = card.get("data", {})
    rows = {split: sum(counts.values()) for split, counts in about.get("counts", {}).items()}
    if rows == FER2013 or card.get("labels") == "ferplus":
        yield ORIGIN
    left = " and ".join(f"{name} ({count:,} faces)" for name, count in about.get("left_out", {}).items())
    yield (
        f"Trained on {about.get('source', 'unrecorded data')}"
        + (f": {', '.join(f'{split} {count:,}' for split, count in rows.items())}." if rows else ".")
        + (f" Left out of training: {left}." if left else "")
    )


def _scores(scores: Mapping[str, Any], card: Mapping[str, Any]) -> Iterator[str]:
    soft = scores["six_class"]["soft"]
    yield (
        f"{plots.subject(scores)}, {plots.CLASSES}, n = {scores['n']:,}, {scores['view']} view. Percentages "
        "with 95 % intervals."
    )
    rows = [(plots.answering(scores), f"{soft['n']:,}", percent(soft["accuracy"]), interval(soft))]
    for key, label in PARTS.items():
        if scores.get(key, {}).get("n"):
            part = scores[key]["six_class"]["soft"]
            rows.append((label, f"{part['n']:,}", percent(part["accuracy"]), interval(part)))
    if plots.has_tree(scores):
        rows += [
            (node, f"{scores[node]['n']:,}", percent(scores[node]["accuracy"]), interval(scores[node]))
            for node in NODES
        ]
    yield table(("accuracy of", "n", "accuracy", "interval"), rows)
    yield table(
        ("class", "branch", "n", "precision", "recall", "interval of recall", "F1"),
        [
            (leaf, branch_of(leaf), f"{row['support']:,}", percent(row["precision"]), percent(row["recall"]))
            + (interval(row), percent(row["f1"]))
            for leaf, row in scores["per_class"].items()
        ],
    )
    surest = scores["surest"]
    yield (
        f"Calibration: an answer's probability is off its accuracy by {percent(soft['ece'])} points in the "
        f"mean (ECE). On the {percent(surest['coverage'])} % of faces whose branch is surest, the branch is "
        f"right on {percent(surest['accuracy'])} % ({interval(surest)})."
    )
    if FLAT in scores and plots.has_tree(scores):
        flat = scores[FLAT]
        yield f"One flat net, as large as one of them, scores {percent(flat['accuracy'])} ({interval(flat)})."
