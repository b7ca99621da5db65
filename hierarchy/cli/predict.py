"""`predict`: the expression of every face in images and data files."""

import json
import logging
import mimetypes
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hierarchy.cli.options import (
    DETECTOR,
    ENGINE,
    MIN_CONFIDENCE,
    MIN_PIXELS,
    ROI,
    ROTATE,
    RUN,
    TTA,
    check_output,
    classifier_of,
    detector_of,
    not_overwritten,
)
from hierarchy.cli.progress import ImageProgress, wanted
from hierarchy.vision.detectors import HAAR, STILL, WHOLE, Searching

if TYPE_CHECKING:
    from hierarchy.classifier import HierarchicalClassifier
    from hierarchy.errors import InputError
    from hierarchy.inference.predictor import FacePrediction

log = logging.getLogger(__name__)


def predict(
    context: typer.Context,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Images, folders, globs, data files.", show_default=False)
    ] = None,
    run: Annotated[str | None, RUN] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line and face.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a CSV file instead.")] = None,
    csv_safe: Annotated[
        bool, typer.Option("--csv-safe", help="In it, put ' before texts that spreadsheets would compute.")
    ] = False,
    routing: Annotated[str, typer.Option(help="soft or hard.")] = "soft",
    tta: Annotated[str, TTA] = "single",
    min_confidence: Annotated[float, MIN_CONFIDENCE] = 0.0,
    coverage: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Add the set of leaves that holds the true one this often: 0.9."),
    ] = None,
    engine: Annotated[str, ENGINE] = "auto",
    detector: Annotated[str, DETECTOR] = "auto",
    save: Annotated[
        Path | None, typer.Option(help="Folder for images with the predictions drawn on them.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the parts of the face that decided; a heat map to --save.")
    ] = False,
    top1_only: Annotated[
        bool, typer.Option("--top1-only", help="Labels without probabilities; runs fewer nets per face.")
    ] = False,
    roi: Annotated[str | None, ROI] = None,
    min_face: Annotated[int, MIN_PIXELS] = STILL.min_face,
    rotate: Annotated[str, ROTATE] = STILL.rotate,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON Schema of a line of --json, and exit.")
    ] = False,
) -> None:
    """Predict the expression of every face in the given images."""
    if json_schema:
        from hierarchy.inference.output_schema import face_schema

        return print(json.dumps(face_schema(), indent=2))
    if not paths:
        context.fail("Missing argument 'paths...'")
    from hierarchy import runtimes
    from hierarchy.data import image_files
    from hierarchy.errors import InputError
    from hierarchy.inference.predictor import predict_stream

    if csv and as_json:
        raise InputError("--json and --csv: choose one")
    check_output("--csv", csv, (".csv",))
    if csv_safe and not csv:
        raise InputError("--csv-safe needs --csv FILE")
    if top1_only and (min_confidence or routing != "soft" or coverage is not None):
        raise InputError(
            "--top1-only uses soft routing and excludes --routing, --min-confidence and --coverage"
        )

    find = detector_of(detector, roi, Searching(min_face, rotate))
    model = classifier_of(context, run, engine, routing=routing, view=tta, coverage=coverage)
    _note_windows(model, detector)
    errors: list[InputError] = []
    left_out = Counter[str]()
    with _progress(paths) as progress:
        if not top1_only:  # it may do with fewer nets
            runtimes.open_ahead(model.nets_)
        files = not_overwritten(progress.read(image_files.find(paths, left_out)), "--csv", csv)
        stream = predict_stream(model, map(_no_video, files), min_confidence, top1_only, find)
        results: Iterator[FacePrediction | InputError] = stream
        if explain:
            from hierarchy.inference.explanation import explained

            results = explained(results, model)
        if save:
            from hierarchy.inference.annotate import saved

            results = saved(results, save)
        try:
            _write(_predicted(results, progress, errors), csv, csv_safe, as_json, model)
        finally:
            for error in errors:
                log.error(f"error: {_line(error)}", exc_info=error.__cause__)
    if summary := image_files.summary(left_out):
        log.info(summary)
    faults = [error for error in errors if error.__cause__]
    raise typer.Exit(1 if faults else 2 if errors else 0)


def _note_windows(model: "HierarchicalClassifier", detector: str) -> None:
    """Say where nets look at fixed windows and the detector does not align faces by landmarks."""
    if detector in (WHOLE, HAAR) and "windows" in model.run_.manifest().recipe.get("net", {}):
        log.info(
            f"--detector {detector} does not align faces; the windows of run {model.run_.name!r} "
            "expect faces registered as FER-2013's are"
        )


def _write(
    predictions: "Iterable[FacePrediction]",
    csv: Path | None,
    safe: bool,
    as_json: bool,
    model: "HierarchicalClassifier",
) -> None:
    """Write a CSV file, or print a line for every prediction."""
    if csv:
        from hierarchy.errors import printable
        from hierarchy.inference import writers

        writers.write_csv(predictions, csv, model.tree_, safe, model.coverage is not None)
        return print(printable(str(csv)))
    for prediction in predictions:
        print(prediction.as_json() if as_json else prediction.as_text(), flush=True)


def _predicted(
    results: "Iterable[FacePrediction | InputError]", progress: ImageProgress, errors: "list[InputError]"
) -> "Iterator[FacePrediction]":
    """The predictions, each counted; failures are added to `errors`."""
    from hierarchy.inference.predictor import FacePrediction

    for result in results:
        progress.show(isinstance(result, FacePrediction) and result.face is not None)
        if isinstance(result, FacePrediction):
            yield result
        else:
            errors.append(result)


def _line(error: "InputError") -> str:
    """What is wrong with which file."""
    path = getattr(error, "path", "")
    return str(error) if path in str(error) else f"{path}: {error}"


def _no_video(file: "Path | InputError") -> "Path | InputError":
    """The file, or why it is none of `predict`."""
    from hierarchy.errors import InputError

    if isinstance(file, Path) and (mimetypes.guess_type(file.name)[0] or "").startswith("video/"):
        return InputError(f"{file}: is a video; use the command video, as in: video {file}")
    return file


def _progress(paths: list[str]) -> ImageProgress:
    """Of folders and many files; nothing is shown of few."""
    from hierarchy.data import image_files

    return ImageProgress(lambda: sum(1 for _ in image_files.find(paths)), wanted(paths))
