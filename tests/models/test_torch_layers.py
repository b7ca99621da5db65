"""The layers for training on PyTorch give the results of Keras' layers, in training and inference."""

import importlib.util
import os
import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
from hierarchy.models import keras_setup
keras_setup.start()
import keras
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.models import build, torch_layers, vgg
from hierarchy.config.schema import VGGConfig
from hierarchy.taxonomy import VALENCE

keras.utils.set_random_seed(1)
recipe = VGGConfig(stages=((8, 8), (16,)), padding=PADDING, batch_norm=NORM, dense=(8,), dropout=0.0)
stock = vgg.build(VALENCE, "flat", recipe)
fast = torch_layers.of(stock)
faces = sketch_faces(70)
classes = len(VALENCE.leaves)
target = keras.utils.to_categorical(faces.label % classes, classes)
np.testing.assert_allclose(fast.predict(faces.pixels), stock.predict(faces.pixels), atol=1e-4)
kinds = {type(layer) for layer in fast.layers}
assert torch_layers.Conv2D in kinds and torch_layers.MaxPooling2D in kinds
assert (torch_layers.BatchNormalization in kinds) == NORM
before = stock.get_weights()
for net in (stock, fast):
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.SGD(0.1), loss)
    net.train_on_batch(faces.pixels, target)
assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, stock.get_weights(), strict=True))
for ours, theirs in zip(fast.get_weights(), stock.get_weights(), strict=True):
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
build.freeze(fast)
frozen = [layer.get_weights() for layer in fast.layers if not layer.trainable]
fast.compile(keras.optimizers.SGD(0.1), loss)
fast.train_on_batch(faces.pixels, target)
again = [layer.get_weights() for layer in fast.layers if not layer.trainable]
assert all(np.array_equal(a, b) for old, new in zip(frozen, again) for a, b in zip(old, new))
"""


@pytest.mark.parametrize(("padding", "norm"), [("same", True), ("valid", False)])
def test_a_step_of_training_gives_the_weights_that_keras_layers_get(padding, norm):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed: pip install -r requirements-backends.txt")
    script = SCRIPT.replace("PADDING", repr(padding)).replace("NORM", repr(norm))
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "KERAS_BACKEND": "torch"}, check=True)
