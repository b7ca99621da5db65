"""`detector`: train and evaluate the CNN face detector."""

from pathlib import Path
from typing import Annotated

import typer

from hierarchy.cli.options import DATA, NEGATIVES, show

detector = typer.Typer(help="Train and evaluate a custom CNN face detector (predict --detector cnn).")


@detector.command("train")
def train(
    data: Annotated[str | None, DATA] = None,
    negatives: Annotated[Path | None, NEGATIVES] = None,
    rounds: Annotated[int, typer.Option(min=1, help="About half a minute each.")] = 12,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train a small net on faces against backgrounds, into results/detector/."""
    from hierarchy.evaluation import detection

    show(f"{detection.train(data, negatives, rounds, seed)}; next: detector score")


@detector.command("score")
def score(
    data: Annotated[str | None, DATA] = None,
    negatives: Annotated[Path | None, NEGATIVES] = None,
    scenes: Annotated[int, typer.Option(min=1)] = 400,
) -> None:
    """Evaluate it on composed scenes, beside YuNet and Haar, into results/detector/."""
    from hierarchy.evaluation import detection

    show(detection.report(data, negatives, scenes))
