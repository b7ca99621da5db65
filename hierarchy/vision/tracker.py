"""Face tracking from frame to frame, with probabilities smoothed over time.

Boxes are matched one to one with the tracks' last boxes by their overlap: the assignment of Bewley et al.,
"Simple online and realtime tracking" (2016), by SciPy, without its motion model. The tracker packages require
another build of OpenCV.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

import numpy as np

from hierarchy.data import images
from hierarchy.routing import Predictions
from hierarchy.taxonomy import Tree
from hierarchy.vision.align import DetectedFace, Faces, no_face
from hierarchy.vision.boxes import matched, overlap
from hierarchy.vision.detectors import Detector
from hierarchy.vision.video import AHEAD_PIXELS, TIMEOUT, Frame, pixels

OVERLAP: Final = 0.3  # least intersection over union of a track's successive boxes
SMOOTHING: Final = 0.5  # seconds; time constant of the exponential smoothing
LOST: Final = 1.0  # seconds without a face after which a track ends


@dataclass(frozen=True)
class TrackedFace:
    """A face in a frame, with its track's smoothed prediction.

    Attributes:
        track: number of the track, from 1.
        face: its box, score and crop.
        probabilities: float64[leaves], smoothed, sum to one.
        tree: that names the leaves.
    """

    track: int
    face: DetectedFace
    probabilities: np.ndarray
    tree: Tree

    @property
    def label(self) -> str:
        """The likeliest leaf."""
        return self.tree.leaves[int(self.probabilities.argmax())]

    @property
    def branch(self) -> str:
        """The branch of the label."""
        return self.tree.branch_of(self.label)

    @property
    def shares(self) -> dict[str, float]:
        """Probability by leaf."""
        return dict(zip(self.tree.leaves, self.probabilities.tolist(), strict=True))


class Tracker:
    """Tracks the faces of one video.

    Args:
        find: face detector.
        predictions: of faces uint8[N,48,48].
        smoothing: time constant in seconds; 0: no smoothing.
    """

    def __init__(
        self, find: Detector, predictions: Callable[[np.ndarray], Predictions], smoothing: float = SMOOTHING
    ) -> None:
        self.find, self.predictions, self.smoothing = find, predictions, smoothing
        self.last: dict[int, tuple[float, TrackedFace]] = {}  # track -> its last face, and when
        self.started = 0  # number of tracks so far
        self.none = no_face([])  # what was searched for in the last frame that was searched fully

    def __call__(self, picture: np.ndarray, now: float) -> list[TrackedFace]:
        """The faces of a frame, in the order of their tracks.

        Args:
            picture: uint8[H,W,3], RGB.
            now: its time in seconds; an earlier one than before starts new tracks.
        """
        (tracked,) = self.followed([(self.found(picture), now)])
        return tracked

    def found(self, picture: np.ndarray) -> list[DetectedFace]:
        """The faces of a frame, not yet tracked."""
        faces = self.find(images.luma(picture))
        if isinstance(faces, Faces) and faces.smallest:
            self.none = no_face(faces)
        return faces

    def followed(self, frames: Sequence[tuple[list[DetectedFace], float]]) -> list[list[TrackedFace]]:
        """The faces that were found in successive frames, tracked; the nets answer all of them in one call.

        Args:
            frames: the faces of each, and its time.
        """
        crops = [face.pixels for faces, _ in frames for face in faces]
        if not crops:
            return [[] for _ in frames]
        predictions = self.predictions(np.stack(crops))
        ends = np.cumsum([len(faces) for faces, _ in frames])[:-1]
        return [
            self._matched(faces, joint, predictions.tree, now)
            for (faces, now), joint in zip(frames, np.split(predictions.joint, ends), strict=True)
        ]

    def _matched(
        self, faces: list[DetectedFace], joint: np.ndarray, tree: Tree, now: float
    ) -> list[TrackedFace]:
        """The faces of a frame with their tracks, and probabilities float64[N,leaves] smoothed along them."""
        self.last = {number: last for number, last in self.last.items() if 0 <= now - last[0] <= LOST}
        before = list(self.last.values())
        pairs = matched(overlap(_boxes(faces), _boxes([last.face for _, last in before])), OVERLAP)
        tracked = []
        for row, (face, probabilities) in enumerate(zip(faces, joint, strict=True)):
            if row in pairs:
                time, last = before[pairs[row]]
                number = last.track
                weight = float(np.exp(-(now - time) / self.smoothing)) if self.smoothing else 0.0
                probabilities = weight * last.probabilities + (1 - weight) * probabilities
            else:
                number = self.started = self.started + 1
            tracked.append(TrackedFace(number, face, probabilities, tree))
        self.last |= {face.track: (now, face) for face in tracked}
        return sorted(tracked, key=lambda face: face.track)


def _boxes(faces: Sequence[DetectedFace]) -> np.ndarray:
    return np.array([face.box for face in faces], float).reshape(-1, 4)


def track(
    frames: Iterable[Frame], tracker: Tracker, frame_step: int = 1, together: int = 1
) -> Iterator[tuple[Frame, list[TrackedFace], bool]]:
    """Each frame with its faces, and whether it was processed; other frames repeat the last faces.

    Args:
        frames: of one video, in order.
        tracker: a new one.
        frame_step: process every N-th frame.
        together: frames that the nets answer in one call, while the next ones are searched in a thread; 1:
            each frame by itself, before the next one is taken.
    """
    waiting: deque[tuple[Frame, Future[list[DetectedFace]] | None]] = deque()
    faces: list[TrackedFace] = []

    def answered(count: int) -> Iterator[tuple[Frame, list[TrackedFace], bool]]:
        nonlocal faces
        rows = [waiting.popleft() for _ in range(count)]
        followed = iter(tracker.followed([(found.result(), frame.time) for frame, found in rows if found]))
        for frame, found in rows:
            faces = next(followed) if found else faces
            yield frame, faces, bool(found)

    end: Exception | None = None
    source, search = enumerate(frames), ThreadPoolExecutor(1)
    try:
        while not end:
            try:
                index, frame = next(source)
            except Exception as error:  # the end, or an error of the source: after the frames before it
                end = error
            else:
                due = index % frame_step == 0
                waiting.append((frame, search.submit(tracker.found, frame.picture) if due else None))
            full = len(waiting) == 2 * together - 1 or pixels(row[0] for row in waiting) >= 2 * AHEAD_PIXELS
            if end or full:
                yield from answered(len(waiting) if end else min(together, len(waiting)))
    finally:
        search.shutdown(wait=False, cancel_futures=True)
        wait([found for _, found in waiting if found and not found.cancelled()], TIMEOUT)
    if not isinstance(end, StopIteration):
        raise end
