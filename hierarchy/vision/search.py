"""Search a picture for faces: reduced first, then finer, then turned, and each doubtful face by itself.

A detector finds nearly all faces from some size on (docs/detector.md), so that it misses the small faces of a
large picture once this is reduced; passes over overlapping tiles of finer scales find them. A face that the
first look is not sure of is cut out, turned upright by its landmarks, enlarged, and looked at again.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from hierarchy.vision import align
from hierarchy.vision.align import (
    LANDMARKS,
    DetectedFace,
    Faces,
    mapped,
    moved,
    rotation,
    scaled,
    similarity,
    tilt,
)
from hierarchy.vision.detectors import OFF, SURE, Searching

PLAIN: Final = 0.85  # from this score on, an upright face is believed at the first look
TILTED, FIT = 12.0, 1.5  # degrees, and pixels of the crop by which the landmarks of a plain face may be off
PATCH, FACE = 160, 80  # pixels a side of what a doubtful face is looked at in, and of the face in it
ROUNDS, STRAIGHT = 8, 2.0  # of turning it upright, and degrees of which it is
NEAR: Final = 0.1  # less of the score is given for a face that is upright
STEP: Final = 2.5  # least ratio of two scales of a picture
GLANCE: Final = 480  # pixels of the longer side of a frame between two full searches
LOOK, FEW = 5, 2  # while at most FEW faces are followed, only every LOOK-th frame is reduced and searched
TILE: Final = 640  # pixels; larger inputs leave the processor's cache, and a pixel takes twice as long
BUDGET: Final = 30_000_000  # pixels of the finest pass
STRIP: Final = 100  # ratio of sides; of a narrower picture, each small tile costs as much as a wider one
SAME: Final = 0.5  # share of the smaller of two boxes that both of the same face have in common

Rows = Callable[[np.ndarray], np.ndarray]  # uint8[H,W] -> float[N,15]: box, landmarks or NaN, score
NONE: Final = np.zeros((0, 15))  # no rows


class Engine(NamedTuple):
    """What finds faces from some size on.

    Attributes:
        find: in a picture.
        least, longest: pixels of the longer side of the picture that is searched first.
        seen: pixels of the smallest faces that it finds; 0: not known.
        patch: in squares of PATCH pixels; None: it has no landmarks, and one pass is all.
        empty: whether `find` gives no rows; it takes a fraction of the time.
        reference: its box of a FER-2013 crop.
    """

    find: Rows
    longest: int
    least: int = 0
    seen: int = 0
    patch: Rows | None = None
    reference: np.ndarray = align.BOX
    empty: Callable[[np.ndarray], bool] = lambda picture: False


class Search:
    """The detector that an engine makes. For the frames of one video, it remembers what it has found.

    Args:
        engine: that finds faces.
        options: sizes, turns, and how often a frame is searched fully.
    """

    def __init__(self, engine: Engine, options: Searching) -> None:
        self.engine, self.options, self.turns = engine, options, options.rotate != OFF
        self.rows, self.shape, self.frames = NONE, (0, 0), 0  # of the frames since a full search

    def __call__(self, grey: np.ndarray) -> Faces:
        """The faces of a picture uint8[H,W], the largest first."""
        fully = self.engine.patch is None or grey.shape != self.shape or self.frames >= self.options.step
        rows, smallest = self._full(grey) if fully else (self._glance(grey), None)
        missed = [] if fully else [row for row in self.rows if not _overlaps(row, rows)]
        self.frames, self.shape = 1 if fully else self.frames + 1, grey.shape
        self.rows = np.array([*rows, *missed]).reshape(-1, 15)
        faces = (self._face(grey, row) for row in rows)
        return Faces(sorted(faces, key=lambda face: -face.box[2] * face.box[3]), smallest)

    def _face(self, grey: np.ndarray, row: np.ndarray) -> DetectedFace:
        """The face, cut from the picture turned by the nearest right angle, which changes no pixel."""
        turn = round(tilt(row) / 90) % 4
        back = align.turned_back(turn, *grey.shape)
        upright = mapped(row[None], align.inverse(back))[0] if turn else row
        picture = np.ascontiguousarray(np.rot90(grey, -turn))
        landmarks = None if np.isnan(row[4]) else upright[4:14]
        face = align.aligned(picture, upright[:4], row[14], landmarks, self.engine.reference)
        return replace(face, box=[round(value) for value in row[:4].tolist()], tilt=tilt(row))

    def _full(self, grey: np.ndarray) -> tuple[np.ndarray, int | None]:
        """Faces at every scale, and the pixels of the smallest ones that cannot have been missed."""
        longest = max(grey.shape)
        scale = min(max(1.0, self.engine.least / longest), self.engine.longest / longest)
        small = _resized(grey, scale)
        rows = self.engine.find(small)
        if self.turns and not any(self._plain(row) for row in rows):
            rows = np.concatenate([rows, *(self._at(small, turn) for turn in (1, 2, 3))])
        rows = self._settled(grey, scaled(rows, scale), NONE)
        turn = round(tilt(rows[0]) / 90) % 4 if len(rows) else 0
        for finer in self._scales(grey, scale):
            overlap = math.ceil(1.25 * self.engine.seen * finer / scale)
            tiles = list(self._tiles(_resized(grey, finer), turn, overlap, len(rows)))
            rows = self._settled(grey, scaled(np.concatenate(tiles), finer), rows)
            scale = finer
        return rows, math.ceil(self.engine.seen / scale) or None

    def _scales(self, grey: np.ndarray, scale: float) -> np.ndarray:
        """Finer scales, in ratios of about STEP, up to that of `min_face` pixels or that of BUDGET."""
        size = max(grey.size, max(grey.shape) ** 2 / STRIP)
        last = min(self.engine.seen / self.options.min_face, math.sqrt(BUDGET / size))
        number = math.ceil(math.log(last / scale, STEP)) if self.engine.patch and last > scale else 0
        return np.geomspace(scale, last, number + 1)[1:] if number else np.zeros(0)

    def _glance(self, grey: np.ndarray) -> np.ndarray:
        """Faces of the frames before in their own crops, and in some frames large new ones."""
        before = self.rows.copy()
        before[:, 14] = 0
        if 0 < len(before) <= FEW and self.frames % LOOK:
            return self._settled(grey, before, NONE)
        scale = min(1.0, GLANCE / max(grey.shape))
        rows = scaled(self.engine.find(_resized(grey, scale)), scale)
        large = rows[:, 2:4].max(axis=1, initial=0) * scale >= self.engine.seen
        return self._settled(grey, np.concatenate([rows[large & (rows[:, 14] >= SURE)], before]), NONE)

    def _at(self, picture: np.ndarray, turn: int, likely: bool = False) -> np.ndarray:
        """Rows found after turning a picture clockwise by right angles, in its own pixels."""
        turned = np.ascontiguousarray(np.rot90(picture, -turn))
        if not likely and self.engine.empty(turned):  # as most parts of a picture are
            return NONE
        rows = self.engine.find(turned)
        return mapped(rows, align.turned_back(turn, *picture.shape)) if turn else rows

    def _tiles(self, picture: np.ndarray, turn: int, overlap: int, faces: int) -> Iterator[np.ndarray]:
        """Rows of overlapping tiles of a picture in which so many faces were found before."""
        (height, tops), (width, lefts) = (_cuts(length, overlap) for length in picture.shape)
        crowded = 2 * faces > len(tops) * len(lefts)
        for top, left in itertools.product(tops, lefts):
            tile = np.ascontiguousarray(picture[top : top + height, left : left + width])
            yield mapped(self._at(tile, turn, crowded), np.array([[1.0, 0.0, left], [0.0, 1.0, top]]))

    def _settled(self, grey: np.ndarray, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
        """The faces found before and, of the others, those that are plain or turn out to be faces."""
        for row in rows[np.argsort(-rows[:, 14], kind="stable")]:
            if _overlaps(row, found):
                continue
            if not self._plain(row):
                row = self._second_look(grey, row)
                if row[14] < self.options.sure or _overlaps(row, found):
                    continue
            found = np.concatenate([found, row[None]])
        return found

    def _plain(self, row: np.ndarray) -> bool:
        """Whether it is a face that is as upright as right angles can make it, by score and landmarks."""
        if self.engine.patch is None:
            return True
        points = row[4:14].reshape(-1, 2)
        move = similarity(points, LANDMARKS)
        off = np.sqrt(((moved(points, move) - LANDMARKS) ** 2).sum(axis=1).mean())
        tilted = abs((rotation(move) + 45) % 90 - 45)
        return bool(row[14] >= PLAIN and tilted <= TILTED and off <= FIT)

    def _second_look(self, grey: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The row, or the better one of its own crop, upright or else turned."""
        upright = self._upright(grey, row, 0)
        best = upright if upright[14] >= row[14] - NEAR else row
        if SURE <= best[14] < PLAIN and self.turns:
            best = max(
                best,
                *(self._upright(grey, row, turn) for turn in (90, 180, 270)),
                key=lambda each: float(each[14]),
            )
        return best

    def _upright(self, grey: np.ndarray, row: np.ndarray, turn: float) -> np.ndarray:
        """The row of a face's own crop, turned until it is upright; a score of 0 if there is none."""
        angle = tilt(row) + turn
        for _ in range(ROUNDS):
            move = _to_patch(row, angle)
            rows = self.engine.patch(align.warped(grey, move, PATCH)) if self.engine.patch else NONE
            middle = rows[:, :2] + rows[:, 2:4] / 2
            rows = rows[(np.abs(middle - PATCH / 2) < FACE / 2).all(axis=1)]
            if not len(rows):
                return np.zeros(15)
            row = mapped(rows[[rows[:, 14].argmax()]], align.inverse(move))[0]
            left = (tilt(row) - angle + 180) % 360 - 180
            if abs(left) < STRAIGHT:
                break
            angle += left
        return row


def _resized(grey: np.ndarray, scale: float) -> np.ndarray:
    import cv2

    if scale == 1:
        return grey
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _cuts(length: int, overlap: int) -> tuple[int, np.ndarray]:
    """The side of the fewest tiles of at most TILE pixels that cover a length, and where they start."""
    number = max(1, math.ceil((length - overlap) / (TILE - overlap)))
    side = math.ceil((length + (number - 1) * overlap) / number)
    return side, np.linspace(0, length - side, number).round().astype(int)


def _to_patch(row: np.ndarray, angle: float) -> np.ndarray:
    """The similarity that brings a face into the middle of a patch, turned by degrees."""
    turn, scale = math.radians(angle), FACE / max(row[2], row[3], 1.0)
    linear = scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.column_stack([linear, PATCH / 2 - linear @ (row[:2] + row[2:4] / 2)])


def _overlaps(row: np.ndarray, found: np.ndarray) -> bool:
    """Whether a box shares SAME of the smaller one with one of those found."""
    low = np.maximum(row[:2], found[:, :2])
    high = np.minimum(row[:2] + row[2:4], found[:, :2] + found[:, 2:4])
    smaller = np.minimum(row[2] * row[3], found[:, 2] * found[:, 3])
    return bool((np.clip(high - low, 0, None).prod(axis=1) >= SAME * smaller).any())
