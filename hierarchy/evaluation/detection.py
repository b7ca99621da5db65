"""Train the custom CNN face detector, and evaluate it and others in scenes with known faces."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import fileio, runs
from hierarchy.data import loading
from hierarchy.data.dataset import Split
from hierarchy.data.splits import select_split
from hierarchy.evaluation.statistics import share
from hierarchy.models import export
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.reports.tables import accuracy, table
from hierarchy.taxonomy import VALENCE
from hierarchy.vision import cnn_detector, detectors, synthetic_scenes
from hierarchy.vision.boxes import matched, overlap
from hierarchy.vision.synthetic_scenes import Scene

FOUND: Final = 0.5  # least intersection over union of a box that counts as a face
CHOOSING: Final = 150  # scenes of PublicTest faces that the threshold is chosen on
THRESHOLDS: Final = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
COMPARED: Final = (cnn_detector.CNN, detectors.YUNET, detectors.HAAR)
SCORES, REPORT = "found.json", "REPORT.md"
Boxes = Callable[[np.ndarray], np.ndarray]  # uint8[H,W] -> float[N,4]


def train(data: str | None, folder: Path | None, rounds: int, seed: int) -> Path:
    """Train the detector on Training faces, choose its threshold on PublicTest faces, and store its file.

    For `data`, see `loading.training_faces`; for `folder`, `vision.synthetic_scenes.backgrounds`.

    Raises:
        InputError: the data, the pictures or the converter to ONNX are missing.
    """
    KERAS_BACKEND.start()
    export.check_tools("onnx")
    from hierarchy.models import face_detector

    faces = loading.training_faces(data)
    training, choosing = (select_split(faces, split).pixels for split in (Split.Training, Split.PublicTest))
    net = face_detector.train(training, synthetic_scenes.backgrounds(folder, False), seed, rounds)
    written = face_detector.as_onnx(net)
    with tempfile.TemporaryDirectory() as place:  # the stored net is replaced only when all has succeeded
        new = Path(place) / cnn_detector.NET
        new.write_bytes(written)
        chosen = threshold(cnn_detector.loaded(new), choosing, folder, seed)
    about = {
        "sha256": fileio.sha256(written),
        **chosen,
        "rounds": rounds,
        "seed": seed,
        "backgrounds": synthetic_scenes.names(folder),
        "data": loading.describe(faces, VALENCE),
        "versions": runs.versions("tensorflow"),
    }
    path = cnn_detector.folder() / cnn_detector.NET
    fileio.write_atomic(path, written)
    fileio.write_json(cnn_detector.folder() / cnn_detector.INFO, about)
    return path


def threshold(
    net: cnn_detector.WindowNet, pixels: np.ndarray, folder: Path | None, seed: int
) -> dict[str, Any]:
    """The threshold of the best F1 in scenes of faces uint8[N,48,48], and the F1 of each.

    The scenes have the backgrounds of training; those for scoring are not used.
    """
    grounds = synthetic_scenes.backgrounds(folder, False)
    scenes = list(synthetic_scenes.scenes(pixels, grounds, CHOOSING, seed))
    f1 = {sure: score(_net(net, sure), scenes)["f1"] for sure in THRESHOLDS}
    return {"sure": max(f1, key=lambda sure: f1[sure]), "f1_by_threshold": f1}


def report(data: str | None, folder: Path | None, number: int) -> str:
    """Score COMPARED on scenes of PrivateTest faces and write the report; returns its table.

    Raises:
        InputError: the data, the pictures or the detector are missing.
    """
    faces = select_split(loading.labelled_faces(data), Split.PrivateTest)
    grounds = synthetic_scenes.backgrounds(folder, True)
    scenes = list(synthetic_scenes.scenes(faces.pixels, grounds, number, 1))
    scores = {name: score(_boxes(name), scenes) for name in COMPARED}
    about = {
        "scenes": number,
        "faces": int(sum(len(scene.boxes) for scene in scenes)),
        "source": faces.source,
        "backgrounds": synthetic_scenes.names(folder),
    }
    fileio.write_json(cnn_detector.folder() / SCORES, about | {"detectors": scores})
    text = markdown(about, scores)
    page = f"# Faces found in composed scenes\n\n{text}\n"
    fileio.write_atomic(cnn_detector.folder() / REPORT, page.encode())
    return text


def markdown(about: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """The table, and what was scored."""
    rows = [
        (name, accuracy(one["recall"]), accuracy(one["precision"]), f"{one['f1']:.2f}", f"{one['ms']:.0f}")
        for name, one in scores.items()
    ]
    header = ("--detector", "faces found", "boxes that are faces", "F1", "ms a scene")
    return (
        f"{about['faces']:,} PrivateTest faces of {about['source']} in {about['scenes']} scenes of "
        f"{synthetic_scenes.WIDTH}x{synthetic_scenes.HEIGHT} pixels, on halves of "
        f"{len(about['backgrounds'])} photographs (named in {SCORES}) and drawn clouds; a box counts as a "
        f"face from an intersection over union of {FOUND}.\n\n" + table(header, rows)
    )


def _net(net: cnn_detector.WindowNet, sure: float) -> Boxes:
    return lambda grey: cnn_detector.boxes(net, grey, sure)[0]


def _boxes(name: str) -> Boxes:
    find = detectors.create_detector(name)
    return lambda grey: np.array([face.box for face in find(grey)], float).reshape(-1, 4)


def score(find: Boxes, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Scores of a detector in scenes.

    Returns:
        recall, of the faces, and precision, of the boxes, each with n and interval; f1; ms for a scene.
    """
    hit: list[bool] = []
    right: list[bool] = []
    spent = 0.0
    for scene in scenes:
        started = time.perf_counter()
        boxes = find(scene.picture)
        spent += time.perf_counter() - started
        pairs = matched(overlap(boxes.reshape(-1, 4), scene.boxes), FOUND)
        right += [row in pairs for row in range(len(boxes))]
        hit += [column in pairs.values() for column in range(len(scene.boxes))]
    recall, precision = share(np.array(hit, bool)), share(np.array(right, bool))
    r, p = recall["accuracy"] or 0.0, precision["accuracy"] or 0.0
    return {
        "recall": recall,
        "precision": precision,
        "f1": 2 * r * p / (r + p) if r + p else 0.0,
        "ms": 1000 * spent / len(scenes),
    }
