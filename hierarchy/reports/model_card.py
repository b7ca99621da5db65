"""MODEL_CARD.md: intended use of a run's nets, misuse, data, scores and known bias.

After M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. Figures come from scores.json and
recipe.json; the rest is true of every run.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from hierarchy.config.backbones import BACKBONES
from hierarchy.data.dataset import Split
from hierarchy.manifest import RunManifest
from hierarchy.reports import captions, prediction_sets
from hierarchy.reports.run_markdown import PARTS, PER_CLASS, per_class
from hierarchy.reports.tables import accuracy, interval, percent, score_table
from hierarchy.taxonomy import FLAT

FILE: Final = "MODEL_CARD.md"
CLASSES: Final = {  # columns of the table of classes: key of a score
    **{title: PER_CLASS[title] for title in ("branch", "n", "precision", "recall")},
    "interval of recall": "ci95",
    "F1": "f1",
}
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


def markdown(scores: Mapping[str, Any], manifest: RunManifest, robustness: str | None = None) -> str:
    """The card of a run: `scores` as scores.json holds them of PrivateTest, and a table of errors."""
    parts = [f"# Model card: {manifest.run}", *_about(scores, manifest)]
    parts += ["## Intended use", USE, "## Misuse", ABUSE]
    parts += ["## Data", *_data(manifest), "## Scores", *_scores(scores)]
    sets = list(prediction_sets.markdown(scores))
    parts += ["## Prediction sets", *sets] if sets else []
    parts += ["## Under corruptions", robustness] if robustness else []
    return "\n\n".join([*parts, "## Known bias", f"{BIAS}\n{_weakest(scores)}"]) + "\n"


def _about(scores: Mapping[str, Any], manifest: RunManifest) -> Iterator[str]:
    if scores["drawn"]:
        yield "**SKETCH: the program drew these faces. Nothing here holds for photographs.**"
    sizes = ", ".join(f"{node} {net.parameters:,}" for node, net in manifest.nets.items())
    yield (
        f"{_kind(scores, manifest)} the apparent expression of a face. {len(manifest.tree.leaves)} classes "
        f"in a tree: {manifest.tree}. Weights: {sizes}. Recipe: {captions.recipe_of(manifest)}; "
        f"seed {manifest.seed}; {captions.training(manifest, '{} minutes of training on {}')} Epochs and "
        f"temperatures were chosen on {Split.PublicTest.name}. MIT licence."
    )


def _kind(scores: Mapping[str, Any], manifest: RunManifest) -> str:
    backbone = str(manifest.recipe.get("net", {}).get("backbone"))
    family = BACKBONES[backbone].title if backbone in BACKBONES else "VGG-style"
    return f"A tree of {family} nets for" if scores["has_tree"] else f"One flat {family} net for"


def _weakest(scores: Mapping[str, Any]) -> str:
    """The weakest class, the commonest confusion, and the classes that cannot be predicted."""
    leaves = captions.tree_of(scores).leaves
    recall = {leaf: row["recall"] for leaf, row in scores["per_class"].items() if row["support"]}
    counts = np.array(scores["confusion"][captions.SOFT])
    np.fill_diagonal(counts, 0)
    true, taken = np.unravel_index(counts.argmax(), counts.shape)
    weakest = (
        f"- The weakest class is {min(recall, key=lambda leaf: recall[leaf])}; the commonest mistake: "
        f"{leaves[true]} taken for {leaves[taken]}."
    )
    missing = " and ".join(scores["left_out"])
    return f"{weakest}\n- Never predicted: {missing}. Such faces get another label." if missing else weakest


def _data(manifest: RunManifest) -> Iterator[str]:
    about = manifest.data
    rows = {split: sum(counts.values()) for split, counts in about.get("counts", {}).items()}
    if rows == FER2013 or manifest.labels == "ferplus":
        yield ORIGIN
    left = " and ".join(f"{name} ({count:,} faces)" for name, count in about.get("left_out", {}).items())
    origins = ", ".join(f"{name} {count:,}" for name, count in about.get("origins", {}).items())
    yield (
        f"Trained on {about.get('source', 'unrecorded data')}"
        + (f": {', '.join(f'{split} {count:,}' for split, count in rows.items())}." if rows else ".")
        + (f" Origin of the faces: {origins}." if origins else "")
        + (f" Left out of training: {left}." if left else "")
    )


def _scores(scores: Mapping[str, Any]) -> Iterator[str]:
    soft, sure = scores["tree"]["soft"], scores["coverage_80"]
    yield (
        f"{captions.subject(scores)}, {captions.coverage(scores)}, n = {scores['n']:,}, {scores['view']} "
        "view. Percentages with 95 % intervals."
    )
    parts = {label: scores.get(key) or {"n": 0} for key, label in PARTS.items()}
    rows = {captions.answering(scores): soft}
    rows |= {label: part["tree"]["soft"] for label, part in parts.items() if part["n"]}
    yield score_table("accuracy of", rows | (scores["nodes"] if scores["has_tree"] else {}))
    yield per_class(scores, CLASSES)
    yield (
        f"Calibration: the mean gap of confidence and accuracy (ECE) is {percent(soft['ece'])} points. On "
        f"the {percent(sure['coverage'])} % of faces with the most confident branch, the branch is right on "
        f"{percent(sure['accuracy'])} % ({interval(sure)})."
    )
    if scores.get(FLAT) and scores["has_tree"]:
        yield f"One flat net, as large as one of them, scores {accuracy(scores[FLAT])}."
