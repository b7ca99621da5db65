"""The peer `fer` on the same faces, run by a separate Python where it is installed.

Its nets are called directly, with crops enlarged to their 64 pixels: its face detector finds no face in such
crops.
"""

import json
import statistics
import sys
import time

import cv2
import numpy as np
from fer.fer import FER


def batch_of(faces: np.ndarray) -> np.ndarray:
    """uint8[N,48,48] -> float32[N,64,64] in [-1, 1], as its own preprocessing gives."""
    large = np.array([cv2.resize(face, (64, 64)) for face in faces], "float32")
    return (large / 255.0 - 0.5) * 2.0


def milliseconds(peer: FER, faces: np.ndarray, rounds: int = 20) -> float:
    """Of a face, in the median."""
    times = []
    for _ in range(rounds + 2):
        started = time.perf_counter()
        peer._classify_emotions(batch_of(faces))
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[2:]) / len(faces)


if __name__ == "__main__":
    path = sys.argv[1]
    if path.endswith(".npz"):
        peer, faces = FER(), np.load(path)["pixels"]
        speeds = {str(batch): milliseconds(peer, faces[:batch]) for batch in (1, 64)}
        names = list(FER._get_labels().values())
        shares = np.concatenate(
            [
                peer._classify_emotions(batch_of(faces[start : start + 64]))
                for start in range(0, len(faces), 64)
            ]
        )
        print(json.dumps({"ms": speeds, "names": names, "shares": np.round(shares, 6).tolist()}))
    else:
        print(FER().detect_emotions(cv2.imread(path)))
