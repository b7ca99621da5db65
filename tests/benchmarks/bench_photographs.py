"""Where the time goes with photographs: processor time of each step by the size of the picture.

The samples are enlarged, one face each; the steps are those of `predict --save`, one after another.
"""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.processor import spread
from PIL import Image

from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import images
from hierarchy.inference import annotate
from hierarchy.inference.predictor import Picture, predict_stream
from hierarchy.vision import draw
from hierarchy.vision.detectors import create_detector

SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = ("astronaut.jpg", "portrait.jpg")
MEGAPIXELS = (0.3, 2, 12, 48)
ROUNDS = 3


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped run needs no export."""
    monkeypatch.setenv("HIERARCHY_HOME", str(SAMPLES.parent))


def enlarged(name: str, megapixels: float) -> bytes:
    """A sample as a JPEG file of a size."""
    with Image.open(SAMPLES / name) as picture:
        scale = (1e6 * megapixels / (picture.width * picture.height)) ** 0.5
        size = round(picture.width * scale), round(picture.height * scale)
        file = io.BytesIO()
        picture.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def steps(model: HierarchicalClassifier, data: bytes) -> dict[str, float]:
    """Milliseconds of processor time, of all threads together, by step."""
    spent: dict[str, float] = {}

    def timed(step: str, function: Callable[[], Any]) -> Any:
        before = time.process_time()
        result = function()
        spent[step] = 1000 * (time.process_time() - before)
        return result

    find = create_detector()
    find(np.zeros((300, 400), np.uint8))  # opens it
    grey = timed("decode", lambda: images.read(data))
    faces = timed("detect and align", lambda: find(grey))
    timed("answer", lambda: model.predict_proba(np.stack([face.pixels for face in faces])))
    answers = list(predict_stream(model, [Picture("photograph", grey)], find=lambda grey: faces))
    notes = [note for answer in answers if (note := annotate.note(answer, None))]
    timed("draw", lambda: draw.png(draw.annotated(images.read(data, colour=True), notes)))
    return spent


@pytest.mark.parametrize("megapixels", MEGAPIXELS)
def test_a_photograph(all_cores, rounds, figures, megapixels):
    model = HierarchicalClassifier.load()
    model.predict(np.zeros((1, images.SIDE, images.SIDE), np.uint8))
    found = [steps(model, enlarged(name, megapixels)) for _ in range(rounds(ROUNDS)) for name in NAMES]
    figures.setdefault("photographs", {})[f"{megapixels:g}"] = {
        step: spread([each[step] for each in found]) for step in found[0]
    }
