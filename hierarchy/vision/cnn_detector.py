"""The custom face detector: the small net of `detector train`, applied as a sliding window at every scale."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np

from hierarchy import fileio, runs, runtimes
from hierarchy.errors import COMMAND, InputError, first_line
from hierarchy.vision.align import PICTURE, rows_of
from hierarchy.vision.boxes import overlap
from hierarchy.vision.detectors import CNN, LONGEST, Detector, Searching
from hierarchy.vision.search import Engine, Search
from hierarchy.vision.synthetic_scenes import WINDOW

NAME: Final = "detector"
NET, INFO = "detector.onnx", "detector.json"  # its files in results/detector/
STRIDE: Final = 4  # pixels between two windows
STEP: Final = 1.2  # ratio of two scales
SMALLEST: Final = 28  # pixels a side of the smallest face
SAME: Final = 0.3  # minimum intersection over union of two windows on the same face
VOTES: Final = 2  # minimum number of windows on a face

WindowNet = Callable[[np.ndarray], np.ndarray]  # uint8[1,H,W,1] -> logits float32[1,h,w,1]


class Info(msgspec.Struct):
    """What is recorded of the net: its checksum, and the least score of a face."""

    sha256: str
    sure: Annotated[float, msgspec.Meta(gt=0, lt=1)]


def create(options: Searching) -> Detector:
    """The trained or shipped detector, on images reduced to a longer side of LONGEST pixels.

    Raises:
        InputError: there is none, or it is damaged.
    """
    place = runs.folder_with(NAME, NET)
    path, remedy = place / NET, f"run {COMMAND} detector train"
    if not path.is_file():
        raise InputError(f"--detector {CNN}: {path}: no such file; {remedy}")
    info = fileio.typed(fileio.read_json(place / INFO), Info, f"{place / INFO}: {remedy}")
    fileio.check_file(path, info.sha256, remedy)
    net, minimum = loaded(path), info.sure

    # FER-2013's crops are such boxes, as Haar's are
    return Search(
        Engine(lambda grey: rows_of(*boxes(net, grey, minimum)), LONGEST, seen=SMALLEST, reference=PICTURE),
        options,
    )


def folder() -> Path:
    """The folder of the detector that is trained here."""
    return runs.home() / "results" / NAME


def loaded(path: Path) -> WindowNet:
    """The net of a detector's ONNX file.

    Raises:
        InputError: it cannot be opened.
    """
    import onnxruntime

    try:
        return runtimes.FORMATS["onnx"].open(onnxruntime, path)
    except Exception as error:  # ONNX Runtime has many
        raise InputError(f"{path}: not a valid net ({first_line(error)})") from None


def boxes(net: WindowNet, grey: np.ndarray, minimum: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes float[N,4] as [x, y, side, side] and scores float[N] of the faces in uint8[H,W]."""
    import cv2

    windows = [np.zeros((0, 5))]
    scale = WINDOW / SMALLEST
    while min(grey.shape) * scale >= WINDOW:
        height, width = (round(side * scale) for side in grey.shape)
        small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        score = 1 / (1 + np.exp(-net(small[None, :, :, None])[0, :, :, 0]))
        rows, columns = np.nonzero(score >= minimum)
        side = np.full(len(rows), WINDOW / scale)
        corner = columns * STRIDE / scale, rows * STRIDE / scale
        windows.append(np.stack([*corner, side, side, score[rows, columns]], axis=1))
        scale /= STEP
    merged = _merged(np.concatenate(windows))
    return merged[:, :4], merged[:, 4]


def _merged(windows: np.ndarray) -> np.ndarray:
    """The score-weighted mean box of every group of VOTES or more overlapping windows, with its best score.

    Args:
        windows: float[N,5], box and score; so is the result.
    """
    merged = [np.zeros((0, 5))]
    left = windows[np.argsort(-windows[:, 4], kind="stable")]
    while len(left):
        same = overlap(left[:1, :4], left[:, :4])[0] >= SAME
        group = left[same]
        if len(group) >= VOTES:
            box = np.average(group[:, :4], axis=0, weights=group[:, 4])
            merged.append(np.append(box, group[0, 4])[None])
        left = left[~same]
    return np.concatenate(merged)
