"""Scenes with faces at known places, to train and score a face detector.

Faces of a data set are pasted on photographs without faces and on random clouds, at random sizes and places.
The left half of every photograph is for training, the right half for scoring.
"""

import importlib.resources
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hierarchy.data import image_files, images
from hierarchy.data.images import SIDE
from hierarchy.errors import InputError
from hierarchy.vision.boxes import overlap

WIDTH, HEIGHT = 480, 360  # pixels of a scene
SIZES: Final = (32, 130)  # pixels a side of a face in it
MOST: Final = 4  # faces in it
WINDOW: Final = 24  # pixels a side of the detector's input window
NEAR, FAR = 0.65, 0.35  # overlap with a face: least of a positive window, most of a negative one


@dataclass(frozen=True)
class Scene:
    """An image and the boxes of its faces.

    Attributes:
        picture: uint8[HEIGHT,WIDTH], grey.
        boxes: int[N,4], [x, y, side, side] of every face, as FER-2013 crops it.
    """

    picture: np.ndarray
    boxes: np.ndarray


def backgrounds(folder: Path | None, scored: bool) -> list[np.ndarray]:
    """Halves of photographs without faces, each uint8[H,W]: scikit-learn's two, and those of a folder.

    Args:
        folder: of images without faces.
        scored: True for the halves for scoring, False for those for training.

    Raises:
        InputError: no image in the folder, or one that cannot be read.
    """
    halves = []
    for file in _photographs(folder):
        grey = images.read(file)
        middle = grey.shape[1] // 2
        halves.append(grey[:, middle:] if scored else grey[:, :middle])
    return halves


def names(folder: Path | None) -> list[str]:
    """Names of the files read by `backgrounds`."""
    return [file.name for file in _photographs(folder)]


def _photographs(folder: Path | None) -> list[Path]:
    own = importlib.resources.files("sklearn") / "datasets" / "images"
    files: list[Path] = []
    for file in image_files.find([str(place) for place in (own, folder) if place]):
        if isinstance(file, InputError):
            raise file
        files.append(file)
    return files


def scenes(faces: np.ndarray, grounds: Sequence[np.ndarray], number: int, seed: int) -> Iterator[Scene]:
    """Scenes with up to MOST faces each, some without.

    Args:
        faces: uint8[N,48,48].
        grounds: of `backgrounds`; every third scene has random clouds instead.
        number: of scenes.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    for index in range(number):
        ground = _clouds(rng) if index % 3 == 0 else _cut(grounds[int(rng.integers(len(grounds)))], rng)
        yield _composed(ground, faces, rng)


def _cut(ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random part of a photograph, of random scale and brightness."""
    import cv2

    share = rng.uniform(0.4, 1.0)
    height, width = (max(8, round(share * side)) for side in ground.shape)
    top = rng.integers(0, ground.shape[0] - height + 1)
    left = rng.integers(0, ground.shape[1] - width + 1)
    part = ground[top : top + height, left : left + width]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    part = cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR).astype(float)
    return np.clip(part * rng.uniform(0.6, 1.3) + rng.uniform(-30, 30), 0, 255)


def _clouds(rng: np.random.Generator) -> np.ndarray:
    """Noise of several scales, the coarsest strongest."""
    import cv2

    sheet = np.full((HEIGHT, WIDTH), rng.uniform(60, 190))
    for cells in (2, 4, 8, 16, 32, 64):
        noise = rng.normal(0, rng.uniform(10, 90) / np.sqrt(cells), (cells, cells))
        sheet += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(sheet, 0, 255)


def _composed(ground: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> Scene:
    import cv2

    boxes: list[tuple[int, int, int, int]] = []
    for _ in range(rng.integers(0, MOST + 1)):
        side = round(np.exp(rng.uniform(*np.log(SIZES))))
        x, y = int(rng.integers(0, WIDTH - side + 1)), int(rng.integers(0, HEIGHT - side + 1))
        box = (x, y, side, side)
        if boxes and overlap(np.array([box]), np.array(boxes)).max() > 0:
            continue
        boxes.append(box)
        method = cv2.INTER_AREA if side < SIDE else cv2.INTER_LINEAR
        face = cv2.resize(faces[rng.integers(len(faces))], (side, side), interpolation=method)
        mask = _oval(side) if rng.random() < 0.7 else np.ones((side, side))
        place = np.s_[y : y + side, x : x + side]
        ground[place] = mask * face + (1 - mask) * ground[place]
    noisy = ground + rng.normal(0, rng.uniform(0, 6), ground.shape)
    return Scene(np.clip(noisy, 0, 255).astype(np.uint8), np.array(boxes, int).reshape(-1, 4))


def _oval(side: int) -> np.ndarray:
    """float[side,side]: 1 inside an ellipse that fills the square, 0 in the corners."""
    axis = np.linspace(-1, 1, side)
    radius = np.hypot(axis[None] / 0.95, axis[:, None])
    return np.clip((1.25 - radius) / 0.3, 0, 1)


def windows(scene: Scene, rng: np.random.Generator, faces: int, others: int) -> tuple[np.ndarray, np.ndarray]:
    """Labelled windows of a scene.

    Args:
        scene: of `scenes`.
        rng: source of randomness.
        faces: windows per face with an overlap of NEAR or more.
        others: at most this many windows with an overlap of FAR or less with every face.

    Returns:
        uint8[N,WINDOW,WINDOW], and whether each shows a face, bool[N].
    """
    near = _jittered(np.repeat(scene.boxes, faces, axis=0), rng, 0.06)
    part = _jittered(np.repeat(scene.boxes, faces, axis=0), rng, 0.5)  # of faces: an eye is not a face
    side = np.exp(rng.uniform(np.log(20), np.log(200), others))
    anywhere = np.stack([rng.uniform(0, WIDTH - side), rng.uniform(0, HEIGHT - side), side, side], 1)
    boxes = np.concatenate([near, part, anywhere])
    best = overlap(boxes, scene.boxes).max(axis=1, initial=0.0)
    label = best >= NEAR
    kept = (label | (best <= FAR)) & (boxes[:, :2] >= 0).all(1)
    kept &= (boxes[:, 0] + boxes[:, 2] <= WIDTH) & (boxes[:, 1] + boxes[:, 3] <= HEIGHT)
    cut = [_window(scene.picture, box) for box in boxes[kept]]
    return np.array(cut, np.uint8).reshape(-1, WINDOW, WINDOW), label[kept]


def _jittered(boxes: np.ndarray, rng: np.random.Generator, far: float) -> np.ndarray:
    """Boxes randomly moved and scaled by up to a fraction of their side."""
    side = boxes[:, 2:3] * np.exp(rng.uniform(-2 * far, 2 * far, (len(boxes), 1)))
    middle = boxes[:, :2] + boxes[:, 2:] / 2 + boxes[:, 2:] * rng.uniform(-far, far, (len(boxes), 2))
    return np.concatenate([middle - side / 2, side, side], axis=1)


def _window(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    import cv2

    x, y, side = (round(float(value)) for value in box[:3])
    part = picture[y : y + side, x : x + side]
    method = cv2.INTER_AREA if side > WINDOW else cv2.INTER_LINEAR
    return cv2.resize(part, (WINDOW, WINDOW), interpolation=method)
