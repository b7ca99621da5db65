"""Predictions of the service: images through threads that decode and detect, faces through shared nets."""

import asyncio
import json
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final

import numpy as np

from hierarchy.apps.rest.batching import MicroBatcher
from hierarchy.apps.rest.metrics import Metrics
from hierarchy.apps.rest.settings import Settings
from hierarchy.apps.rest.uploads import Refusal, Upload
from hierarchy.data.images import KINDS, SIDE
from hierarchy.errors import InputError, SkippedImage
from hierarchy.inference.faces import predict_image
from hierarchy.inference.predictor import BATCH, Picture, Predictor
from hierarchy.vision.align import DetectedFace
from hierarchy.vision.detectors import Detector, create_detector

OK: Final = 200
log = logging.getLogger(__name__)


class PredictionService:
    """Answers images; `close` it at the end.

    Args:
        settings: limits, threads, detector.
        model: with nets; they are run once here, so that the first request is as quick as later ones.
        metrics: that are counted.

    Raises:
        InputError: the detector or the nets cannot be opened.
    """

    def __init__(self, settings: Settings, model: Predictor, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        create_detector(settings.detector, settings.searching)
        model.predictions(np.zeros((BATCH, SIDE, SIDE), np.uint8))
        self.batcher = MicroBatcher(model, metrics.batches.observe)
        self.own = threading.local()  # a detector per thread: YuNet is not thread-safe
        self.pool = ThreadPoolExecutor(settings.workers, "images", self._start)

    def _start(self) -> None:
        self.own.find = create_detector(self.settings.detector, self.settings.searching)

    def close(self) -> None:
        """Finish the images that are being predicted, then end all threads."""
        self.pool.shutdown(cancel_futures=True)
        self.batcher.close()

    async def answers(self, uploads: Sequence[Upload], min_confidence: float) -> list[dict[str, Any]]:
        """The answer to every image, as `schemas.ImageAnswer`, in order."""
        return list(await asyncio.gather(*(self._answer(upload, min_confidence) for upload in uploads)))

    async def _answer(self, upload: Upload, min_confidence: float) -> dict[str, Any]:
        loop, limit = asyncio.get_running_loop(), self.settings.timeout
        status, error, faces = OK, None, []
        try:
            async with asyncio.timeout(limit):
                faces = await loop.run_in_executor(self.pool, self._faces, upload, min_confidence)
        except TimeoutError:
            status, error = 503, f"not predicted within {limit:g} s; try again later"
        except InputError as refusal:
            status = refusal.status if isinstance(refusal, Refusal) else 422
            error = str(refusal)
        except Exception:  # a fault of ours is that of one image
            log.exception("fault")
            status, error = 500, "internal error; see the log"
        self.metrics.images.labels(status).inc()
        self.metrics.faces.inc(len(faces))
        return {"name": upload.name, "status": status, "error": error, "faces": faces}

    def _faces(self, upload: Upload, min_confidence: float) -> list[dict[str, Any]]:
        """The faces of an image; runs in a thread of the pool.

        Raises:
            InputError: it cannot be read, or is over a limit.
        """
        if isinstance(upload.data, Refusal):
            raise upload.data
        _check_pixels(upload.data, self.settings.max_pixels)
        refusals: list[Refusal] = []
        detect: Detector = self.own.find  # `find` runs in another thread, but in one at a time

        def find(grey: np.ndarray) -> list[DetectedFace]:
            faces = detect(grey)
            if len(faces) > self.settings.max_faces:
                refusals.append(Refusal(413, f"{len(faces)} faces; at most {self.settings.max_faces}"))
                raise refusals[0]
            return faces

        try:
            found = predict_image(self.batcher, Picture(upload.name, upload.data), find, min_confidence)
        except InputError as error:
            if refusals:
                raise refusals[0] from None
            if isinstance(error, SkippedImage) and error.__cause__:  # was not expected
                raise error.__cause__ from None
            raise
        return [_face(prediction.as_json()) for prediction in found if prediction.face is not None]


def _face(line: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(line)
    del values["path"]
    return values


def _check_pixels(data: bytes, most: int) -> None:
    """Refuse an image whose header says more pixels than allowed; what has no header is left to `images`.

    Raises:
        Refusal: too many pixels.
    """
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=KINDS) as picture:
            pixels = picture.width * picture.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pixels = most + 1
    except Exception:  # decoders raise nearly any exception on damaged bytes
        return
    if pixels > most:
        raise Refusal(413, f"more than {most:,} pixels")
