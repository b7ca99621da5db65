"""Face tracking from frame to frame, with probabilities smoothed over time.

Boxes are matched one to one with the tracks' last boxes by their overlap: the assignment of Bewley et al.,
"Simple online and realtime tracking" (2016), by SciPy, without its motion model. The tracker packages require
another build of OpenCV.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from hierarchy.data import images
from hierarchy.routing import Predictions
from hierarchy.taxonomy import Tree
from hierarchy.vision.align import DetectedFace
from hierarchy.vision.boxes import matched, overlap
from hierarchy.vision.detectors import Detector
from hierarchy.vision.video import Frame

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


@dataclass
class _Track:
    number: int
    box: np.ndarray
    time: float
    probabilities: np.ndarray


class Tracker:
    """Tracks the faces of one video.

    Args:
        find: face detector.
        predictions: of faces uint8[N,48,48].
        smoothing: time constant in seconds; 0: no smoothing.
    """

    def __init__(
        self,
        find: Detector,
        predictions: Callable[[np.ndarray], Predictions],
        smoothing: float = SMOOTHING,
    ) -> None:
        self.find, self.predictions, self.smoothing = find, predictions, smoothing
        self.tracks: list[_Track] = []
        self.started = 0  # number of tracks so far

    def __call__(self, picture: np.ndarray, now: float) -> list[TrackedFace]:
        """The faces of a frame, in the order of their tracks.

        Args:
            picture: uint8[H,W,3], RGB.
            now: its time in seconds; an earlier one than before starts new tracks.
        """
        faces = self.find(images.luma(picture))
        self.tracks = [track for track in self.tracks if 0 <= now - track.time <= LOST]
        if not faces:
            return []
        predictions = self.predictions(np.stack([face.pixels for face in faces]))
        tracked = []
        for track, face, row in zip(self._matched(faces), faces, predictions.joint, strict=True):
            track = self._updated(track, np.array(face.box, float), row, now)
            tracked.append(TrackedFace(track.number, face, track.probabilities, predictions.tree))
        return sorted(tracked, key=lambda face: face.track)

    def _matched(self, faces: list[DetectedFace]) -> list[_Track | None]:
        """The track that each face continues; None: a new one."""
        if not self.tracks:
            return [None] * len(faces)
        shared = overlap(np.array([face.box for face in faces]), np.stack([t.box for t in self.tracks]))
        pairs = matched(shared, OVERLAP)
        return [self.tracks[pairs[row]] if row in pairs else None for row in range(len(faces))]

    def _updated(self, track: _Track | None, box: np.ndarray, row: np.ndarray, now: float) -> _Track:
        if track is None:
            self.started += 1
            track = _Track(self.started, box, now, row)
            self.tracks.append(track)
        else:
            weight = float(np.exp(-(now - track.time) / self.smoothing)) if self.smoothing else 0.0
            track.box, track.time = box, now
            track.probabilities = weight * track.probabilities + (1 - weight) * row
        return track


def track(
    frames: Iterable[Frame], tracker: Tracker, frame_step: int = 1
) -> Iterator[tuple[Frame, list[TrackedFace], bool]]:
    """Each frame with its faces, and whether it was processed; other frames repeat the last faces.

    Args:
        frames: of one video, in order.
        tracker: a new one.
        frame_step: process every N-th frame.
    """
    faces: list[TrackedFace] = []
    for index, frame in enumerate(frames):
        due = index % frame_step == 0
        if due:
            faces = tracker(frame.picture, frame.time)
        yield frame, faces, due
