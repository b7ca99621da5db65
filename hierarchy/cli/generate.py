"""`generate`: train a generator of faces, sample from it, and evaluate it."""

from pathlib import Path
from typing import Annotated

import typer

from hierarchy.cli.options import DATA, check_output, no_nan, show
from hierarchy.runs import DEFAULT_RUN

generate = typer.Typer(help="Train a generator of faces, sample from it, and evaluate it.")
NAME = typer.Option("--run", help="Name of the generator.")


@generate.command("train")
def train(
    run: Annotated[str, NAME] = "faces",
    data: Annotated[str | None, DATA] = None,
    epochs: Annotated[int | None, typer.Option(min=1, max=10_000, help="Default: 40.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1e6, callback=no_nan, help="No epoch begins after so many. Default: no limit."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=999_999_999, help="Default: 0.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the generator of this name.")] = False,
) -> None:
    """Train a generator on Training faces of all classes, into results/generators/."""
    from hierarchy.errors import COMMAND, require
    from hierarchy.evaluation import generation

    require("keras")  # before data are downloaded
    place = generation.train(run, data, epochs, minutes, seed, resume)
    show(f"trained: {place.folder}; next: {COMMAND} generate evaluate --run {run}")


@generate.command("sample")
def sample(
    out: Annotated[Path, typer.Option(help="Parquet file to write, which `train --data` reads.")],
    run: Annotated[str, NAME] = "faces",
    per_class: Annotated[int, typer.Option(min=1, max=20_000, help="Faces of each class.")] = 100,
    classes: Annotated[str | None, typer.Option(help="Classes, separated by commas. Default: all.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=999_999_999)] = 0,
) -> None:
    """Write generated faces as a data set of Training rows, each marked as generated."""
    from hierarchy.evaluation import generation

    check_output("--out", out, (".parquet",))
    faces = generation.sample(run, per_class, classes.split(",") if classes else [], seed, out)
    show(f"{out}: {len(faces):,} generated faces")


@generate.command("evaluate")
def evaluate(
    run: Annotated[str, NAME] = "faces",
    data: Annotated[str | None, DATA] = None,
    features: Annotated[
        str,
        typer.Option(help="Run whose flat net describes the faces; not one that is to be judged by them."),
    ] = DEFAULT_RUN,
    faces: Annotated[int, typer.Option(min=20, max=10_000, help="Number of generated faces.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=999_999_999)] = 1,
) -> None:
    """Write a report: contact sheet, Frechet distance, precision and recall, and copies of Training faces."""
    from hierarchy.evaluation import generation_report

    show(generation_report.write(run, data, features, faces, seed))
