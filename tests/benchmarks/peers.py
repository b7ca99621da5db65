"""The peers on the same faces, run by a separate Python where they are installed.

    python peers.py "fer 25.10.3" faces.npz | photo.jpg

Their nets are called directly, with crops prepared as their packages do: their face detectors find no face in
such crops.
"""

import json
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

Shares = Callable[[np.ndarray], np.ndarray]  # uint8[N,48,48] -> float[N,K]
MANY = 64  # faces at once


def fer() -> tuple[list[str], Shares]:
    """mini-XCEPTION of crops enlarged to 64 pixels, float32 in [-1, 1]."""
    from fer.fer import FER

    peer = FER()

    def shares(faces: np.ndarray) -> np.ndarray:
        large = np.array([cv2.resize(face, (64, 64)) for face in faces], "float32")
        return np.asarray(peer._classify_emotions((large / 255.0 - 0.5) * 2.0))

    return list(FER._get_labels().values()), shares


def facex() -> tuple[list[str], Shares]:
    """A net for crops enlarged to 200 pixels, which takes one face at a time."""
    from pathlib import Path

    import facex.core

    peer = facex.core.EmotionClassifier(
        str(Path(facex.core.__file__).parent / "assets" / "model_optimized.tflite")
    )
    return peer.category, lambda faces: np.array([list(peer.detect_emotion(face).values()) for face in faces])


PEERS = {"fer": fer, "facex": facex}


def milliseconds(shares: Shares, faces: np.ndarray) -> list[float]:
    """Of a face, in each of the rounds: as many as take two seconds, at least five."""
    times: list[float] = []
    shares(faces)  # warms up
    end = time.perf_counter() + 2
    while time.perf_counter() < end or len(times) < 5:
        started = time.perf_counter()
        shares(faces)
        times.append(1000 * (time.perf_counter() - started) / len(faces))
    return times


def answered(shares: Shares, names: list[str], faces: np.ndarray) -> dict:
    """The rounds by faces at once, and the shares of all faces."""
    speeds = {str(batch): milliseconds(shares, faces[:batch]) for batch in (1, MANY)}
    parts = [shares(faces[start : start + MANY]) for start in range(0, len(faces), MANY)]
    return {"ms": speeds, "names": names, "shares": np.round(np.concatenate(parts), 6).tolist()}


if __name__ == "__main__":
    name, path = sys.argv[1].split()[0], sys.argv[2]
    if path.endswith(".npz"):
        names, shares = PEERS[name]()
        print(json.dumps(answered(shares, names, np.load(path)["pixels"])))
    else:  # the whole way of a photograph
        from fer.fer import FER

        print(FER().detect_emotions(cv2.imread(path)))
