"""Faces followed from frame to frame, each with probabilities smoothed over time.

A face belongs to the track whose last box it overlaps most, one to one: the assignment of Bewley et al.,
"Simple online and realtime tracking" (2016), by SciPy, without its model of motion. Trackers in a package of
their own bring the other build of OpenCV.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from hierarchy.data import images
from hierarchy.routing import OWNER, Predictions
from hierarchy.taxonomy import BRANCHES, LEAVES
from hierarchy.vision.align import DetectedFace
from hierarchy.vision.boxes import matched, overlap
from hierarchy.vision.detectors import Detector
from hierarchy.vision.video import Frame

OVERLAP: Final = 0.3  # intersection over union from which a box goes on with a track
SMOOTHING: Final = 0.5  # seconds in which an answer loses all but 1/e of its weight
LOST: Final = 1.0  # seconds unseen after which a track has ended


@dataclass(frozen=True)
class TrackedFace:
    """A face in a frame, and what was said of it until then.

    Attributes:
        track: number of the person's track, from 1.
        face: where it is, and what the nets saw.
        probabilities: float64[leaves], smoothed, sum to one.
    """

    track: int
    face: DetectedFace
    probabilities: np.ndarray

    @property
    def label(self) -> str:
        """The likeliest leaf."""
        return LEAVES[int(self.probabilities.argmax())]

    @property
    def branch(self) -> str:
        """The branch of the label."""
        return BRANCHES[OWNER[int(self.probabilities.argmax())]]

    @property
    def shares(self) -> dict[str, float]:
        """Probability by leaf."""
        return dict(zip(LEAVES, self.probabilities.tolist(), strict=True))


@dataclass
class _Track:
    number: int
    box: np.ndarray
    time: float
    probabilities: np.ndarray


class Tracker:
    """Follows the faces of one video.

    Args:
        find: what finds faces in a frame.
        predictions: what the nets say of faces uint8[N,48,48].
        smoothing: seconds in which an answer loses all but 1/e of its weight; 0: every frame for itself.
    """

    def __init__(
        self,
        find: Detector,
        predictions: Callable[[np.ndarray], Predictions],
        smoothing: float = SMOOTHING,
    ) -> None:
        self.find, self.predictions, self.smoothing = find, predictions, smoothing
        self.tracks: list[_Track] = []
        self.started = 0  # tracks until now

    def __call__(self, picture: np.ndarray, now: float) -> list[TrackedFace]:
        """The faces of a frame, in the order of their tracks.

        Args:
            picture: uint8[H,W,3], RGB.
            now: its time in seconds; before the last one's it is that of another video.
        """
        faces = self.find(images.luma(picture))
        self.tracks = [track for track in self.tracks if 0 <= now - track.time <= LOST]
        if not faces:
            return []
        joint = self.predictions(np.stack([face.pixels for face in faces])).joint
        seen = [
            self._seen(track, face, row, now)
            for track, face, row in zip(self._matched(faces), faces, joint, strict=True)
        ]
        return sorted(seen, key=lambda face: face.track)

    def _matched(self, faces: list[DetectedFace]) -> list[_Track | None]:
        """The track that each face goes on with; None: a new one."""
        if not self.tracks:
            return [None] * len(faces)
        shared = overlap(np.array([face.box for face in faces]), np.stack([t.box for t in self.tracks]))
        goes_on = matched(shared, OVERLAP)
        return [self.tracks[goes_on[row]] if row in goes_on else None for row in range(len(faces))]

    def _seen(self, track: _Track | None, face: DetectedFace, row: np.ndarray, now: float) -> TrackedFace:
        box = np.array(face.box, float)
        if track is None:
            self.started += 1
            track = _Track(self.started, box, now, row)
            self.tracks.append(track)
        else:
            old = float(np.exp(-(now - track.time) / self.smoothing)) if self.smoothing else 0.0
            track.box, track.time = box, now
            track.probabilities = old * track.probabilities + (1 - old) * row
        return TrackedFace(track.number, face, track.probabilities)


def track(
    frames: Iterable[Frame], tracker: Tracker, every: int = 1
) -> Iterator[tuple[Frame, list[TrackedFace], bool]]:
    """Each frame with its faces, and whether it was looked at; between two looks, the faces stay.

    Args:
        frames: of one video, in their order.
        tracker: a new one.
        every: 2 looks at every second frame, and so on.
    """
    seen: list[TrackedFace] = []
    for index, frame in enumerate(frames):
        looked = index % every == 0
        if looked:
            seen = tracker(frame.picture, frame.time)
        yield frame, seen, looked
