"""Options that several commands share, and the names that options had before."""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from hierarchy.errors import InputError, printable
from hierarchy.taxonomy import TREES, VALENCE
from hierarchy.vision.detectors import DETECTORS, FILES, MIN_FACE, ROTATIONS, STILL, Searching

if TYPE_CHECKING:
    from hierarchy.backends import Backend
    from hierarchy.classifier import HierarchicalClassifier
    from hierarchy.vision.detectors import Detector

log = logging.getLogger(__name__)

# each is a module of this package, and in it a command or a group of commands
COMMANDS: Final = tuple(
    "train evaluate compare predict video batch tune export data runs detector generate app serve".split()
)
DATA = typer.Option(
    "--data", help="File or folder of faces, or the word sketch. Default: $FER2013_DIR, then data/."
)
TREE = typer.Option(
    "--tree", help=f"{', '.join(TREES)}, or a .toml file. Default: the recipe's, {VALENCE.name}."
)
RUN = typer.Option("--run", help="Name of a run; `runs list` shows them. Default: the shipped run.")
ENGINE = typer.Option("--engine", help="auto, keras, or an exported engine such as onnx, onnx-int8, litert.")
DETECTOR = typer.Option(
    "--detector",
    help="; ".join([*(f"{name}: {entry.help}" for name, entry in DETECTORS.items()), f"{FILES}."]),
)
MIN_PIXELS = typer.Option(
    "--min-face",
    min=1,
    metavar="PIXELS",
    help=f"Search for faces of so many pixels or more. Fewer than {MIN_FACE}, the default, take longer.",
)
ROTATE = typer.Option(
    "--rotate", help=f"{' or '.join(ROTATIONS)}: whether turned faces are searched for where no others are."
)
TTA = typer.Option("--tta", help="Test-time augmentation: single, flip, crops or ten-crop.")
NEGATIVES = typer.Option(
    "--negatives", help="Folder of photographs without faces, in addition to scikit-learn's two."
)


def no_nan(value: float | None) -> float | None:
    """Refuse nan."""
    if value != value:  # passes click's check of a range
        raise typer.BadParameter("expected a number, not nan")
    return value


MIN_CONFIDENCE = typer.Option(
    "--min-confidence",
    min=0,
    max=1,
    callback=no_nan,
    help="Below this probability of the label, report the branch only.",
)

ROI: Final = typer.Option(
    "--roi", metavar="X,Y,W,H", help="Search this rectangle of the image only, in pixels from its top left."
)

RENAMED: Final[dict[str, dict[str, str]]] = {  # command -> old option -> new option; for one version
    "train": {"--start": "--init-from", "--labels": "--label-source"},
    "evaluate": {"--view": "--tta", "--corrupted": "--robustness", "--vote": "--ensemble-vote"},
    "predict": {"--faces": "--detector", "--view": "--tta", "--labels-only": "--top1-only"},
    "batch": {"--faces": "--detector", "--part": "--chunk-size", "--nets": "--engine"},
    "video": {"--faces": "--detector", "--every": "--frame-step"},
    "detector": {"--backgrounds": "--negatives"},
}


def renamed(arguments: list[str]) -> list[str]:
    """The command line with old names of options and commands replaced by today's."""
    if arguments[:2] == ["data", "check"]:
        return ["data", "audit", *arguments[2:]]
    if arguments[:1] == ["evaluate"] and _follows(arguments, "--run", "list"):
        return ["runs", "list"]
    table = dict(RENAMED.get(arguments[0], {})) if arguments else {}
    if arguments[:1] == ["batch"] and any(_follows(arguments, "--engine", name) for name in ("local", "ray")):
        table["--engine"] = "--executor"
    parts = (argument.partition("=") for argument in arguments)
    return [table.get(name, name) + equals + value for name, equals, value in parts]


def _follows(arguments: list[str], option: str, value: str) -> bool:
    return f"{option}={value}" in arguments or (option, value) in zip(arguments, arguments[1:], strict=False)


def show(result: object) -> None:
    """Print what a command has made; control characters of names in it are escaped."""
    print(printable(str(result), "\n"))


def detector_of(name: str, roi: str | None, searching: Searching = STILL) -> "Detector":
    """The face detector of a name, on the rectangle of --roi only.

    Raises:
        InputError: no such detector, rectangle or --rotate.
    """
    from hierarchy.vision import align
    from hierarchy.vision.detectors import create_detector

    find = create_detector(name, searching)
    if roi is None:
        return find
    parts = roi.split(",")
    region = tuple(int(part) for part in parts if part.strip().isdecimal() and len(part) < 10)
    if not len(parts) == len(region) == len(align.PICTURE) or not all(region[2:]):
        raise InputError(f"--roi {roi}: expected x,y,w,h in pixels, such as 0,0,640,360")
    return align.within(find, region, f"--roi {roi}")


def check_output(option: str, target: Path | None, suffixes: tuple[str, ...]) -> None:
    """Refuse a file to be written whose name is that of another kind of file.

    Raises:
        InputError: its suffix is none of `suffixes`.
    """
    if target is not None and target.suffix.lower() not in suffixes:
        raise InputError(f"{option} {target}: expected a file that ends in {' or '.join(suffixes)}")


def not_overwritten(
    files: Iterable[Path | InputError], option: str, target: Path | None
) -> Iterator[Path | InputError]:
    """The inputs of a command, each compared with its output, whatever name and link leads to it.

    Raises:
        InputError: one of them is the file that would be overwritten.
    """
    taken = target.stat() if target is not None and target.exists() else None
    for file in files:
        if taken and isinstance(file, Path) and file.exists() and os.path.samestat(taken, file.stat()):
            raise InputError(f"{option} {target}: is one of the inputs, {file}; choose another file")
        yield file


def backend_of(context: typer.Context) -> "Backend":
    """The backend that trains and opens nets: Keras, unless the caller passed another."""
    from hierarchy.models.keras_backend import KERAS_BACKEND

    return context.obj or KERAS_BACKEND


def classifier_of(
    context: typer.Context, run: str | None, engine: str, **params: Any
) -> "HierarchicalClassifier":
    """The classifier of a run, the shipped one by default; logs a warning if it knows drawn faces only."""
    from hierarchy import runs
    from hierarchy.classifier import HierarchicalClassifier

    name = run or runs.DEFAULT_RUN
    model = HierarchicalClassifier.load(name, backend_of(context), engine, **params)
    log.debug(f"run {name} in {model.run_.folder}, engine {model.engine_}, tree {model.tree_.name}")
    if runs.sketched(model.run_.manifest()):
        log.info(
            f"SKETCH: run {name} was trained on drawn faces; its predictions on photographs mean nothing"
        )
    return model
