"""`evaluate`: score a run, or several as an ensemble, on a split."""

from pathlib import Path
from typing import Annotated, Final

import typer

from hierarchy.cli.options import DATA, ENGINE, MIN_CONFIDENCE, RUN, TTA, backend_of, show

SCORING: Final = ("split", "tta", "min_confidence", "robustness", "ensemble", "vote", "engine")  # options


def evaluate(
    context: typer.Context,
    run: Annotated[str | None, RUN] = None,
    data: Annotated[str | None, DATA] = None,
    split: Annotated[str, typer.Option(help="PublicTest or PrivateTest.")] = "PrivateTest",
    tta: Annotated[str, TTA] = "single",
    min_confidence: Annotated[float, MIN_CONFIDENCE] = 0.5,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. Default: the run's, or SPLIT-VIEW/ inside it.")
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also measure the error under image corruptions.")
    ] = False,
    action_units: Annotated[
        bool, typer.Option("--action-units", help="Instead, report what its features show of action units.")
    ] = False,
    ensemble: Annotated[
        str | None, typer.Option(help="Average several runs, e.g. a,b, from their stored predictions.")
    ] = None,
    vote: Annotated[
        bool, typer.Option("--ensemble-vote", help="Majority vote instead of the mean probability.")
    ] = False,
    engine: Annotated[str | None, ENGINE] = None,
) -> None:
    """Score a run on a split: scores, report and plots."""
    from hierarchy import runs
    from hierarchy.errors import InputError
    from hierarchy.evaluation import ensemble as ensembles
    from hierarchy.evaluation import evaluate as evaluation

    if vote and not ensemble:
        raise InputError("--ensemble-vote needs --ensemble RUN,RUN")
    if action_units:
        sources = filter(None, map(context.get_parameter_source, SCORING))
        if any(source.name == "COMMANDLINE" for source in sources):
            raise InputError("--action-units takes --run, --data and --out only")
        from hierarchy.evaluation import action_units as units

        report = units.write(run or runs.DEFAULT_RUN, data, out)
    elif ensemble:
        if run or robustness or engine:
            raise InputError(
                "--ensemble reads stored predictions and excludes --run, --robustness and --engine"
            )
        names = ensemble.split(",")
        report = ensembles.evaluate(
            names, data, split=split, view=tta, min_confidence=min_confidence, vote=vote, out=out
        )
    else:
        report = evaluation.evaluate(
            run or runs.DEFAULT_RUN,
            data,
            split=split,
            view=tta,
            min_confidence=min_confidence,
            out=out,
            corruptions=robustness,
            backend=backend_of(context),
            engine=engine,
        )
    show(report)
