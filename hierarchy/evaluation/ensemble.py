"""Several runs answering together, of either framework: the mean of their probabilities, or their vote.

What each of them says is read from its predictions.npz; no net is opened.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import routing, runs
from hierarchy.data.dataset import Split
from hierarchy.data.formats.ferplus import LABELS
from hierarchy.data.splits import select_split
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, predictions, run_report
from hierarchy.evaluation.evaluate import check_split, faces_for, outside_runs
from hierarchy.evaluation.predictions import StoredPredictions
from hierarchy.routing import Predictions
from hierarchy.taxonomy import FLAT, TREE, tree_hash

FOLDER: Final = "ensembles"  # under results/
HOW: Final = {False: "mean", True: "vote"}


def evaluate(
    names: Sequence[str],
    data: str | None,
    *,
    split: str,
    view: str,
    floor: float,
    vote: bool = False,
    out: Path | None = None,
) -> str:
    """Score runs that answer together and write the report of a run.

    Args:
        names: of two or more runs that were evaluated on this split in this view.
        data: file or folder of the faces that they were evaluated on; None: as for a run.
        split: PublicTest or PrivateTest.
        view: what each net was shown of a face.
        floor: probability below which an answer stops at its branch.
        vote: each run has one vote, and their mean parts equals; else the mean counts.
        out: folder of the report; None: one under results/ensembles/.

    Raises:
        InputError: fewer than two runs, or of other labels or faces than each other's.
    """
    check_split(split)
    if len(set(names)) < max(2, len(names)):
        raise InputError(f"--ensemble {','.join(names)}: allowed are two runs or more, each once")
    cards = [runs.run(name).card() for name in names]
    kept = [predictions.of_run(card, split, view) for card in cards]
    _check_labels(cards)
    faces = select_split(faces_for(cards[0], data), Split[split])
    for name, one in zip(names, kept, strict=True):
        if not (np.array_equal(one.row, faces.row) and np.array_equal(one.label, faces.label)):
            raise InputError(f"run {name!r}: evaluated on other faces or labels than {faces.source}'s")
    said = [_said(one, card) for one, card in zip(kept, cards, strict=True)]
    together = voted(said) if vote else routing.mean(said)
    scores = metrics.score(together, faces, flat=together.joint, leaks=kept[0].leaks, min_confidence=floor)
    name = "+".join(names)
    folder = (
        outside_runs(out) if out else runs.home() / "results" / FOLDER / f"{name}-{HOW[vote]}-{split}-{view}"
    )
    whole = run_report.write(
        folder, scores, _kept(kept[0], together, cards), faces, card=_card(name, cards, HOW[vote]), view=view
    )
    return f"{run_report.headline(whole)}\n{folder / run_report.REPORT}"


def voted(said: Sequence[Predictions]) -> Predictions:
    """A vote of each run for its likeliest leaf; the mean of their probabilities counts as one vote more.

    As that is split over all leaves, it decides only between leaves of equally many votes.
    """
    votes = np.sum([np.eye(each.joint.shape[1])[routing.soft(each)] for each in said], axis=0)
    return routing.from_flat((votes + routing.mean(said).joint) / (len(said) + 1))


def _said(kept: StoredPredictions, card: Mapping[str, Any]) -> Predictions:
    return routing.predict_from_logits(kept.logits, card.get("calibration", {}))[0]


def _check_labels(cards: Sequence[Mapping[str, Any]]) -> None:
    labels = {card.get("labels", LABELS[0]) for card in cards}
    if len(labels) > 1:
        raise InputError(f"--ensemble: its runs learned different labels ({', '.join(sorted(labels))})")


def _kept(
    first: StoredPredictions, together: Predictions, cards: Sequence[Mapping[str, Any]]
) -> StoredPredictions:
    """Its predictions: log probabilities stand for logits, the checksums of all nets for a net's."""
    floored = np.maximum(together.joint, np.finfo(np.float32).tiny)  # what has no votes still has a logarithm
    nets = {FLAT: "+".join(net for card in cards for net in runs.checksums(card).values())}
    logits = {FLAT: np.log(floored).astype(np.float32)}
    return StoredPredictions(first.row, first.split, first.label, logits, first.leaks, nets)


def _card(name: str, cards: Sequence[Mapping[str, Any]], how: str) -> dict[str, Any]:
    """What the report says of how it was made."""
    nets = {f"{node} of {card['run']}": net for card in cards for node, net in card["nets"].items()}
    recipe = {"name": f"{how} of {', '.join(str(card['run']) for card in cards)}"}
    about = {"run": name, "answer": "together", "recipe": recipe, "data": cards[0].get("data", {})}
    return about | {"nets": nets, "tree": TREE, "tree_hash": tree_hash()}
