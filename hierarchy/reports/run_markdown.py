"""REPORT.md: scores.json and recipe.json as a person reads them; every figure is looked up, none computed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from hierarchy.data.dataset import Split
from hierarchy.data.formats.ferplus import LABELS
from hierarchy.reports import plots
from hierarchy.runs import MANIFEST
from hierarchy.taxonomy import FLAT, NODES, branch_of, classes_of, describe

CAPTIONS: Final = {
    "confusion.png": "What each expression is taken for",
    "router.png": "What the router makes of the branches",
    "per_class.png": "Precision, recall and F1 of each class",
    "reliability.png": "Confidence against truth",
    "curves.png": "Training, epoch by epoch",
}
SURE: Final = 0.05  # below this p, one system is called better than another
NETS: Final = {  # column of the table of nets: key on the run's card
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
    card: Mapping[str, Any],
    pictures: Iterable[str] = (),
    robustness: str | None = None,
) -> str:
    """REPORT.md: scores.json and recipe.json for a reader, and links to the pictures."""
    parts = [
        *_opening(scores, card),
        *_answers(scores),
        *_nodes(scores),
        *_per_class(scores),
        *_without_copies(scores),
        *_counted_otherwise(scores),
        *_calibration(scores, card),
        *_against_flat(scores),
        *(["## Under corruptions", robustness] if robustness else []),
        "## Pictures",
        *(f"![{CAPTIONS[name]}]({name})" for name in pictures),
        *_making(card),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(scores: Mapping[str, Any], card: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {card['run']}: {plots.subject(scores)}"
    if plots.drawn(scores):
        yield "**SKETCH: the program drew these faces. Their scores say nothing about photographs.**"
    out = " and ".join(f"{name} ({rows:,} rows here)" for name, rows in scores["left_out"].items())
    seeds = ", ".join(map(str, scores["seeds"]))
    yield (
        f"Scores of {plots.CLASSES}, n = {scores['n']:,}: {out} is left out of training, and counted only "
        f"where it says so. View: {scores['view']}. Seed: {seeds}. Figures are percentages; intervals hold "
        "95 % (Wilson)."
    )
    if "answer" in scores:
        yield f"Several runs answer together, by the {recipe_of(card)}."
    elif not plots.has_tree(scores):
        missing = ", ".join(node for node in NODES if node not in card["nets"])
        yield (
            f"This run has no tree yet (no net for {missing}): these are scores of its flat net alone. What "
            "scores.json keeps of soft, hard and lazy answers and of nodes are sums of the flat net's leaves."
        )
    stopped = [f"{node} ({net['epochs']} epochs)" for node, net in card["nets"].items() if _unfinished(net)]
    if stopped:
        yield f"**Not trained to the end: {', '.join(stopped)}.**"
    if scores["split"] != Split.PrivateTest.name:
        yield f"{Split.PublicTest.name} chose epochs and temperatures: quote {Split.PrivateTest.name} alone."


def _answers(scores: Mapping[str, Any]) -> Iterator[str]:
    first = "SKETCH" if plots.drawn(scores) else "answer"
    header = (first, "n", "accuracy", "interval", "macro-F1", "hierarchical F1", "ECE")
    rows = [
        (name, *_share(row), *(percent(row[key]) for key in ("macro_f1", "hierarchical_f1", "ece")))
        for name, row in _systems(scores, plots.has_tree(scores), plots.answering(scores)).items()
    ]
    yield f"## {plots.CLASSES.capitalize()}"
    yield table(header, rows)
    if plots.has_tree(scores):
        yield (
            "Soft takes the likeliest leaf, hard the likeliest leaf of the likelier branch. Lazy gives "
            f"soft's label with {scores['nets_per_face']['lazy']:.2f} nets a face instead of {len(NODES)}."
        )


def _nodes(scores: Mapping[str, Any]) -> Iterator[str]:
    if not plots.has_tree(scores):
        return
    rows = [
        (node, ", ".join(classes_of(node)), *_share(scores[node]), percent(scores[node]["ece"]))
        for node in NODES
    ]
    yield "## Nodes"
    yield table(("node", "classes", "n", "accuracy", "interval", "ECE"), rows)
    yield "A specialist is judged on the faces that are truly of its branch."


def _per_class(scores: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (leaf, branch_of(leaf), f"{row['support']:,}", *(percent(row[key]) for key in plots.PER_CLASS))
        for leaf, row in scores["per_class"].items()
    ]
    yield f"## Classes ({plots.answering(scores)})"
    yield table(("class", "branch", "n", *plots.PER_CLASS.values()), rows)


def _without_copies(scores: Mapping[str, Any]) -> Iterator[str]:
    if not PARTS.keys() & scores.keys():
        yield "## Without copies"
        yield "Copies of these faces among the run's Training faces were not looked for."
        return
    parts = {label: scores[key] for key, label in PARTS.items() if scores[key]["n"]}
    if not parts:
        return
    rows, named = [], (plots.has_tree(scores), plots.answering(scores))
    for label, part in ({"all": scores} | parts).items():
        answers = [f"{percent(row['accuracy'])} ({interval(row)})" for row in _systems(part, *named).values()]
        rows.append((label, f"{part['n']:,}", *answers))
    yield "## Without copies"
    yield "Some of these faces are in Training too, as the same pixels or as another crop of the same photo."
    yield table(("faces", "n", *_systems(scores, *named)), rows)


def _counted_otherwise(scores: Mapping[str, Any]) -> Iterator[str]:
    stop, out = scores["abstain"], " and ".join(scores["left_out"])
    rows = {f"{out} too, always wrong": scores["seven_class"]["soft"]}
    rows |= {"against the majority of FER+ taggers": scores["ferplus"]} if "ferplus" in scores else {}
    rows |= {f"confidence of {stop['min_confidence']:.2f} or more": stop}
    if plots.has_tree(scores):
        rows |= {f"branch alone, the surest {100 * scores['surest']['coverage']:.0f} %": scores["surest"]}
    yield f"## Counted otherwise ({plots.answering(scores)})"
    yield table(("faces", "n", "accuracy", "interval"), [(name, *_share(row)) for name, row in rows.items()])
    yield (
        f"Below a confidence of {stop['min_confidence']:.2f} an answer stops at its branch; "
        f"{percent(stop['coverage'])} % of the faces are answered with a leaf."
    )


def _calibration(scores: Mapping[str, Any], card: Mapping[str, Any]) -> Iterator[str]:
    yield "## Calibration"
    answers = {plots.answering(scores): scores["six_class"]["soft"]}
    if plots.has_tree(scores):
        answers |= {node: scores[node] for node in (*NODES, FLAT) if node in scores}
    listed = "; ".join(f"{name} {percent(row['ece'])}" for name, row in answers.items())
    bins = len(next(iter(scores["reliability"].values()))["count"])
    yield f"Mean distance of confidence and accuracy (ECE, {bins} bins): {listed}."
    if fitted := card.get("calibration"):
        listed = "; ".join(f"{node} {value['temperature']:.2f}" for node, value in fitted.items())
        yield f"Temperatures, fitted on {Split.PublicTest.name}: {listed}."


def _against_flat(scores: Mapping[str, Any]) -> Iterator[str]:
    if FLAT not in scores or not plots.has_tree(scores):
        return
    pair = scores["soft_against_flat"]
    ours, theirs, p = pair["only_soft_right"], pair["only_flat_right"], pair["mcnemar_p"]
    verdict = f"the {'tree' if ours > theirs else 'flat net'} is better" if p < SURE else "it may be chance"
    yield "## Tree or flat net"
    yield (
        f"Only the tree (soft) is right on {ours:,} faces, only the flat net on {theirs:,}: {verdict} "
        f"(exact McNemar test, p = {p:.2g})."
    )


def _making(card: Mapping[str, Any]) -> Iterator[str]:
    nets = card["nets"]
    rows = [(node, *(_of_net(key, about[key]) for key in NETS.values())) for node, about in nets.items()]
    backends = " and ".join(sorted({about["backend"] for about in nets.values()}))
    yield "## How it was made"
    data, of = card.get("data", {}).get("source", "not recorded"), " of each" if "answer" in card else ""
    yield (
        f"Recipe: {recipe_of(card)} (every value is in {MANIFEST}{of}). Training data: {data}. "
        f"Training took {minutes(card):.0f} minutes on the {backends} backend.{descent(card)} "
        f"Tree {card['tree_hash']}: {describe(card['tree'])}."
    )
    yield table(("net", *NETS), rows)


def _systems(scores: Mapping[str, Any], tree: bool, alone: str) -> dict[str, Mapping[str, Any]]:
    """The scores of every way to a leaf, side by side; without a tree, of what is alone."""
    if not tree:
        return {alone: scores["six_class"]["soft"]}
    routed = {f"tree, {rule}": row for rule, row in scores["six_class"].items()}
    return routed | ({plots.NAMES[FLAT]: scores[FLAT]} if FLAT in scores else {})


def _of_net(key: str, value: float) -> str:
    return percent(value) if key == NETS[f"{Split.PublicTest.name} then"] else f"{value:,.0f}"


def _unfinished(net: Mapping[str, Any]) -> bool:
    return not net.get("finished", True)


def recipe_of(card: Mapping[str, Any]) -> str:
    """The name of a run's recipe, with the values that were set otherwise and whose labels it learned."""
    name, said = str(card["recipe"]["name"]), list(card.get("settings", ()))
    labels = card.get("labels", LABELS[0])
    said += [f"{labels} labels"] if labels != LABELS[0] else []
    return f"{name} with {', '.join(said)}" if said else name


def minutes(card: Mapping[str, Any]) -> float:
    """How long the run's own nets were trained; not those that another run gave it."""
    return sum(about["minutes"] for about in card["nets"].values() if "from" not in about)


def descent(card: Mapping[str, Any]) -> str:
    """Which runs a run started from and learned from; empty where it did neither."""
    how = "took its flat net from" if "from" in card["nets"].get(FLAT, {}) else "went on from the flat net of"
    said = [f"{how} run {name}" for name in card.get("start", {})]
    if teachers := list(card.get("teacher", {})):
        said.append(f"was taught by {', '.join(teachers)} as well as by labels")
    return f" It {' and '.join(said)}, whose training is not counted here." if said else ""


def percent(share: float | None) -> str:
    """A fraction as percent with one decimal; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f}"


def interval(row: Mapping[str, Any]) -> str:
    """The 95 % interval of a score in percent."""
    return " to ".join(percent(end) for end in row["ci95"] or [None])


def signed(ends: Sequence[float] | None) -> str:
    """An interval of differences in percentage points."""
    return "-" if ends is None else " to ".join(f"{100 * end:+.1f}" for end in ends)


def _share(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{row['n']:,}", percent(row["accuracy"]), interval(row)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
