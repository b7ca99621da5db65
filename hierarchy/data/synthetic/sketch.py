"""Drawn faces: a built-in data set of FER-2013's expressions, so that everything runs without a download.

A random person and the action units of an expression become strokes (portrait.py), drawn at four times
FER-2013's size, then reduced, lit and given noise. A face depends only on its seed, its row and its
expression. One core draws about a thousand faces a second.
"""

import cmath
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from hierarchy.data.audit import PUBLISHED
from hierarchy.data.dataset import SIDE, SKETCH, FaceDataset, Split
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.data.synthetic.action_units import STRENGTHS, Unit, actions
from hierarchy.data.synthetic.portrait import CRISP, SOFT, Person, Stroke
from hierarchy.errors import InputError
from hierarchy.taxonomy import spelling

HELD_OUT: Final = 0.1  # share of PublicTest, and of PrivateTest

# The person and the picture: each value is uniform in its range.
RANGES: Final[dict[str, tuple[float, float]]] = {
    # grey levels
    "skin": (120, 222),
    "hair": (15, 150),
    "iris": (15, 57),
    "wall": (25, 235),
    # sizes and positions, in head units
    "width": (0.86, 1.0),
    "chin": (1.1, 1.24),
    "eye_gap": (0.39, 0.46),
    "eye_width": (0.19, 0.23),
    "brow_y": (-0.47, -0.41),
    "brow_width": (0.05, 0.11),
    "nose_y": (0.22, 0.3),
    "nose_width": (0.15, 0.22),
    "mouth_y": (0.6, 0.68),
    "mouth_width": (0.32, 0.4),
    "lips": (0.055, 0.1),
    "hairline": (-1.0, -0.78),
    "parting": (-0.6, 0.6),
    "gaze": (-0.06, 0.06),
    "jaw": (0.78, 1.1),  # the power of its curve: square to pointed
    # compared with the probability of each attribute
    **dict.fromkeys(("long_hair", "bald", "glasses", "beard", "occlusion"), (0.0, 1.0)),
    # pose: a factor, radians, head units of the nearest point, pixels
    "scale": (0.9, 1.08),
    "turn": (-0.16, 0.16),
    "yaw": (-0.17, 0.17),
    "pitch": (-0.08, 0.08),
    "shift_x": (-1.6, 1.6),
    "shift_y": (-1.6, 1.6),
    # light: radians, then fractions; blur and grain: standard deviations in pixels and grey levels
    "light_from": (0, 2 * np.pi),
    "light": (0, 0.25),
    "gain": (0.85, 1.1),
    "blur": (0, 0.65),
    "grain": (1, 7),
}
LOW, HIGH = np.array(list(RANGES.values())).T
OVERSIZE: Final = 4
HEAD_UNIT: Final = 19.5  # pixels of the finished face
CENTRE: Final = 23.5 + 22.5j  # of the head, in pixels of the finished face
OCCLUDED: Final = 0.08  # share of faces
ACROSS: Final = np.linspace(-1, 1, SIDE, dtype=np.float32)
VIGNETTE: Final = 1.05 - 0.16 * (ACROSS[None, :] ** 2 + ACROSS[:, None] ** 2)


def sketch_faces(n: int, seed: int = 0) -> FaceDataset:
    """Faces of FER2013_NAMES in the proportions of FER-2013's Training split.

    Each expression is split at random, 80 % to Training and 10 % to each test split. The same `n` and `seed`
    give the same bits.

    Raises:
        InputError: `n` is below 1 or `seed` below 0.
    """
    if n < 1 or seed < 0:
        raise InputError(f"sketches: {n} faces of seed {seed}; expected 1 or more, and a seed of 0 or more")
    label, split = _roles(n, np.random.default_rng(seed))
    pixels = [draw(FER2013_NAMES[code], _random(seed, row)) for row, code in enumerate(label)]
    return FaceDataset(np.stack(pixels), label, split, np.arange(n, dtype=np.int32), source=SKETCH)


def activations(label: np.ndarray, seed: int = 0) -> np.ndarray:
    """Activation of each action unit, float64[N, units], in all faces of `sketch_faces`, by their labels."""
    acts = [actions(spelling(FER2013_NAMES[code]), _random(seed, row)) for row, code in enumerate(label)]
    return np.array([[act[unit] for unit in Unit] for act in acts])


def _random(seed: int, row: int) -> np.random.Generator:
    return np.random.default_rng((seed, row + 1))  # the seeds 5 and (5, 0) are the same to NumPy


def draw(name: str, rng: np.random.Generator) -> np.ndarray:
    """One face of an expression: uint8[48, 48].

    Raises:
        InputError: the expression is unknown.
    """
    if spelling(name) not in STRENGTHS:
        raise InputError(f"unknown expression {name!r}: expected one of {', '.join(STRENGTHS)}")
    act = actions(spelling(name), rng)
    who = dict(zip(RANGES, rng.uniform(LOW, HIGH).tolist(), strict=True))
    sheet = np.full((SIDE * OVERSIZE, SIDE * OVERSIZE), round(who["wall"]), np.uint8)
    _paint(sheet, [stroke for feature in SOFT for stroke in feature(who, act)], who)
    cv2.blur(sheet, (9, 9), dst=sheet)
    _paint(sheet, [stroke for feature in CRISP for stroke in feature(who, act)], who)
    if who["occlusion"] < OCCLUDED:
        _occlude(sheet, rng)
    return _photograph(sheet, who, rng)


def _place(points: np.ndarray, who: Person) -> np.ndarray:
    """Pixel positions int32[N, 2] of points of the head, complex128[N], in the drawing.

    The head is half an ellipsoid: the nearest points move furthest when it yaws and pitches.
    """
    depth = np.sqrt(np.maximum(1 - points.real**2 - points.imag**2 / 1.6, 0))
    turned = (points + complex(who["yaw"], who["pitch"]) * depth) * cmath.rect(1, who["turn"])
    centre = CENTRE + complex(who["shift_x"], who["shift_y"])
    spots = OVERSIZE * (HEAD_UNIT * who["scale"] * turned + centre)
    return spots.view(np.float64).reshape(-1, 2).round().astype(np.int32)


def _paint(sheet: np.ndarray, strokes: Sequence[Stroke], who: Person) -> None:
    """Draw strokes in order. Projecting all points at once halves the time of a face."""
    points = [stroke.x + 1j * stroke.y for stroke in strokes]
    spots = _place(np.concatenate([each.ravel() for each in points]), who)
    ends = np.cumsum([each.size for each in points])
    for stroke, each, place in zip(strokes, points, np.split(spots, ends[:-1]), strict=True):
        lines = list(place.reshape(-1, each.shape[-1], 2))
        tone = (min(max(stroke.tone, 0.0), 255.0),)
        if stroke.width:
            cv2.polylines(sheet, lines, False, tone, max(1, round(stroke.width * HEAD_UNIT * OVERSIZE)))
        else:
            cv2.fillPoly(sheet, lines, tone)


def _occlude(sheet: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a bar, such as an arm or a microphone, from the lower border up to the face."""
    start, end = rng.uniform((0, 1.05), (1, 1.05)), rng.uniform((0.1, 0.62), (0.9, 0.9))
    points = (SIDE * OVERSIZE * np.stack([start, end])).astype(np.int32)
    cv2.polylines(sheet, [points], False, (rng.uniform(20, 220),), round(rng.uniform(14, 30)))


def _photograph(sheet: np.ndarray, who: Person, rng: np.random.Generator) -> np.ndarray:
    """Reduce a drawing; add light from one side, darker corners, a little blur and noise: uint8[48, 48]."""
    right, down = who["light"] * np.cos(who["light_from"]), who["light"] * np.sin(who["light_from"])
    slope = np.float32(right) * ACROSS[None, :] + np.float32(down) * ACROSS[:, None]
    small = cv2.resize(sheet, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lit = small * np.float32(who["gain"]) * (VIGNETTE + slope)
    blurred = cv2.GaussianBlur(lit, (5, 5), max(who["blur"], 0.1))
    grain = rng.standard_normal((SIDE, SIDE), dtype=np.float32) * np.float32(who["grain"])
    return np.clip(blurred + grain, 0, 255).astype(np.uint8)


def _roles(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Label and split of each row, int8[n] each, in random order.

    Of three or more faces of an expression, each split has at least one.
    """
    published = PUBLISHED[Split.Training.name]
    share = np.array(list(published.values())) * n / sum(published.values())
    count = share.astype(int)
    count[np.argsort(count - share, kind="stable")[: n - count.sum()]] += 1  # the largest remainders
    label = np.repeat(np.arange(len(FER2013_NAMES)), count)
    held = [max(round(HELD_OUT * size), int(size >= len(Split))) for size in count]  # of each test split
    parts = [
        np.repeat(list(Split), [size - 2 * out, out, out]) for size, out in zip(count, held, strict=True)
    ]
    order = rng.permutation(n)
    return label[order].astype(np.int8), np.concatenate(parts)[order].astype(np.int8)
