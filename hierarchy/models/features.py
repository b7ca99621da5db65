"""What a flat net sees in faces: the features before its head, and its logits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hierarchy.models import build, serialization


def describer(path: Path) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A stored net: from faces uint8[N,48,48] to features float32[N, F] and logits float32[N, classes].

    Raises:
        InputError: the file is damaged.
    """
    body, head = build.split(serialization.load(path))

    def described(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = body.predict(pixels, batch_size=serialization.CHUNK, verbose=0)
        return features, head.predict(features, batch_size=serialization.CHUNK, verbose=0)

    return described
