"""TensorFlow, JAX and PyTorch read the same nets to the same logits, and each of them trains."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from hierarchy.config.schema import VGGConfig
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.models import keras_setup, serialization, vgg
from hierarchy.taxonomy import FLAT, VALENCE

SCRIPT = """
import sys
import numpy as np
from pathlib import Path
from hierarchy.config import recipes
from hierarchy.config.overrides import with_settings
from hierarchy.models import keras_setup
keras_setup.start()
import keras
from hierarchy.data.dataset import Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.training.train import train
from hierarchy.models import serialization
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.runs import Run
folder = Path(sys.argv[1])
logits = serialization.Lazy(folder / "net.keras")(sketch_faces(70).pixels)
recipe = with_settings(recipes.SKETCH, ["net.stages=[[4],[8]]", "fit.epochs=2", "fit.ema=0.9"])
run = Run("b", folder / keras.backend.backend(), folder / (keras.backend.backend() + "-logs"))
identity = {"recipe": recipe.as_dict()}
train(run, sketch_faces(300), recipe, nodes=("flat",), identity=identity, backend=KERAS_BACKEND)
trained = serialization.Lazy(run.net("flat"))(sketch_faces(70).pixels)
assert np.isfinite(trained).all()
np.save(folder / (keras.backend.backend() + ".npy"), logits)
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backends")
    (folder / "net.keras").write_bytes(
        serialization.to_bytes(vgg.build(VALENCE, FLAT, VGGConfig(stages=((8, 8), (16,)))))
    )
    return folder


@pytest.mark.long
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_backend_gives_the_same_logits_and_trains(net, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install -r requirements-backends.txt")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", SCRIPT, str(net)], env=environment, check=True)
    here = serialization.Lazy(net / "net.keras")(sketch_faces(70).pixels)
    np.testing.assert_allclose(np.load(net / f"{backend}.npy"), here, atol=1e-4)


def test_keras_runs_on_what_is_installed(monkeypatch, logged):
    monkeypatch.setenv("KERAS_BACKEND", "")  # so that it is restored
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorflow" else name)
    keras_setup.start()
    assert os.environ["KERAS_BACKEND"] == "torch"
    assert logged.messages == ["Keras runs on torch: tensorflow is not installed"]
