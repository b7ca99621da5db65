"""From a box or five landmarks to a crop like those of FER-2013.

A face is rotated, scaled and shifted so that its landmarks fall on their median places in FER-2013. Chosen on
PublicTest, with faces enlarged fourfold and detected: accuracy of 1,417 such crops 68.0, as of the original
ones; aligned by the eyes only 66.8, by the box only 67.2.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hierarchy.data import images
from hierarchy.data.images import SIDE
from hierarchy.errors import InputError

# medians over 3,000 Training faces in pixels of the crop: eyes, nose, corners of the mouth, left to right in
# the image; and the box that YuNet detects
LANDMARKS: Final = np.array([[14.5, 18.3], [32.7, 18.4], [23.5, 28.6], [16.7, 36.3], [31.0, 36.3]])
BOX: Final = np.array([4.2, 1.0, 39.4, 47.3])
WARPED: Final = 32_766  # pixels a side of what OpenCV can warp
POINT: Final = 1e-6  # scale below which landmarks are one point
PICTURE: Final = np.array([0.0, 0.0, SIDE, SIDE])  # the whole crop, as a box


@dataclass(frozen=True)
class DetectedFace:
    """A face in an image.

    Attributes:
        box: [x, y, width, height] in pixels of the upright image; it may reach over the border.
        score: of the detector, 0 to 1; None if none was run.
        pixels: uint8[48,48].
        tilt: degrees by which the landmarks were turned, clockwise, to be upright in `pixels`.
        landmarks: float[5,2] in pixels of the crop, as LANDMARKS; None: the detector gave none.
    """

    box: list[int]
    score: float | None
    pixels: np.ndarray
    tilt: float = 0.0
    landmarks: np.ndarray | None = None


class Faces(list[DetectedFace]):
    """The faces of a picture.

    Attributes:
        smallest: pixels of the smallest faces that were searched for; None: not known.
    """

    def __init__(self, faces: Iterable[DetectedFace] = (), smallest: int | None = None) -> None:
        super().__init__(faces)
        self.smallest = smallest


def no_face(faces: list[DetectedFace]) -> str:
    """What to say of a picture without faces: what was searched for, if it is known."""
    smallest = faces.smallest if isinstance(faces, Faces) else None
    return f"no face of {smallest} pixels or more" if smallest else "no face"


def whole_image(grey: np.ndarray) -> list[DetectedFace]:
    """The whole image as one face."""
    height, width = grey.shape
    return [DetectedFace([0, 0, width, height], None, images.crop(grey))]


def within(
    find: Callable[[np.ndarray], list[DetectedFace]], region: tuple[int, ...], name: str
) -> Callable[[np.ndarray], list[DetectedFace]]:
    """A detector that sees a part of every image only; its boxes are of the whole image.

    Args:
        find: the detector.
        region: [x, y, width, height] in pixels of the upright image.
        name: of the region in errors.

    Raises:
        InputError: by the detector, for an image that the region reaches out of.
    """
    x, y, width, height = region

    def search(grey: np.ndarray) -> list[DetectedFace]:
        rows, columns = grey.shape
        if x + width > columns or y + height > rows:
            raise InputError(f"{name}: reaches out of an image of {columns}x{rows} pixels")
        faces = find(np.ascontiguousarray(grey[y : y + height, x : x + width]))
        moved = (replace(face, box=[face.box[0] + x, face.box[1] + y, *face.box[2:]]) for face in faces)
        return Faces(moved, faces.smallest if isinstance(faces, Faces) else None)

    return search


def aligned(
    grey: np.ndarray,
    box: np.ndarray,
    score: float,
    landmarks: np.ndarray | None = None,
    reference: np.ndarray = BOX,
) -> DetectedFace:
    """The crop that moves landmarks, or without them a box, to their places in FER-2013.

    Args:
        grey: the image, uint8[H,W].
        box: float[4], [x, y, width, height] in its pixels.
        score: of the detector.
        landmarks: float[10], x and y of each of LANDMARKS.
        reference: float[4], the detector's median box in FER-2013's crops.
    """
    points = None
    if landmarks is None:
        transform = similarity(_corners(box), _corners(reference))
    else:
        transform = similarity(landmarks.reshape(-1, 2), LANDMARKS)
        points = moved(landmarks.reshape(-1, 2), transform)
    corners = [round(float(value)) for value in box]
    turn, pixels = rotation(transform), warped(grey, transform)
    return DetectedFace(corners, min(float(score), 1.0), pixels, turn, points)


def _corners(box: np.ndarray) -> np.ndarray:
    x, y, width, height = np.asarray(box, float)
    return np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]])


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares rotation, scale and shift from points float[N,2] to points float[N,2]: float[2,3]."""
    ones, zeros = np.ones(len(source)), np.zeros(len(source))
    x, y = source.T
    rows = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    a, b, right, down = np.linalg.lstsq(rows, target.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, right], [b, a, down]])


def rotation(transform: np.ndarray) -> float:
    """Degrees by which a similarity float[2,3] turns, clockwise in the image."""
    return math.degrees(math.atan2(transform[1, 0], transform[0, 0]))


def moved(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Points float[...,2] after a similarity float[2,3]."""
    return points @ transform[:, :2].T + transform[:, 2]


def inverse(transform: np.ndarray) -> np.ndarray:
    """The similarity float[2,3] that undoes another."""
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack([linear, -linear @ transform[:, 2]])


def warped(grey: np.ndarray, transform: np.ndarray, side: int = SIDE) -> np.ndarray:
    """uint8[side,side] of the transformed image: area-averaged before shrinking, border pixels replicated."""
    import cv2

    scale = float(np.hypot(*transform[:, 0]))
    factor = max(2 * scale, 1 / max(grey.shape))  # 0 for landmarks in one point
    if scale > POINT and (scale < 0.5 or max(grey.shape) > WARPED):
        grey, transform = _around(grey, transform, side, 2 + math.ceil(2 / factor))
    if scale < 0.5:
        small = [max(1, round(length * factor)) for length in grey.shape[::-1]]
        transform = transform * [*np.divide(grey.shape[::-1], small), 1]
        grey = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
    mode = cv2.BORDER_REPLICATE
    return cv2.warpAffine(grey, transform, (side, side), flags=cv2.INTER_LINEAR, borderMode=mode)


def _around(grey: np.ndarray, transform: np.ndarray, side: int, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image that a transform needs, and the transform of this part."""
    corners = moved(_corners(np.array([0, 0, side, side])), inverse(transform))
    limits = np.array(grey.shape[::-1])
    low = np.clip(np.floor(corners.min(axis=0)) - margin, 0, limits - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + margin, low + 1, limits).astype(int)
    part = np.ascontiguousarray(grey[low[1] : high[1], low[0] : high[0]])
    return part, np.column_stack([transform[:, :2], transform[:, 2] + transform[:, :2] @ low])


def rows_of(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rows float[N,15] without landmarks, of boxes float[N,4] and scores float[N]."""
    return np.concatenate([boxes, np.full((len(boxes), 10), np.nan), scores[:, None]], axis=1)


def tilt(row: np.ndarray) -> float:
    """Degrees by which a face must be turned, clockwise, to be upright."""
    return 0.0 if np.isnan(row[4]) else rotation(similarity(row[4:14].reshape(-1, 2), LANDMARKS))


def scaled(rows: np.ndarray, scale: float) -> np.ndarray:
    """Rows of a picture at a scale, in the pixels of the picture itself."""
    return np.concatenate([rows[:, :14] / scale, rows[:, 14:]], axis=1)


def mapped(rows: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Rows after a similarity float[2,3]; a box is turned by the nearest right angle."""
    middle = rows[:, :2] + rows[:, 2:4] / 2
    points = moved(np.concatenate([middle, rows[:, 4:14]], axis=1).reshape(-1, 6, 2), move)
    sides = rows[:, 2:4] * np.hypot(*move[:, 0])
    if abs(move[1, 0]) > abs(move[0, 0]):
        sides = sides[:, ::-1]
    return np.concatenate(
        [points[:, 0] - sides / 2, sides, points[:, 1:].reshape(-1, 10), rows[:, 14:]], axis=1
    )


def turned_back(turn: int, height: int, width: int) -> np.ndarray:
    """From pixels of a picture turned clockwise by right angles to those of the picture itself."""
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turn]
    return np.array(
        [[cos, sin, max(0, -cos - sin) * (width - 1)], [-sin, cos, max(0, sin - cos) * (height - 1)]], float
    )
