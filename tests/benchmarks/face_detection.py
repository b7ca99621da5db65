"""Faces found by size, by turn, in thumbnails, as crops and in a video: the search beside plain detectors.

    FER2013_DIR=… .venv/bin/python tests/benchmarks/face_detection.py

Heads of the sample photographs are pasted on scikit-learn's photographs; crops are PublicTest faces.
results/detector/SEARCH.md is written, which docs/detector.md shows. All is measured in one run.
"""

import functools
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from sklearn.datasets import load_sample_image  # noqa: E402

from hierarchy import fileio, runs  # noqa: E402
from hierarchy.classifier import HierarchicalClassifier  # noqa: E402
from hierarchy.data import images, loading  # noqa: E402
from hierarchy.data.dataset import Split  # noqa: E402
from hierarchy.data.splits import select_split  # noqa: E402
from hierarchy.reports.tables import table  # noqa: E402
from hierarchy.taxonomy import FLAT  # noqa: E402
from hierarchy.vision import align  # noqa: E402
from hierarchy.vision.boxes import overlap  # noqa: E402
from hierarchy.vision.detectors import MOVING, OFF, READY, Detector, Searching, create_detector  # noqa: E402

SIZES, SCENES, HEADS = (24, 28, 32, 40, 48, 64, 96, 128, 200, 400), 1, 18  # pixels; a size; faces a scene
LARGE, HD = (4000, 3000), (1920, 1080)
ANGLES = range(0, 360, 15)
THUMBNAILS = (48, 56, 64, 80, 100)
CROPS, SIDES = 300, (48, 64, 96, 128, 192, 256)
FRAMES, MOVED, VIDEO_FACE = 40, 6, 55
FOUND, KEPT = 0.5, 0.15  # least intersection over union; most change of the probability of a label
GROUNDS: Final = ("china.jpg", "flower.jpg")


def one_look(name: str) -> Detector:
    """A plain detector: the picture at 640 pixels, upright; squares of at most READY pixels are crops."""
    find = create_detector(name, Searching(min_face=10**6, rotate=OFF))
    return lambda grey: align.whole_image(grey) if grey.shape[0] == grey.shape[1] <= READY else find(grey)


DETECTORS: Final[dict[str, Callable[[], Detector]]] = {
    "search": create_detector,
    "YuNet, one look": lambda: one_look("yunet"),
    "Haar, one look": lambda: one_look("haar"),
}


class Head:
    """A head of a sample photograph: its pixels, and the box of its face in them."""

    def __init__(self, name: str) -> None:
        self.name, self.grey = name, images.read(ROOT / "samples" / name)
        box = np.array(create_detector("yunet")(self.grey)[0].box, float)
        low = np.maximum(box[:2] - 0.45 * box[2:], 0).astype(int)
        high = np.minimum(box[:2] + 1.45 * box[2:], self.grey.shape[::-1]).astype(int)
        self.pixels, self.box = self.grey[low[1] : high[1], low[0] : high[0]], box - [*low, 0, 0]

    def of_height(self, height: float) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and box at a scale where the face is so high."""
        scale = height / self.box[3]
        size = [max(2, round(side * scale)) for side in self.pixels.shape[::-1]]
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return cv2.resize(self.pixels, size, interpolation=how), self.box * scale


def ground(index: int, size: tuple[int, int]) -> np.ndarray:
    grey = cv2.cvtColor(load_sample_image(GROUNDS[index % len(GROUNDS)]), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)


def scene(heads: list[Head], height: int, size: tuple[int, int], rng: np.random.Generator) -> tuple:
    """A scene of HEADS heads on a grid with random shifts, and their boxes float[HEADS,4]."""
    picture, boxes = ground(int(rng.integers(2)), size), []
    cells = itertools.product(range(3), range(6))
    for head, (row, column) in zip(itertools.cycle(heads), cells, strict=False):
        pixels, box = head.of_height(height)
        room = (size[1] // 3 - pixels.shape[0], size[0] // 6 - pixels.shape[1])
        y, x = (int(rng.integers(max(1, space))) for space in room)
        y, x = y + row * (size[1] // 3), x + column * (size[0] // 6)
        part = pixels[: size[1] - y, : size[0] - x]
        picture[y : y + part.shape[0], x : x + part.shape[1]] = part
        boxes.append(box + [x, y, 0, 0])
    return picture, np.array(boxes)


def found(faces: list[align.DetectedFace], boxes: np.ndarray) -> tuple[int, int]:
    """How many boxes were found, and how many others were."""
    if not faces:
        return 0, 0
    shared = overlap(np.array([face.box for face in faces], float), boxes) >= FOUND
    return int(shared.any(axis=0).sum()), int((~shared.any(axis=1)).sum())


def by_size(heads: list[Head]) -> str:
    rows = []
    for height in SIZES:
        picture, boxes = scene(heads, height, LARGE, np.random.default_rng(height))
        cells = []
        for create in DETECTORS.values():
            find, started = create(), time.perf_counter()
            right, wrong = found(find(picture), boxes)
            cells.append(f"{right} + {wrong}, {time.perf_counter() - started:.2f} s")
        rows.append((str(height), *cells))
    return table(("pixels", *DETECTORS), rows)


def answers(pixels: np.ndarray, view: str = "single") -> np.ndarray:
    """Probabilities of the leaves by the default run, float[N,leaves]."""
    return model(view).predictions(pixels).joint


@functools.cache
def model(view: str) -> HierarchicalClassifier:
    return HierarchicalClassifier.load(runs.DEFAULT_RUN, view=view)


def by_turn(heads: list[Head]) -> str:
    """Of every head at every angle: found, the label kept, and its probability kept within KEPT."""
    rows = []
    for (name, create), view in [*itertools.product(DETECTORS.items(), ["single"]), *turned_views()]:
        find, counts = create(), np.zeros(3, int)
        for head in heads:
            middle = (head.box[:2] + head.box[2:] / 2).tolist()
            crops = [faces[0].pixels for faces in map(find, turned(head, middle)) if faces]
            if not crops:
                continue
            joint = answers(np.array(crops), view)
            label = joint[0].argmax()
            off = np.abs(joint[:, label] - joint[0, label])
            counts += len(crops), (joint.argmax(axis=1) == label).sum(), (off <= KEPT).sum()
        rows.append((name if view == "single" else f"{name}, --tta {view}", *map(str, counts)))
    total = len(heads) * len(ANGLES)
    return table((f"of {total} turned heads", "found", "same label", f"within {KEPT}"), rows)


def turned_views() -> Iterator[tuple[tuple[str, Callable[[], Detector]], str]]:
    return itertools.product([next(iter(DETECTORS.items()))], ("crops", "ten-crop"))


def turned(head: Head, middle: list[float]) -> Iterator[np.ndarray]:
    """The head in the middle of a larger picture, at all ANGLES."""
    side = 2 * max(head.pixels.shape)
    for angle in ANGLES:
        move = cv2.getRotationMatrix2D(middle, angle, 1.0)
        move[:, 2] += side / 2 - np.array(middle)
        yield cv2.warpAffine(head.pixels, move, (side, side), borderMode=cv2.BORDER_REPLICATE)


def thumbnails(heads: list[Head]) -> str:
    """Labels of head and shoulders in small squares that are the label of the photograph."""
    rows = []
    for side in THUMBNAILS:
        cells = []
        for create in DETECTORS.values():
            right = 0
            for head in heads:
                square = min(head.grey.shape)
                left = int(np.clip(head_middle(head) - square / 2, 0, head.grey.shape[1] - square))
                small = images_resized(head.grey[:square, left : left + square], side)
                faces = create()(small)
                whole = create_detector("yunet")(head.grey)
                pair = [answers(each[0].pixels[None])[0] for each in (faces, whole) if each]
                right += len(pair) == 2 and pair[0].argmax() == pair[1].argmax()
            cells.append(f"{right} of {len(heads)}")
        rows.append((str(side), *cells))
    return table(("pixels a side", *DETECTORS), rows)


def head_middle(head: Head) -> float:
    x, _, width, _ = create_detector("yunet")(head.grey)[0].box
    return x + width / 2


def images_resized(grey: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)


def crops(pixels: np.ndarray, truth: np.ndarray) -> str:
    """Accuracy of ready crops, enlarged: taken whole, and by each detector; and faces not found."""
    rows = []
    for side in SIDES:
        larger = [cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC) for face in pixels]
        cells = [scored([align.whole_image(face) for face in larger], truth)]
        cells += [scored([find(face) for face in larger], truth) for find in created()]
        rows.append((str(side), *cells))
    return table(("pixels a side", "whole", *DETECTORS), rows)


def pasted(pixels: np.ndarray, truth: np.ndarray) -> str:
    """Accuracy of crops that are turned, scaled, shifted and pasted on photographs."""
    rows = []
    for side in SIDES[1:]:
        rng = np.random.default_rng(side)
        shown = [on_ground(face, side, rng) for face in pixels]
        each = [[find(picture) for picture in shown] for find in created()]
        cells = [scored([align.whole_image(face) for face in pixels], truth)]
        cells += [scored(faces, truth) for faces in each]
        cells += [scored(each[0], truth, "crops")]
        rows.append((str(side), *cells))
    return table(("pixels a side", "ready crops", *DETECTORS, "search, --tta crops"), rows)


def on_ground(face: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A face of about `side` pixels in a picture of three times this side, turned by up to 20 degrees."""
    picture = ground(int(rng.integers(2)), (6 * side, 6 * side))
    left, top = rng.integers(0, 3 * side, 2)
    picture = np.ascontiguousarray(picture[top : top + 3 * side, left : left + 3 * side])
    scale = side / align.SIDE * rng.uniform(0.9, 1.1)
    move = cv2.getRotationMatrix2D((24, 24), float(rng.uniform(-20, 20)), scale)
    move[:, 2] += rng.uniform(side, 2 * side, 2) - 24
    size = picture.shape[::-1]
    mask = cv2.warpAffine(np.full_like(face, 255), move, size) > 127
    picture[mask] = cv2.warpAffine(face, move, size, borderMode=cv2.BORDER_REPLICATE)[mask]
    return picture


def created() -> list[Detector]:
    return [create() for create in DETECTORS.values()]


def scored(
    each: list[list[align.DetectedFace]],
    truth: np.ndarray,
    view: str = "single",
) -> str:
    """Accuracy in percent of the largest faces, no face being wrong, and how many pictures show none."""
    seen = np.array([bool(faces) for faces in each])
    joint = answers(np.array([faces[0].pixels for faces in each if faces]), view)
    right = (joint.argmax(axis=1) == truth[seen]).sum() / len(truth)
    return f"{100 * right:.1f}" + (f" ({(~seen).sum()} not found)" if not seen.all() else "")


def video(heads: list[Head]) -> str:
    """Faces of VIDEO_FACE pixels that wander through FRAMES frames of HD."""
    searches = {"search, a video": lambda: create_detector(options=MOVING)} | DETECTORS
    rows = []
    for name, create in searches.items():
        rng, find = np.random.default_rng(0), create()
        places = rng.uniform([100, 100], [HD[0] - 200, HD[1] - 200], (8, 2))
        still, right, wrong, spent = ground(0, HD), 0, 0, 0.0
        for _ in range(FRAMES):
            frame, boxes = still.copy(), []
            places += rng.uniform(-MOVED, MOVED, places.shape)
            for head, (x, y) in zip(itertools.cycle(heads), places.astype(int).tolist(), strict=False):
                pixels, box = head.of_height(VIDEO_FACE)
                frame[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
                boxes.append(box + [x, y, 0, 0])
            started = time.perf_counter()
            faces = find(frame)
            spent += time.perf_counter() - started
            counted = found(faces, np.array(boxes))
            right, wrong = right + counted[0], wrong + counted[1]
        rows.append((name, f"{right} of {8 * FRAMES}", str(wrong), f"{1000 * spent / FRAMES:.0f}"))
    return table(("", "found", "other boxes", "ms a frame"), rows)


def main() -> None:
    faces = select_split(loading.labelled_faces(None), Split.PublicTest)
    target = faces.target(model("single").tree_, FLAT)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(target >= 0))[:CROPS]
    pixels, truth = faces.pixels[rows], target[rows]
    heads = [Head(name) for name in ("portrait.jpg", "astronaut.jpg", "grace_hopper.png")]
    processor = next(line.split(": ")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line)
    parts = {
        f"Faces by height in pixels, {HEADS} heads in 12 megapixels: found + other boxes, seconds": by_size(
            heads
        ),
        "Turned heads, in steps of 15 degrees": by_turn(heads),
        "Thumbnails of head and shoulders: the label of the photograph": thumbnails(heads),
        f"Ready crops, enlarged: accuracy on {CROPS} PublicTest faces": crops(pixels, truth),
        "The same faces, turned, scaled, and pasted on photographs": pasted(pixels, truth),
        f"A video of 1920x1080 with eight faces of {VIDEO_FACE} pixels": video(heads),
    }
    text = f"# Faces found\n\nMeasured in one run on {os.cpu_count()} cores of {processor}.\n"
    text += "".join(f"\n## {title}\n\n{part}\n" for title, part in parts.items())
    fileio.write_atomic(runs.home() / "results" / "detector" / "SEARCH.md", text.encode())
    print(text)


if __name__ == "__main__":
    main()
