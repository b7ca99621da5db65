"""What a flat net sees in faces: the features before its head, and its logits."""

from pathlib import Path

import numpy as np

from hierarchy.models import build, serialization


def described(path: Path, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features float32[N, F] and logits float32[N, classes] of faces uint8[N,48,48] by a stored net.

    Raises:
        InputError: the file is damaged.
    """
    body, head = build.split(serialization.load(path))
    features = body.predict(pixels, batch_size=serialization.CHUNK, verbose=0)
    return features, head.predict(features, batch_size=serialization.CHUNK, verbose=0)
