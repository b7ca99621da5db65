"""Several runs predicting together, of either framework: the mean of their probabilities, or their vote.

Their predictions are read from predictions.npz; no net is opened.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy import routing, runs
from hierarchy.data.dataset import Split
from hierarchy.data.splits import select_split
from hierarchy.errors import InputError
from hierarchy.evaluation import metrics, predictions, run_report
from hierarchy.evaluation.evaluate import check_split, faces_for, outside_runs
from hierarchy.evaluation.predictions import StoredPredictions
from hierarchy.manifest import RunManifest
from hierarchy.routing import Predictions
from hierarchy.taxonomy import FLAT

FOLDER: Final = "ensembles"  # under results/
ANSWER: Final = "together"


def evaluate(
    names: Sequence[str],
    data: str | None,
    *,
    split: str,
    view: str,
    min_confidence: float,
    vote: bool = False,
    out: Path | None = None,
) -> str:
    """Score runs that predict together and write a report like a run's; options as in `evaluate.evaluate`.

    The runs are of one tree and were evaluated on this split in this view. With `vote`, each run has one vote
    and the mean probability decides ties; otherwise it decides all. If None, `out` is in results/ensembles/.

    Returns:
        The headline and the path of the report.

    Raises:
        InputError: fewer than two runs, or runs of different trees, labels or faces.
    """
    check_split(split)
    if len(set(names)) < max(2, len(names)):
        raise InputError(f"--ensemble {','.join(names)}: expected two or more different runs")
    manifests = [runs.run(name).manifest() for name in names]
    for manifest in manifests:
        manifests[0].tree.check_same(manifest.tree, f"--ensemble: run {manifest.run!r}")
    if len(labels := sorted({manifest.labels for manifest in manifests})) > 1:
        raise InputError(f"--ensemble: runs of different labels ({', '.join(labels)})")
    stored = [predictions.of_run(manifest, split, view) for manifest in manifests]
    faces = select_split(faces_for(manifests[0], data), Split[split])
    for name, each in zip(names, stored, strict=True):
        if not (np.array_equal(each.row, faces.row) and np.array_equal(each.label, faces.label)):
            raise InputError(f"run {name!r}: evaluated on other faces or labels than {faces.source}")
    members = [
        routing.predict_from_logits(manifest.tree, each.logits, manifest.calibration)[0]
        for each, manifest in zip(stored, manifests, strict=True)
    ]
    together = voted(members) if vote else routing.mean(members)
    scores = metrics.score(
        together, faces, flat=together.joint, leaks=stored[0].leaks, min_confidence=min_confidence
    )
    name, how = "+".join(names), "vote" if vote else "mean"
    folder = outside_runs(out) if out else runs.home() / "results" / FOLDER / f"{name}-{how}-{split}-{view}"
    manifest = _manifest(name, manifests, how)
    whole = run_report.write(
        folder, scores, _stored(stored[0], together, manifest), faces, manifest=manifest, view=view
    )
    return f"{run_report.headline(whole)}\n{folder / run_report.REPORT}"


def voted(members: Sequence[Predictions]) -> Predictions:
    """A vote of each run for its likeliest leaf; the mean of their probabilities counts as one more vote.

    As that vote is split over all leaves, it only decides between leaves of equal votes.
    """
    votes = np.sum([np.eye(each.joint.shape[1])[routing.soft(each)] for each in members], axis=0)
    mean = routing.mean(members)
    return routing.from_flat(mean.tree, (votes + mean.joint) / (len(members) + 1))


def _stored(first: StoredPredictions, together: Predictions, manifest: RunManifest) -> StoredPredictions:
    """The predictions with log probabilities for logits, and the checksums of all nets for a net's."""
    floored = np.maximum(together.joint, np.finfo(np.float32).tiny)  # a leaf without votes needs a logarithm
    nets = {FLAT: "+".join(manifest.checksums.values())}
    return replace(first, logits={FLAT: np.log(floored).astype(np.float32)}, nets=nets)


def _manifest(name: str, manifests: Sequence[RunManifest], how: str) -> RunManifest:
    """What the report says of its making."""
    return RunManifest(
        run=name,
        tree=manifests[0].tree,
        recipe={"name": f"{how} of {', '.join(manifest.run for manifest in manifests)}"},
        nets={f"{node} of {each.run}": net for each in manifests for node, net in each.nets.items()},
        labels=manifests[0].labels,
        data=manifests[0].data,
        answer=ANSWER,
    )
