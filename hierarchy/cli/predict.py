"""`predict`: the expression of every face in images and data files."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from hierarchy.cli.options import DETECTOR, ENGINE, MIN_CONFIDENCE, RUN, TTA, classifier_of

log = logging.getLogger(__name__)


def predict(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(help="Images, folders, globs, data files.", show_default=False)
    ],
    run: Annotated[str | None, RUN] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line and face.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a CSV file instead.")] = None,
    routing: Annotated[str, typer.Option(help="soft or hard.")] = "soft",
    tta: Annotated[str, TTA] = "single",
    min_confidence: Annotated[float, MIN_CONFIDENCE] = 0.0,
    engine: Annotated[str, ENGINE] = "auto",
    detector: Annotated[str, DETECTOR] = "auto",
    save: Annotated[
        Path | None, typer.Option(help="Folder for images with the predictions drawn on them.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="With --save: add an occlusion heat map of the deciding net.")
    ] = False,
    top1_only: Annotated[
        bool, typer.Option("--top1-only", help="Labels without probabilities; runs fewer nets per face.")
    ] = False,
) -> None:
    """Predict the expression of every face in the given images."""
    from hierarchy.data import images
    from hierarchy.errors import InputError
    from hierarchy.inference import writers
    from hierarchy.inference.predictor import predict_stream
    from hierarchy.vision.detectors import create_detector

    if csv and as_json:
        raise InputError("--json and --csv: choose one")
    if csv and csv.resolve() in [Path(path).resolve() for path in paths]:
        raise InputError(f"--csv {csv}: is one of the images; choose another file")
    if explain and not save:
        raise InputError("--explain needs --save DIR")
    if top1_only and (min_confidence or routing != "soft"):
        raise InputError("--top1-only uses soft routing and excludes --routing and --min-confidence")

    find = create_detector(detector)
    model = classifier_of(context, run, engine, routing=routing, view=tta)
    results = predict_stream(model, images.find(paths), min_confidence, top1_only, find)
    errors: list[str] = []
    predictions = writers.successful(results, errors)
    if save:
        from hierarchy.inference.annotate import saved

        predictions = saved(predictions, save, model if explain else None)
    try:
        if csv:
            writers.write_csv(predictions, csv, model.tree_)
            print(csv)
        else:
            for prediction in predictions:
                print(prediction.as_json() if as_json else prediction.as_text(), flush=True)
    finally:
        for line in errors:
            log.error(f"error: {line}")
    raise typer.Exit(2 if errors else 0)
