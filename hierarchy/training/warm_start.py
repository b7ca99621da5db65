"""The run whose flat net another run starts from: taken as it is, or trained further."""

from collections.abc import Iterable
from typing import Any

from hierarchy import runs
from hierarchy.backends import Backend
from hierarchy.config.overrides import from_dict
from hierarchy.config.schema import Recipe, without_weights
from hierarchy.data.formats.ferplus import LABELS
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT


def origin(name: str, recipe: Recipe, framework: Backend) -> runs.Run:
    """The run of a name, from whose flat net nets of a recipe can start.

    Raises:
        InputError: it has none that is finished, or one of other layers, or of another framework.
    """
    found = runs.run(name)
    framework.open(found.net(FLAT))
    card = found.card()
    if not card["nets"][FLAT].get("finished", True):
        raise InputError(f"run {name!r}: its flat net is not trained to the end; train --resume goes on")
    theirs = from_dict(card["recipe"], f"run {name!r}").net
    if without_weights(theirs) != without_weights(recipe.net):
        raise InputError(f"run {name!r}: its flat net has other layers than the recipe's (net.*)")
    return found


def check_taught_alike(found: runs.Run, identity: dict[str, Any]) -> None:
    """Hold what an origin learned against what a run will learn that takes its flat net as it is.

    Raises:
        InputError: it learned other labels.
    """
    labels = found.card().get("labels", LABELS[0])
    if labels != identity["labels"]:
        raise InputError(
            f"run {found.name!r}: its flat net learned {labels} labels, not {identity['labels']}; "
            "--node all,flat trains it further"
        )


def learned_elsewhere(names: Iterable[str], identity: dict[str, Any]) -> list[str]:
    """Of the runs that a run begins with or learns from, those that saw other data under the same labels."""
    cards = {name: runs.run(name).card() for name in names if runs.run(name).trained}  # some are gone later
    return [
        name
        for name, card in cards.items()
        if card.get("labels", LABELS[0]) == identity["labels"]
        and card.get("data", {}).get("fingerprint") != identity["data"]["fingerprint"]
    ]
