"""Start from another run's flat net: reuse it as it is, or train it further."""

from collections.abc import Iterable
from typing import Any

from hierarchy import runs
from hierarchy.backends import Backend
from hierarchy.config.overrides import from_dict
from hierarchy.config.schema import Recipe, without_weights
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT


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


def check_same_labels(run: runs.Run, identity: dict[str, Any]) -> None:
    """Refuse to reuse a flat net that was trained on other labels.

    Raises:
        InputError: it was.
    """
    labels = run.manifest().labels
    if labels != identity["labels"]:
        raise InputError(
            f"run {run.name!r}: its flat net was trained on {labels} labels, not {identity['labels']}; "
            "--node all,flat trains it further"
        )


def other_data(names: Iterable[str], identity: dict[str, Any]) -> list[str]:
    """The runs among these that were trained on another data set with the same kind of labels."""
    manifests = {name: runs.run(name).manifest() for name in names if runs.run(name).trained}
    return [
        name
        for name, manifest in manifests.items()
        if manifest.labels == identity["labels"]
        and manifest.data.get("fingerprint") != identity["data"]["fingerprint"]
    ]
