"""REPORT.md: the values of scores.json and the manifest for a reader; nothing is computed here."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from hierarchy.data.dataset import Split
from hierarchy.manifest import FER2013_LABELS, RunManifest
from hierarchy.reports import plots
from hierarchy.reports.tables import accuracy, accuracy_cells, percent, table
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
    """REPORT.md.

    Args:
        scores: what scores.json holds.
        manifest: of the run.
        pictures: names of PNG files beside the report.
        robustness: a table of errors under corruptions, where they were measured.
    """
    links = [f"![{CAPTIONS[name]}]({name})" for name in pictures]
    parts = [
        *_opening(scores, manifest),
        *_routings(scores),
        *_nodes(scores),
        *_per_class(scores),
        *_without_copies(scores),
        *_other_counts(scores),
        *_calibration(scores, manifest),
        *_against_flat(scores),
        *(["## Under corruptions", robustness] if robustness else []),
        *(["## Pictures", *links] if links else []),
        *_training(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(scores: Mapping[str, Any], manifest: RunManifest) -> Iterator[str]:
    yield f"# {manifest.run}: {plots.subject(scores)}"
    if scores["drawn"]:
        yield "**SKETCH: the program drew these faces. Their scores say nothing about photographs.**"
    seeds = ", ".join(map(str, scores["seeds"]))
    yield (
        f"Scores of {plots.coverage(scores)}, n = {scores['n']:,} ({_counts(scores['origins'])})."
        f"{_left_out(scores)} View: {scores['view']}. Seed: {seeds}. Figures are percentages; intervals are "
        "95 % (Wilson)."
    )
    if scores.get("answer"):
        yield f"Several runs predict together, by the {recipe_of(manifest)}."
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


def _left_out(scores: Mapping[str, Any]) -> str:
    if not scores["left_out"]:
        return ""
    return f" Left out, not in the tree: {_counts(scores['left_out'])}; counted only where stated."


def _routings(scores: Mapping[str, Any]) -> Iterator[str]:
    first = "SKETCH" if scores["drawn"] else "answer"
    header = (first, "n", "accuracy", "interval", "macro-F1", "hierarchical F1", "ECE")
    rows = [
        (name, *accuracy_cells(row), *(percent(row[key]) for key in ("macro_f1", "hierarchical_f1", "ece")))
        for name, row in _systems(scores, scores).items()
    ]
    yield f"## {plots.coverage(scores).capitalize()}"
    yield table(header, rows)
    if scores["has_tree"]:
        yield (
            "Soft takes the likeliest leaf, hard the likeliest leaf of the likeliest branch. Lazy (early "
            f"exit) gives soft's label with {scores['nets_per_face']['lazy']:.2f} nets a face instead of "
            f"{len(scores['nodes'])}."
        )


def _nodes(scores: Mapping[str, Any]) -> Iterator[str]:
    if not scores["has_tree"]:
        return
    tree = plots.tree_of(scores)
    rows = [
        (node, ", ".join(tree.classes_of(node)), *accuracy_cells(row), percent(row["ece"]))
        for node, row in scores["nodes"].items()
    ]
    yield "## Nodes"
    yield table(("node", "classes", "n", "accuracy", "interval", "ECE"), rows)
    yield "A specialist is scored on the faces whose true class is in its branch."


def _per_class(scores: Mapping[str, Any]) -> Iterator[str]:
    tree = plots.tree_of(scores)
    rows = [
        (leaf, tree.branch_of(leaf), f"{row['support']:,}", *(percent(row[key]) for key in plots.PER_CLASS))
        for leaf, row in scores["per_class"].items()
    ]
    yield f"## Classes ({plots.answering(scores)})"
    yield table(("class", "branch", "n", *plots.PER_CLASS.values()), rows)


def _without_copies(scores: Mapping[str, Any]) -> Iterator[str]:
    searched = [key for key in PARTS if scores.get(key)]
    if not searched:
        yield "## Without copies"
        yield "Copies of these faces in the run's Training split were not searched for."
        return
    parts = {PARTS[key]: scores[key] for key in searched if scores[key]["n"]}
    if not parts:
        return
    rows = [
        (label, f"{part['n']:,}", *map(accuracy, _systems(part, scores).values()))
        for label, part in ({"all": scores} | parts).items()
    ]
    yield "## Without copies"
    yield "Some of these faces are also in Training, as the same pixels or as another crop of the same photo."
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
    yield f"## Other counts ({plots.answering(scores)})"
    cells = [(name, *accuracy_cells(row)) for name, row in rows.items()]
    yield table(("faces", "n", "accuracy", "interval"), cells)
    yield (
        f"Below a confidence of {selective['min_confidence']:.2f} only the branch is predicted; "
        f"{percent(selective['coverage'])} % of the faces get a leaf."
    )


def _calibration(scores: Mapping[str, Any], manifest: RunManifest) -> Iterator[str]:
    yield "## Calibration"
    systems = {plots.answering(scores): scores["tree"]["soft"]}
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
    if not pair or not scores["has_tree"]:
        return
    tree, flat, p = pair["only_soft_right"], pair["only_flat_right"], pair["mcnemar_p"]
    better = f"the {'tree' if tree > flat else 'flat net'} is better"
    yield "## Tree or flat net"
    yield (
        f"Only the tree (soft) is right on {tree:,} faces, only the flat net on {flat:,}: "
        f"{better if p < SIGNIFICANT else 'it may be chance'} (exact McNemar test, p = {p:.2g})."
    )


def _training(manifest: RunManifest) -> Iterator[str]:
    rows = [
        (node, *(_figure(key, getattr(net, key)) for key in NETS.values()))
        for node, net in manifest.nets.items()
    ]
    yield "## How it was trained"
    source, counts = (manifest.data.get(key) for key in ("source", "origins"))
    data, of = f" ({_counts(counts)})" if counts else "", " of each" if manifest.answer else ""
    yield (
        f"Recipe: {recipe_of(manifest)} (every value is in {MANIFEST}{of}). Training data: "
        f"{source or 'not recorded'}{data}. Training took {minutes(manifest):.0f} minutes on the "
        f"{backends(manifest)} backend.{descent(manifest)} Tree {manifest.tree.hash}: {manifest.tree}."
    )
    yield table(("net", *NETS), rows)


def _systems(scores: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Scores of every way to a leaf, side by side; `whole` says whether there is a tree."""
    if not whole["has_tree"]:
        return {plots.answering(whole): scores["tree"]["soft"]}
    routed = {f"tree, {rule}": row for rule, row in scores["tree"].items()}
    return routed | ({plots.NAMES[FLAT]: scores[FLAT]} if scores.get(FLAT) else {})


def _figure(key: str, value: float) -> str:
    return percent(value) if key == "public_test_accuracy" else f"{value:,.0f}"


def recipe_of(manifest: RunManifest) -> str:
    """The name of a run's recipe, with the changed values and the labels where they are not FER-2013's."""
    changes = list(manifest.settings)
    changes += [f"{manifest.labels} labels"] if manifest.labels != FER2013_LABELS else []
    return f"{manifest.recipe_name} with {', '.join(changes)}" if changes else manifest.recipe_name


def minutes(manifest: RunManifest) -> float:
    """Training time of the run's nets, without those copied from another run."""
    return sum(net.minutes for net in manifest.nets.values() if net.copied_from is None)


def backends(manifest: RunManifest) -> str:
    """Names of the backends that trained the nets."""
    return " and ".join(sorted({net.backend for net in manifest.nets.values()}))


def descent(manifest: RunManifest) -> str:
    """The runs that a run started from and was distilled from; empty without any."""
    flat = manifest.nets.get(FLAT)
    how = "took its flat net from" if flat and flat.copied_from else "continued from the flat net of"
    sources = [f"{how} run {name}" for name in manifest.start]
    if manifest.teacher:
        sources.append(f"was distilled from {', '.join(manifest.teacher)}")
    return f" It {' and '.join(sources)}, whose training is not counted here." if sources else ""
