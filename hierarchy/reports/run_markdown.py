"""REPORT.md: the values of scores.json and the manifest for a reader; nothing is computed here."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from hierarchy.data.dataset import Split
from hierarchy.manifest import RunManifest
from hierarchy.reports import captions, prediction_sets
from hierarchy.reports.tables import SCORE, accuracy, percent, score_table, table
from hierarchy.runs import MANIFEST
from hierarchy.taxonomy import FLAT

CAPTIONS: Final = {
    "confusion.png": "Confusion of the classes",
    "router.png": "Confusion of the branches",
    "per_class.png": "Precision, recall and F1 of each class",
    "reliability.png": "Confidence and accuracy",
    "curves.png": "Training, epoch by epoch",
}
SIGNIFICANT: Final = 0.05  # below this p, one system is called better than another
ECE: Final = {"ECE": "ece"}
ROUTED: Final = SCORE | {"macro-F1": "macro_f1", "hierarchical F1": "hierarchical_f1"} | ECE
PER_CLASS: Final = {
    "branch": "branch",
    "n": "support",
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
}
NETS: Final = {  # column of the table of nets: attribute of its record
    "parameters": "parameters",
    "epochs": "epochs",
    "best epoch": "best_epoch",
    f"{Split.PublicTest.name} then": "public_test_accuracy",
    "minutes": "minutes",
    "images/s": "images_per_second",
    "seed": "seed",
}
PARTS: Final = {
    "leak_free": "no identical twin in Training",
    "leak_free_near": "no near copy either",
}


def markdown(
    scores: Mapping[str, Any],
    manifest: RunManifest,
    pictures: Iterable[str] = (),
    robustness: str | None = None,
) -> str:
    """REPORT.md: `scores` as scores.json holds them, names of PNGs beside it, and a table of errors."""
    links = [f"![{CAPTIONS[name]}]({name})" for name in pictures]
    sections = {
        captions.coverage(scores).capitalize(): _routings(scores),
        "Nodes": _nodes(scores),
        f"Classes ({captions.answering(scores)})": [per_class(scores, PER_CLASS)],
        "Without copies": _without_copies(scores),
        f"Other counts ({captions.answering(scores)})": _other_counts(scores),
        "Calibration": _calibration(scores, manifest),
        "Prediction sets": prediction_sets.markdown(scores),
        "Tree or flat net": _against_flat(scores),
        "Under corruptions": [robustness] if robustness else [],
        "Pictures": links,
        "How it was trained": _training(manifest),
    }
    parts = list(_opening(scores, manifest))
    for title, section in sections.items():
        paragraphs = list(section)
        parts += [f"## {title}", *paragraphs] if paragraphs else []
    return "\n\n".join(parts) + "\n"


def _opening(scores: Mapping[str, Any], manifest: RunManifest) -> Iterator[str]:
    yield f"# {manifest.run}: {captions.subject(scores)}"
    if scores["drawn"]:
        yield "**SKETCH: the program drew these faces. Their scores say nothing about photographs.**"
    seeds = ", ".join(map(str, scores["seeds"]))
    missing = _counts(scores["left_out"])
    left_out = f" Left out, not in the tree: {missing}; counted only where stated." if missing else ""
    yield (
        f"Scores of {captions.coverage(scores)}, n = {scores['n']:,} ({_counts(scores['origins'])})."
        f"{left_out} View: {scores['view']}. Seed: {seeds}. Figures are percentages; intervals are "
        "95 % (Wilson)."
    )
    if scores.get("answer"):
        yield f"Several runs predict together, by the {captions.recipe_of(manifest)}."
    elif not scores["has_tree"]:
        missing = ", ".join(node for node in manifest.tree.nodes if node not in manifest.nets)
        yield (
            f"The tree of this run is not complete (no net for {missing}): these are scores of its flat net. "
            "In scores.json, soft, hard, lazy and the nodes are sums of the flat net's probabilities."
        )
    stopped = [f"{node} ({net.epochs} epochs)" for node, net in manifest.nets.items() if not net.finished]
    if stopped:
        yield f"**Training not finished: {', '.join(stopped)}.**"
    if scores["split"] != Split.PrivateTest.name:
        yield f"{scores['split']} chose epochs and temperatures: quote {Split.PrivateTest.name} only."


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {rows:,}" for name, rows in counts.items())


def _routings(scores: Mapping[str, Any]) -> Iterator[str]:
    yield score_table("SKETCH" if scores["drawn"] else "answer", _systems(scores, scores), ROUTED)
    if scores["has_tree"]:
        yield (
            "Soft takes the likeliest leaf, hard the likeliest leaf of the likeliest branch. Lazy (early "
            f"exit) gives soft's label with {scores['nets_per_face']['lazy']:.2f} nets a face instead of "
            f"{len(scores['nodes'])}."
        )


def _nodes(scores: Mapping[str, Any]) -> Iterator[str]:
    if scores["has_tree"]:
        tree = captions.tree_of(scores)
        rows = {
            node: {"classes": ", ".join(tree.classes_of(node))} | row for node, row in scores["nodes"].items()
        }
        yield score_table("node", rows, {"classes": "classes"} | SCORE | ECE)
        yield "A specialist is scored on the faces whose true class is in its branch."


def per_class(scores: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """A Markdown table of the scores of each leaf and its branch: title -> key."""
    tree = captions.tree_of(scores)
    rows = {leaf: {"branch": tree.branch_of(leaf)} | row for leaf, row in scores["per_class"].items()}
    return score_table("class", rows, columns)


def _without_copies(scores: Mapping[str, Any]) -> Iterator[str]:
    searched = {label: scores[key] for key, label in PARTS.items() if scores.get(key)}
    parts = {label: part for label, part in searched.items() if part["n"]}
    if not searched:
        yield "Copies of these faces in the run's Training split were not searched for."
    elif parts:
        rows = [
            (label, part["n"], *map(accuracy, _systems(part, scores).values()))
            for label, part in ({"all": scores} | parts).items()
        ]
        yield (
            "Some of these faces are also in Training, as the same pixels or as another crop of the same "
            "photo."
        )
        yield table(("faces", "n", *_systems(scores, scores)), rows)


def _other_counts(scores: Mapping[str, Any]) -> Iterator[str]:
    selective, sure = scores["selective"], scores["coverage_80"]
    rows = {}
    if scores["left_out"]:
        rows[f"{' and '.join(scores['left_out'])} too, always wrong"] = scores["all_names"]["soft"]
    if scores.get("ferplus"):
        rows["against the majority of FER+ taggers"] = scores["ferplus"]
    rows[f"confidence of {selective['min_confidence']:.2f} or more"] = selective
    if scores["has_tree"]:
        rows[f"branch only, the most confident {100 * sure['coverage']:.0f} %"] = sure
    yield score_table("faces", rows)
    yield (
        f"Below a confidence of {selective['min_confidence']:.2f} only the branch is predicted; "
        f"{percent(selective['coverage'])} % of the faces get a leaf."
    )


def _calibration(scores: Mapping[str, Any], manifest: RunManifest) -> Iterator[str]:
    systems = {captions.answering(scores): scores["tree"]["soft"]}
    if scores["has_tree"]:
        systems |= scores["nodes"] | ({FLAT: scores[FLAT]} if scores.get(FLAT) else {})
    errors = "; ".join(f"{name} {percent(row['ece'])}" for name, row in systems.items())
    bins = len(next(iter(scores["reliability"].values()))["count"])
    yield f"Mean gap of confidence and accuracy (ECE, {bins} bins): {errors}."
    if manifest.calibration:
        fitted = "; ".join(f"{node} {each.temperature:.2f}" for node, each in manifest.calibration.items())
        yield f"Temperatures, fitted on {Split.PublicTest.name}: {fitted}."


def _against_flat(scores: Mapping[str, Any]) -> Iterator[str]:
    pair = scores.get("soft_against_flat")
    if pair and scores["has_tree"]:
        tree, flat, p = pair["only_soft_right"], pair["only_flat_right"], pair["mcnemar_p"]
        better = f"the {'tree' if tree > flat else 'flat net'} is better"
        yield (
            f"Only the tree (soft) is right on {tree:,} faces, only the flat net on {flat:,}: "
            f"{better if p < SIGNIFICANT else 'it may be chance'} (exact McNemar test, p = {p:.2g})."
        )


def _training(manifest: RunManifest) -> Iterator[str]:
    source, counts = manifest.data.get("source"), manifest.data.get("origins")
    data, of = f" ({_counts(counts)})" if counts else "", " of each" if manifest.answer else ""
    yield (
        f"Recipe: {captions.recipe_of(manifest)} (every value is in {MANIFEST}{of}). Training data: "
        f"{source or 'not recorded'}{data}. "
        f"{captions.training(manifest, 'Training took {} minutes on the {} backend')} "
        f"Tree {manifest.tree.hash}: {manifest.tree}."
    )
    rows = [
        (node, *(_figure(key, getattr(net, key)) for key in NETS.values()))
        for node, net in manifest.nets.items()
    ]
    yield table(("net", *NETS), rows)


def _figure(key: str, value: float) -> str:
    return percent(value) if key == "public_test_accuracy" else f"{value:,.0f}"


def _systems(scores: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Scores of every way to a leaf, side by side; `whole` says whether there is a tree."""
    if not whole["has_tree"]:
        return {captions.answering(whole): scores["tree"]["soft"]}
    routed = {f"tree, {rule}": row for rule, row in scores["tree"].items()}
    return routed | ({captions.NAMES[FLAT]: scores[FLAT]} if scores.get(FLAT) else {})
