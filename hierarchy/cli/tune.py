"""`tune`: hyper-parameter search for one node."""

from typing import Annotated

import typer

from hierarchy.cli.options import DATA, TREE, backend_of, show


def tune(
    context: typer.Context,
    node: Annotated[str, typer.Option(help="Node to tune: router, flat or a branch.")],
    trials: Annotated[int, typer.Option(min=1, max=1_000_000, help="Total number of finished trials.")] = 20,
    data: Annotated[str | None, DATA] = None,
    recipe: Annotated[str, typer.Option(help="Starting point of the search.")] = "short",
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value, e.g. fit.epochs=4.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study. Default: NODE-RECIPE.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="Journal file or sqlite:///FILE shared between processes.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    tree: Annotated[str | None, TREE] = None,
) -> None:
    """Search for better hyper-parameters of a node, judged by PublicTest accuracy."""
    from hierarchy.errors import require

    require("optuna")  # first, since its extra brings what the rest needs
    from hierarchy.training import tuning

    folder = tuning.tune(
        node,
        trials,
        data=data,
        recipe=recipe,
        settings=settings or [],
        name=name,
        storage=storage,
        seed=seed,
        tree=tree,
        backend=backend_of(context),
    )
    show(f"{folder}; next: train --recipe {folder / 'recipe.json'}")
