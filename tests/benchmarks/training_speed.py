"""Faces a second while training: our net on each Keras backend beside the same net in plain PyTorch.

    .venv/bin/pip install -r requirements-backends.txt
    .venv/bin/python tests/benchmarks/training_speed.py

Each row is a process of its own, so that one library's threads do not slow another's; rows take turns, and
the median of three rounds counts. Keras rows augment as they train, PyTorch's faces lie ready. Only ratios
travel between machines. Ten minutes on two cores; results/benchmarks.json is written.
"""

import json
import os
import statistics
import subprocess
import sys
import time

BATCHES, WARM_UP, BATCH, ROUNDS = 24, 4, 64, 3
PRECISIONS = ("float32", "bfloat16")
BACKENDS = {"Keras on TensorFlow": "tensorflow", "Keras on JAX": "jax", "Keras on PyTorch": "torch"}
PEER = "PyTorch, channels last"
ROWS = {
    **{f"{name}, {kind}": (backend, kind) for kind in PRECISIONS for name, backend in BACKENDS.items()},
    **{f"{PEER}, {kind}": ("", kind) for kind in PRECISIONS},
}


def keras_rate(precision: str) -> float:
    """Faces a second of `fit` with the recipe `short`, augmentation included."""
    from hierarchy.nets import backend

    backend.start()
    import numpy as np

    from hierarchy import recipes, runs
    from hierarchy.data.faces import Split
    from hierarchy.data.sketch import sketch_faces
    from hierarchy.fitting.framework import Task
    from hierarchy.fitting.lessons import lessons
    from hierarchy.nets import train
    from hierarchy.nets.batches import Batches
    from hierarchy.settings import with_settings

    recipe = with_settings(recipes.short(), [f"fit.precision={precision}"])
    faces = sketch_faces(BATCH * BATCHES * 2).of(Split.Training).for_node("flat")
    told = lessons(faces.take(np.arange(BATCH * BATCHES)), "flat", recipe.fit)
    batches = Batches(told, recipe.fit, recipe.augment, seed=0)
    task = Task("flat", recipe, recipe.fit, 0, runs.run("none"), faces, faces, {})
    trainee = train._compiled(train.trainable(task), task, len(batches))
    trainee.fit(batches, verbose=0)
    started = time.perf_counter()
    trainee.fit(batches, verbose=0)
    return BATCH * BATCHES / (time.perf_counter() - started)


def torch_rate(precision: str) -> float:
    """Faces a second of the same net, loss and optimizer, on faces that lie ready."""
    import torch
    from torch import nn

    from hierarchy import recipes

    layers: list[nn.Module] = []
    before = 1
    for stage in recipes.short().net.stages:
        for width in stage:
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        layers.append(nn.MaxPool2d(2))
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(before, 6))
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    faces = torch.rand(BATCH, 1, 44, 44).contiguous(memory_format=torch.channels_last)
    target = torch.randint(0, 6, (BATCH,))
    for step in range(WARM_UP + BATCHES):
        if step == WARM_UP:
            started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = net(faces)
        nn.functional.cross_entropy(logits.float(), target, label_smoothing=0.1).backward()
        optimizer.step()
    return BATCH * BATCHES / (time.perf_counter() - started)


def main() -> None:
    """Measure every row in turn, print the table and write it."""
    from hierarchy import runs

    rounds = [{name: measured(*setting) for name, setting in ROWS.items()} for _ in range(ROUNDS)]
    rates = {name: statistics.median(row[name] for row in rounds) for name in ROWS}
    table = {
        name: {"faces_per_second": rate, "of_pytorch": rate / rates[f"{PEER}, float32"]}
        for name, rate in rates.items()
    }
    for name, row in table.items():
        print(
            f"{name:<34} {row['faces_per_second']:7.0f} faces/s   {row['of_pytorch']:.2f} of PyTorch, float32"
        )
    runs.write_json(runs.home() / "results" / "benchmarks.json", {"training_speed": table, "rounds": rounds})


def measured(backend: str, precision: str) -> float:
    """Faces a second of one row, in a process of its own."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "KERAS_BACKEND": backend}
    command = [sys.executable, __file__, "keras" if backend else "torch", precision]
    out = subprocess.run(command, env=environment, capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stderr)
    return json.loads(out.stdout.splitlines()[-1])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps({"keras": keras_rate, "torch": torch_rate}[sys.argv[1]](sys.argv[2])))
    else:
        main()
