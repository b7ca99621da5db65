"""Where the pictures of a video come from; a camera, by OpenCV."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import numpy as np

from hierarchy.errors import InputError

MAX_PIXELS: Final = 40_000_000  # of a frame: 8K has 33 million; 120 MB as RGB
MAX_RATE: Final = 240.0  # frames per second; a higher rate in a header is invalid
DEFAULT_RATE: Final = 25.0  # frames per second of a source without a valid rate
LAST_CAMERA: Final = 2**31 - 1  # OpenCV's camera numbers are int32
EXPECTED: Final = "expected a video file, a camera number (0), or a URL (rtsp://, http://)"


class Capture(ABC):
    """What gives pictures; the first is decoded at once.

    Attributes:
        pictures: (seconds, uint8[H,W,3] RGB), see `decoded`.
        live: whether it has no end.
        rate: frames per second, at most MAX_RATE.
        count: number of frames according to the header; None: unknown.
        size: (width, height) in pixels of the first picture.
        damaged: number of packets so far that could not be decoded.

    Raises:
        InputError: no frame can be decoded.
    """

    def __init__(self, live: bool, rate: float, count: float = 0) -> None:
        self.live, self.damaged = live, 0
        self.rate = rate if 0 < rate <= MAX_RATE else DEFAULT_RATE
        self.count = round(count) if 0 < count < 10**9 and not live else None
        decoded = self.decoded()
        if (first := next(decoded, None)) is None:
            limit = MAX_PIXELS // 10**6
            raise InputError(f"no frame of at most {limit} megapixels can be decoded; {EXPECTED}")
        self.size: tuple[int, int] = (first[1].shape[1], first[1].shape[0])
        self.pictures = itertools.chain([first], decoded)

    @abstractmethod
    def decoded(self) -> Iterator[tuple[float | None, np.ndarray]]:
        """Seconds since the start, by the source's clock (None: it has none), and the picture.

        Raises:
            OSError: the source cannot be read further.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the source."""


class Camera(Capture):
    """A camera of this computer, by its number."""

    def __init__(self, number: str) -> None:
        import cv2

        from hierarchy.vision.opencv_detectors import silence

        silence()
        self.camera = cv2.VideoCapture(int(number) if len(number) < len(str(LAST_CAMERA)) else LAST_CAMERA)
        if not self.camera.isOpened():
            raise InputError(f"not found, or in use by another program; {EXPECTED}")
        super().__init__(True, float(self.camera.get(cv2.CAP_PROP_FPS)))

    def decoded(self) -> Iterator[tuple[float | None, np.ndarray]]:
        """See `Capture.decoded`."""
        import cv2

        while (read := self.camera.read())[0]:
            yield None, cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Release the camera."""
        self.camera.release()
