"""Start from another run's flat net: reuse it as it is, or train it further."""

import logging
from collections.abc import Iterable
from typing import Any

from hierarchy import runs
from hierarchy.backends import Backend
from hierarchy.config.overrides import from_dict
from hierarchy.config.schema import Recipe, without_weights
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT
from hierarchy.training.resume import node_begun

log = logging.getLogger(__name__)


def start_run(name: str, recipe: Recipe, backend: Backend) -> runs.Run:
    """The run of a name, whose flat net can initialise nets of a recipe.

    Raises:
        InputError: its flat net is missing, unfinished, of other layers, another tree, or another backend.
    """
    run, source = runs.run(name), f"run {name!r}"
    manifest = run.manifest()
    recipe.tree.check_same(manifest.tree, source)
    backend.open(run.net(FLAT))
    if not manifest.nets[FLAT].finished:
        raise InputError(f"{source}: its flat net is not finished; continue it with train --resume")
    if without_weights(from_dict(manifest.recipe, source).net) != without_weights(recipe.net):
        raise InputError(f"{source}: its flat net has other layers than the recipe (net.*)")
    return run


def take_flat(
    target: runs.Run, recipe: Recipe, nodes: Iterable[str], identity: dict[str, Any], backend: Backend
) -> None:
    """Give a run that has no flat net the one that it starts from, unless it is trained further.

    Raises:
        InputError: as `start_run`; or it was trained on other labels.
    """
    if "start" not in identity or FLAT in nodes or node_begun(target, FLAT):
        return
    source = start_run(next(iter(identity["start"])), recipe, backend)
    labels = source.manifest().labels
    if labels != identity["labels"]:
        raise InputError(
            f"run {source.name!r}: its flat net was trained on {labels} labels, not {identity['labels']}; "
            "--node all,flat trains it further"
        )
    runs.copy_net(source, target, FLAT, identity)


def report_other_data(identity: dict[str, Any]) -> None:
    """Log the runs that a run learns from and whose labels are of the same kind, but of another data set."""
    for name in (*identity.get("start", ()), *identity.get("teacher", ())):
        if not runs.run(name).trained:
            continue
        manifest = runs.run(name).manifest()
        other = manifest.data.get("fingerprint") != identity["data"]["fingerprint"]
        if other and manifest.labels == identity["labels"]:
            log.info(
                f"run {name!r} was trained on a different dataset; its training set may overlap "
                "this run's test set"
            )
