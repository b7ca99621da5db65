"""Faces a second while training: one recipe on each Keras backend, in the PyTorch mirror, and from files.

    .venv/bin/pip install -r requirements-backends.txt
    .venv/bin/python tests/benchmarks/training_speed.py [ROUNDS]

Each row is a separate process, so that one library's threads do not slow another's; rows take turns, and the
median of the rounds is taken, three by default. All augment while training. Only ratios can be compared
between machines. Two minutes for a round on two cores; results/benchmarks.json is written. bfloat16 is
measured where the processor supports it.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hierarchy.config.schema import Recipe, TrainConfig
from hierarchy.data.dataset import FaceDataset
from hierarchy.training.precision import arithmetic

ROOT = Path(__file__).parents[2]  # where pt_files is
BATCHES, BATCH, ROUNDS = 24, 64, 3
WANTED = [TrainConfig(precision=name) for name in ("float32", "bfloat16")]
PRECISIONS = dict.fromkeys(arithmetic(fit, accelerated=False) for fit in WANTED)
BACKENDS = {"Keras on TensorFlow": "tensorflow", "Keras on JAX": "jax", "Keras on PyTorch": "torch"}
PEER = "PyTorch mirror"
FILES = "Keras on TensorFlow, ImageDataGenerator from files"  # as the earlier system was trained
ROWS = {
    **{f"{name}, {kind}": (backend, kind) for kind in PRECISIONS for name, backend in BACKENDS.items()},
    **{f"{PEER}, {kind}": ("", kind) for kind in PRECISIONS},
    FILES: ("files", "float32"),
}
WORKERS = {"": "torch", "files": "files"}  # the others are Keras backends


def keras_rate(precision: str) -> float:
    """Faces a second of `fit` with the recipe `short`, augmentation included."""
    from hierarchy.models import keras_setup

    keras_setup.start()
    from hierarchy import runs
    from hierarchy.models import trainer
    from hierarchy.models.dataloader import KerasDataset
    from hierarchy.taxonomy import VALENCE
    from hierarchy.training.backend import TrainTask
    from hierarchy.training.targets import node_dataset

    recipe, faces = work(precision)
    batches = KerasDataset(
        node_dataset(faces, VALENCE, "flat", recipe.fit), recipe.fit, recipe.augment, seed=0
    )
    task = TrainTask("flat", recipe, recipe.fit, 0, runs.run("none"), faces, faces, {})
    trainee = trainer._compiled(trainer.trainable(task), task, len(batches))
    return rate(lambda: trainee.fit(batches, verbose=0))


def files_rate(precision: str) -> float:
    """Faces a second of the same net when images are read from folders and augmented one by one."""
    from hierarchy.models import keras_setup

    keras_setup.start()
    import tempfile

    import keras
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    from hierarchy.data.formats import registry
    from hierarchy.models import build
    from hierarchy.taxonomy import VALENCE

    recipe, faces = work(precision)
    pixels = keras.Input((48, 48, 1))
    net = build.build(VALENCE, "flat", recipe.net)
    trainee = keras.Model(pixels, net(keras.ops.cast(pixels[..., 0], "uint8")))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    trainee.compile(keras.optimizers.SGD(recipe.fit.learning_rate, 0.9, nesterov=True), loss)
    with tempfile.TemporaryDirectory() as place:
        folder = registry.export(faces, Path(place) / "faces", "folders")
        augmented = ImageDataGenerator(
            rotation_range=10, width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True
        )
        batches = augmented.flow_from_directory(
            folder / "train", (48, 48), "grayscale", list(VALENCE.leaves), batch_size=BATCH
        )
        return rate(lambda: trainee.fit(batches, verbose=0))


def torch_rate(precision: str) -> float:
    """Faces a second of the mirror's loop on the same faces."""
    from hierarchy import runs
    from hierarchy.training.backend import TrainTask
    from pt_files.trainer import Fitting

    recipe, faces = work(precision)
    fitting = Fitting(TrainTask("flat", recipe, recipe.fit, 0, runs.run("none"), faces, faces, {}))
    fitting.net.train()

    def epoch() -> None:
        for step in range(BATCHES):
            fitting._step(recipe.fit.learning_rate, *fitting.epochs[step])

    return rate(epoch)


def rate(epoch: Callable[[], object]) -> float:
    """Faces a second of the second of two epochs."""
    epoch()
    started = time.perf_counter()
    epoch()
    return BATCH * BATCHES / (time.perf_counter() - started)


def work(precision: str) -> tuple[Recipe, FaceDataset]:
    """The recipe `short`, and drawn faces that fill an epoch's batches."""
    import numpy as np

    from hierarchy.config import recipes
    from hierarchy.config.overrides import with_settings
    from hierarchy.data.dataset import Split
    from hierarchy.data.synthetic.sketch import sketch_faces
    from hierarchy.taxonomy import VALENCE

    recipe = with_settings(recipes.SHORT, [f"fit.precision={precision}"])
    faces = sketch_faces(BATCH * BATCHES * 2).of(Split.Training).for_node(VALENCE, "flat")
    return recipe, faces.take(np.arange(BATCH * BATCHES))


def main(rounds_wanted: int = ROUNDS) -> None:
    """Measure every row in turn, print the table and write it."""
    from hierarchy.evaluation import benchmarks

    sys.path.append(str(ROOT / "tests"))
    from benchmarks import report

    rounds = [{name: measured(*setting) for name, setting in ROWS.items()} for _ in range(rounds_wanted)]
    rates = {name: statistics.median(row[name] for row in rounds) for name in ROWS}
    table = {
        name: {"faces_per_second": rate, "of_pytorch": rate / rates[f"{PEER}, float32"]}
        for name, rate in rates.items()
    }
    for name, row in table.items():
        print(f"{name:<34} {row['faces_per_second']:7.0f} faces/s   {row['of_pytorch']:.2f} of the mirror")
    report.write({benchmarks.TRAINED: table, "rounds": rounds})


def measured(backend: str, precision: str) -> float:
    """Faces a second of one row, in a separate process."""
    environment = {
        **os.environ,
        "OMP_WAIT_POLICY": "PASSIVE",
        "KERAS_BACKEND": "tensorflow" if backend in WORKERS else backend,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, __file__, WORKERS.get(backend, "keras"), precision]
    out = subprocess.run(command, env=environment, capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stderr)
    return json.loads(out.stdout.splitlines()[-1])


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(
            json.dumps(
                {"keras": keras_rate, "torch": torch_rate, "files": files_rate}[sys.argv[1]](sys.argv[2])
            )
        )
    else:
        main(*map(int, sys.argv[1:]))
