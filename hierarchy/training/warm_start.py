"""Start from another run's flat net: reuse it as it is, or train it further."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from hierarchy import runs
from hierarchy.backends import Backend
from hierarchy.config.overrides import from_dict
from hierarchy.config.schema import NetConfig, ParallelConfig, Recipe, without_weights
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT
from hierarchy.training.resume import node_begun

log = logging.getLogger(__name__)


def start_runs(names: Sequence[str], recipe: Recipe, backend: Backend) -> list[runs.Run]:
    """The runs of names, whose flat nets can initialise the bodies of a recipe's nets, usually one.

    Raises:
        InputError: another number of runs than of bodies; a flat net is missing, unfinished, of other layers,
            another tree, or another backend.
    """
    bodies = recipe.net.bodies if isinstance(recipe.net, ParallelConfig) else (recipe.net,)
    if not len(set(names)) == len(names) == len(bodies):
        raise InputError(f"--init-from {','.join(names)}: expected a run for each body, {len(bodies)}")
    return [_start_run(name, recipe, body, backend) for name, body in zip(names, bodies, strict=True)]


def _start_run(name: str, recipe: Recipe, body: NetConfig, backend: Backend) -> runs.Run:
    run, source = runs.run(name), f"run {name!r}"
    manifest = run.manifest()
    recipe.tree.check_same(manifest.tree, source)
    backend.open(run.net(FLAT))
    if not manifest.nets[FLAT].finished:
        raise InputError(f"{source}: its flat net is not finished; continue it with train --resume")
    if without_weights(from_dict(manifest.recipe, source).net) != without_weights(body):
        raise InputError(f"{source}: its flat net has other layers than the recipe (net.*)")
    return run


def take_flat(
    target: runs.Run, recipe: Recipe, nodes: Iterable[str], identity: dict[str, Any], backend: Backend
) -> None:
    """Give a run that has no flat net the one that it starts from, unless it is trained further.

    Raises:
        InputError: as `start_runs`; or it was trained on other labels.
    """
    if "start" not in identity or FLAT in nodes or node_begun(target, FLAT):
        return
    source, *others = start_runs(list(identity["start"]), recipe, backend)
    if others:
        raise InputError("net.bodies: its flat net has to be trained; give --node all,flat")
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
