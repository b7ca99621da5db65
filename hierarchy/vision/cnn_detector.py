"""A detector of one's own: the small net of `detector train`, slid over the picture at every scale."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs, runtimes
from hierarchy.errors import InputError
from hierarchy.vision.boxes import overlap
from hierarchy.vision.synthetic_scenes import WINDOW

CNN: Final = "cnn"  # its name for --faces
NET, INFO = "detector.onnx", "detector.json"  # its files in results/detector/
STRIDE: Final = 4  # pixels between two windows
STEP: Final = 1.2  # between two scales
SMALLEST: Final = 28  # pixels a side of the smallest face
SAME: Final = 0.3  # intersection over union from which two windows mean the same face
VOTES: Final = 2  # windows that a face takes at least

WindowNet = Callable[[np.ndarray], np.ndarray]  # uint8[1,H,W,1] -> logits float32[1,h,w,1]


def folder() -> Path:
    """Where the detector is kept."""
    return runs.home() / "results" / "detector"


def opened() -> tuple[WindowNet, float]:
    """The detector that was trained, or is shipped, and from which share on a window counts.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path, remedy = folder() / NET, "python tf_model.py detector train makes it"
    if not path.is_file():
        raise InputError(f"--detector {CNN}: {path} is not there; {remedy}")
    card = fileio.read_json(folder() / INFO)
    if not runs.has_keys(card, "sha256", "sure"):
        raise InputError(f"{folder() / INFO}: needs sha256 and sure; {remedy}")
    fileio.check_file(path, card["sha256"], remedy)
    return loaded(path), float(card["sure"])


def loaded(path: Path) -> WindowNet:
    """A detector's ONNX file."""
    import onnxruntime

    return runtimes.FORMATS["onnx"].open(onnxruntime, path)


def boxes(net: WindowNet, grey: np.ndarray, sure: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the net sees faces in uint8[H,W]: float[N,4] as [x, y, side, side], and its shares float[N]."""
    import cv2

    found: list[np.ndarray] = []
    scale = WINDOW / SMALLEST
    while min(grey.shape) * scale >= WINDOW:
        height, width = (round(side * scale) for side in grey.shape)
        small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        share = 1 / (1 + np.exp(-net(small[None, :, :, None])[0, :, :, 0]))
        rows, columns = np.nonzero(share >= sure)
        side = np.full(len(rows), WINDOW / scale)
        corner = columns * STRIDE / scale, rows * STRIDE / scale
        found.append(np.stack([*corner, side, side, share[rows, columns]], axis=1))
        scale /= STEP
    every = np.concatenate(found) if found else np.zeros((0, 5))
    return _merged(every[:, :4], every[:, 4])


def _merged(boxes: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of windows that mean the same face their weighted mean, the surest first; fewer than VOTES are none."""
    kept: list[Any] = []
    left = np.argsort(-shares, kind="stable")
    while len(left):
        same = overlap(boxes[left[:1]], boxes[left])[0] >= SAME
        group = left[same]
        if len(group) >= VOTES:
            kept.append((np.average(boxes[group], axis=0, weights=shares[group]), shares[group[0]]))
        left = left[~same]
    if not kept:
        return np.zeros((0, 4)), np.zeros(0)
    return np.stack([box for box, _ in kept]), np.array([share for _, share in kept])
