"""Faces a second while training: our net on each Keras backend beside the same net in plain PyTorch.

    .venv/bin/pip install -r requirements-backends.txt
    .venv/bin/python tests/benchmarks/training_speed.py

Each row is a process of its own, so that one library's threads do not slow another's. Only the ratios travel
between machines. Written for two cores; takes about two minutes.
"""

import json
import os
import subprocess
import sys
import time

BATCHES, WARM_UP, BATCH = 24, 4, 64
ROWS = {
    "Keras on TensorFlow, XLA": {"KERAS_BACKEND": "tensorflow"},
    "Keras on JAX": {"KERAS_BACKEND": "jax"},
    "Keras on PyTorch": {"KERAS_BACKEND": "torch"},
    "PyTorch, channels last": {},
}


def keras_rate() -> float:
    """Faces a second of `fit` with the recipe `short`, augmentation included."""
    from hierarchy.nets import backend

    backend.start()
    import numpy as np

    from hierarchy import recipes, runs
    from hierarchy.data.faces import Split
    from hierarchy.data.sketch import sketch_faces
    from hierarchy.nets import train, vgg
    from hierarchy.nets.batches import Batches

    recipe = recipes.short()
    faces = sketch_faces(BATCH * BATCHES * 2).of(Split.Training).for_node("flat")
    batches = Batches(faces.take(np.arange(BATCH * BATCHES)), "flat", recipe.fit, recipe.augment, seed=0)
    task = train.Task("flat", recipe, recipe.fit, 0, runs.run("none"))
    trainee = train._compiled(vgg.build("flat", recipe.net), task, len(batches))
    trainee.fit(batches, verbose=0)
    started = time.perf_counter()
    trainee.fit(batches, verbose=0)
    return BATCH * BATCHES / (time.perf_counter() - started)


def torch_rate() -> float:
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
        nn.functional.cross_entropy(net(faces), target, label_smoothing=0.1).backward()
        optimizer.step()
    return BATCH * BATCHES / (time.perf_counter() - started)


def main() -> None:
    """Measure every row and print the table."""
    rates = {}
    for name, setting in ROWS.items():
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **setting}
        kind = "keras" if setting else "torch"
        out = subprocess.run(
            [sys.executable, __file__, kind], env=environment, capture_output=True, text=True
        )
        if out.returncode:
            sys.exit(out.stderr)
        rates[name] = json.loads(out.stdout.splitlines()[-1])
    reference = rates["PyTorch, channels last"]
    for name, rate in rates.items():
        print(f"{name:<26} {rate:7.0f} faces/s   {rate / reference:.2f} of PyTorch")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(keras_rate() if sys.argv[1] == "keras" else torch_rate()))
    else:
        main()
