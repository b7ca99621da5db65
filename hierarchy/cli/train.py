"""`train`: train the nets of one or several runs."""

from typing import Annotated

import typer

from hierarchy.cli.options import DATA, TREE, backend_of, show


def train(
    context: typer.Context,
    data: Annotated[str | None, DATA] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe name or file, or several: a,b; `list` shows the names.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="key=value, e.g. fit.epochs=20; warm_start.* applies to nets fine-tuned from flat."
        ),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(
            help="Nodes to train, separated by commas: all, router, flat or a branch. Default: the recipe's."
        ),
    ] = None,
    tree: Annotated[str | None, TREE] = None,
    run: Annotated[str | None, typer.Option(help="Name of the run. Default: the recipe's.")] = None,
    seed: Annotated[str | None, typer.Option(help="Integer, or several: 0,1,2. Default: 0.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run of this name with its own options.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Bit-identical results for the same seed.")
    ] = False,
    teacher: Annotated[
        str | None, typer.Option(help="Teacher runs, e.g. a,b; for recipes with fit.distillation_weight > 0.")
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            help="Run to initialise from: its flat net is reused, or fine-tuned if --node includes flat; "
            "runs a,b for a recipe with net.bodies."
        ),
    ] = None,
    generated: Annotated[
        str | None,
        typer.Option(
            help="Generator that adds faces of rare classes; for recipes with fit.generated_share > 0."
        ),
    ] = None,
    label_source: Annotated[
        str | None, typer.Option(help="fer2013, or ferplus: the taggers' plurality vote.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="Devices per host; needs KERAS_BACKEND=jax.")] = 1,
    hosts: Annotated[str | None, typer.Option(help="HOST:PORT of every process, e.g. a:9911,b:9911.")] = None,
    rank: Annotated[int, typer.Option(min=0, help="Index of this process in --hosts.")] = 0,
) -> None:
    """Train the nets of one or several runs; results go to results/, checkpoints to logs/."""
    from hierarchy.config import recipes
    from hierarchy.errors import require
    from hierarchy.models.keras_backend import KERAS_BACKEND, with_devices
    from hierarchy.training.sweep import sweep

    if recipe == "list":
        return print(recipes.listing())
    backend = with_devices(backend_of(context), devices, hosts, rank)
    if backend.name == KERAS_BACKEND.name:
        require("keras")  # before data are downloaded
    for finished in sweep(
        data=data,
        recipe=recipe,
        settings=settings or [],
        node=node,
        name=run,
        seed=seed,
        resume=resume,
        deterministic=deterministic,
        teacher=teacher,
        start=init_from,
        generated=generated,
        labels=label_source,
        tree=tree,
        backend=backend,
    ):
        show(f"trained: {finished.folder}; next: {backend.command} evaluate --run {finished.name}")
