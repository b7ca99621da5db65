"""Milliseconds a face of every stored run: TensorFlow beside PyTorch, one face and 64 at once.

    .venv/bin/pip install -r requirements-torch.txt
    .venv/bin/python tests/benchmarks/inference_speed.py

Each measurement is a separate process on the framework that the run was trained with; the default run's
Keras nets are measured on both. Processes take turns, and the median of three rounds is taken.
results/benchmarks.json is written, and `compare` reads it.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]  # where pt_files is
ROUNDS, SECONDS = 3, 1.5
BATCHES = (1, 64)
SIDES = ("Keras", "PyTorch")


def measure(run: str, side: str) -> dict[str, dict[str, float]]:
    """Answer -> batch -> milliseconds a face, of one run's tree and flat net."""
    import numpy as np

    from hierarchy.classifier import HierarchicalClassifier
    from hierarchy.data.synthetic.sketch import sketch_faces
    from hierarchy.models.keras_backend import KERAS_BACKEND
    from hierarchy.reports.captions import NAMES, SOFT
    from hierarchy.runtimes import own_name
    from hierarchy.taxonomy import FLAT
    from pt_files.torch_backend import TORCH_BACKEND

    backend = TORCH_BACKEND if side == "PyTorch" else KERAS_BACKEND
    model = HierarchicalClassifier.load(run, backend, own_name(backend))  # not an exported engine
    faces = sketch_faces(max(BATCHES)).pixels

    def predict(nodes: tuple[str, ...], batch: int) -> Callable[[], list[np.ndarray]]:
        return lambda: [model.logits(node, faces[:batch]) for node in nodes]

    answers = {NAMES[SOFT]: model.tree_.nodes, NAMES[FLAT]: (FLAT,)}
    return {
        name: {str(batch): 1000 * seconds(predict(nodes, batch)) / batch for batch in BATCHES}
        for name, nodes in answers.items()
        if set(nodes) <= model.nets_.keys()
    }


def seconds(work: Callable[[], object]) -> float:
    """The median time of one call, after two to warm up."""
    work(), work()
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measured(run: str, side: str) -> dict[str, dict[str, float]]:
    """One run on one side, in a separate process."""
    environment = {
        **os.environ,
        "OMP_WAIT_POLICY": "PASSIVE",
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, __file__, run, side]
    out = subprocess.run(command, env=environment, capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stderr)
    return json.loads(out.stdout.splitlines()[-1])


def median(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Each figure's median over rounds."""
    return {
        answer: {batch: statistics.median(each[answer][batch] for each in rounds) for batch in speeds}
        for answer, speeds in rounds[0].items()
    }


def main() -> None:
    """Measure every run that has its nets, print the figures and write them."""
    from hierarchy import runs
    from hierarchy.evaluation import benchmarks

    sys.path.append(str(ROOT / "tests"))
    from benchmarks import report

    names = [name for name in runs.names() if whole(runs.run(name))]
    homes = {name: runs.run(name).manifest().framework for name in names}
    rows = [(name, homes[name]) for name in names] + [(runs.DEFAULT_RUN, SIDES[1])]
    rounds = [{row: measured(*row) for row in rows} for _ in range(ROUNDS)]
    speeds = {row: median([each[row] for each in rounds]) for row in rows}
    for (name, side), answers in speeds.items():
        print(f"{name:<12} {side:<8} {json.dumps(answers)}")
    report.write(
        {
            benchmarks.SPEED: {name: speeds[name, homes[name]] for name in names},
            benchmarks.SAME: {side: speeds[runs.DEFAULT_RUN, side] for side in SIDES},
        }
    )


def whole(run: object) -> bool:
    """Whether the files of a run's nets exist; of trials, only predictions are stored."""
    return all((run.folder / net.file).is_file() for net in run.manifest().nets.values())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(*sys.argv[1:])))
    else:
        main()
