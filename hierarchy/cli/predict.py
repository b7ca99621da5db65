"""`predict`: the expression of every face in images and data files."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hierarchy.cli.options import DETECTOR, ENGINE, MIN_CONFIDENCE, RUN, TTA, backend_of

if TYPE_CHECKING:
    from hierarchy.inference.writers import Show

log = logging.getLogger(__name__)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict)


def predict(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(help="Images, folders, globs, data files.", show_default=False)
    ],
    run: Annotated[str | None, RUN] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line and face.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file instead.")] = None,
    routing: Annotated[str, typer.Option("--routing", help="soft or hard.")] = "soft",
    tta: Annotated[str, TTA] = "single",
    min_confidence: Annotated[float, MIN_CONFIDENCE] = 0.0,
    engine: Annotated[str, ENGINE] = "auto",
    detector: Annotated[str, DETECTOR] = "auto",
    save: Annotated[
        Path | None, typer.Option("--save", help="Folder for images with the predictions drawn on them.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="With --save: add an occlusion heat map of the deciding net.")
    ] = False,
    top1_only: Annotated[
        bool, typer.Option("--top1-only", help="Labels without probabilities; runs fewer nets per face.")
    ] = False,
) -> None:
    """Predict the expression of every face in the given images."""
    from hierarchy import runs
    from hierarchy.errors import InputError
    from hierarchy.inference import writers

    if csv and as_json:
        raise InputError("--json and --csv: choose one")
    if csv and csv.resolve() in [Path(path).resolve() for path in paths]:
        raise InputError(f"--csv {csv}: is one of the images; name another file")
    if explain and not save:
        raise InputError("--explain draws on what --save DIR writes: give both")
    if top1_only and (min_confidence or routing != "soft"):
        raise InputError("--top1-only uses soft routing and excludes --routing and --min-confidence")

    show = writers.as_csv(csv) if csv else writers.as_json if as_json else writers.as_text
    failed = predict_files(
        paths,
        run or runs.DEFAULT_RUN,
        show,
        labels_only=top1_only,
        faces=detector,
        save=save,
        explain=explain,
        routing=routing,
        view=tta,
        min_confidence=min_confidence,
        framework=backend_of(context),
        engine=engine,
    )
    raise typer.Exit(2 if failed else 0)


def predict_files(
    paths: Sequence[str],
    run: str,
    show: "Show",
    *,
    min_confidence: float,
    labels_only: bool,
    faces: str,
    save: Path | None,
    explain: bool,
    framework: "Backend",
    engine: str,
    **params: Any,
) -> int:
    """Predict every face behind `paths`, show the predictions, and report what failed.

    Args:
        paths: images, folders of images, data files, and globs.
        run: name of the run whose nets predict.
        show: takes the predictions as they come.
        min_confidence: below it, only the branch is reported.
        labels_only: no probabilities, fewer nets run.
        faces: name of the face detector, see `vision.detectors.create_detector`.
        save: folder for images with the predictions drawn on them.
        explain: draw a heat map of the deciding net as well.
        framework: what opens the run's own nets.
        engine: what runs them, see `hierarchy.runtimes`.
        params: of the classifier.

    Returns:
        How many paths could not be predicted.

    Raises:
        InputError: the run cannot be used, or the output cannot be written.
    """
    from hierarchy import runs
    from hierarchy.classifier import HierarchicalClassifier
    from hierarchy.data import images
    from hierarchy.inference import writers
    from hierarchy.inference.annotate import saved
    from hierarchy.inference.predictor import predict_stream
    from hierarchy.vision.detectors import create_detector

    bad: list[str] = []
    find = create_detector(faces)
    classifier = HierarchicalClassifier.load(run, framework, engine, **params)
    if runs.sketched(classifier.run_.card()):
        log.info(f"SKETCH: run {run} was trained on drawn faces; its predictions on photographs mean nothing")
    stream = predict_stream(classifier, images.find(paths), min_confidence, labels_only, find)
    good = writers.answered(stream, bad)
    try:
        show(saved(good, save, classifier if explain else None) if save else good)
    finally:
        for line in bad:
            log.error(f"error: {line}")
    return len(bad)
