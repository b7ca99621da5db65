"""Rewrite golden.npz: drawn faces, and the logits of every net of the shipped run for them.

Only needed when the shipped weights change: `.venv/bin/python tests/golden/make.py`.
"""

from pathlib import Path

import numpy as np

from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.synthetic.sketch import sketch_faces

FACES = 16

if __name__ == "__main__":
    pixels = sketch_faces(FACES, seed=1).pixels
    classifier = HierarchicalClassifier.load(engine="keras")
    logits = {node: classifier.logits(node, pixels) for node in classifier.nets_}
    np.savez_compressed(Path(__file__).with_name("golden.npz"), pixels=pixels, **logits)
