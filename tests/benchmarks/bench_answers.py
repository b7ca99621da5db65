"""Prediction speed of every engine, of Keras and of the peers, from one face to a folder.

`make bench` runs most of it on all cores; `make bench-all` the whole, on one core too. FER2013_DIR, where
it is set, adds accuracy; FER_PYTHON, a Python that has the peers, adds them.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import frontier, report
from benchmarks.frontier import PEERS
from benchmarks.processor import spread
from threadpoolctl import threadpool_limits

from hierarchy import runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import images
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.evaluation.benchmarks import name_of as title_of
from hierarchy.evaluation.statistics import share
from hierarchy.evaluation.systems import cost
from hierarchy.runtimes import exported_nodes
from hierarchy.taxonomy import FLAT, VALENCE, spelling
from hierarchy.vision.video_writer import Writer

ROOT = Path(__file__).parents[2]
DOOR = [sys.executable, str(ROOT / "tf_model.py")]
SAMPLE = str(ROOT / "samples" / "grace_hopper.png")  # a crop
PHOTOGRAPH = str(ROOT / "samples" / "astronaut.jpg")
FER_PYTHON = os.environ.get("FER_PYTHON")
CASES = [  # run and engine; Keras last, so that TensorFlow's threads do not slow the others
    *((run, engine) for run in frontier.stored() for engine in frontier.engines(run)),
    (runs.DEFAULT_RUN, "keras"),
]
SIDE = 2048  # of the matrices whose product gives the speed of the cores
COPIED = 1 << 28  # bytes, more than most caches hold
LONG = pytest.mark.long  # only of `make bench-all`
FILES = (100, 1_000, *(pytest.param(files, marks=LONG) for files in (10_000, 100_000)))
SHORT = 500  # frames
VIDEOS = {  # options and number of frames
    "video": ([], SHORT),
    "video, twenty times as long": ([], 20 * SHORT),
    "video --out --csv": (["--out", "out.mp4", "--csv", "out.csv"], SHORT),
    "video --frame-step 2": (["--frame-step", "2"], SHORT),
    "video --engine onnx-int8": (["--engine", "onnx-int8"], SHORT),
}

needs_peer = pytest.mark.skipif(not FER_PYTHON, reason="FER_PYTHON names no Python that has the peers")
needs_faces = pytest.mark.skipif(not os.environ.get("FER2013_DIR"), reason="no FER2013_DIR")


@pytest.fixture(scope="session")
def faces() -> np.ndarray:
    return sketch_faces(int(report.MANY)).pixels


@pytest.fixture(scope="session")
def private_test() -> FaceDataset:
    from hierarchy.data import loading

    faces = loading.labelled_faces(None).of(Split.PrivateTest)
    return faces.take(faces.target(VALENCE, FLAT) >= 0)


@pytest.fixture
def here(figures, cores):
    return figures.setdefault("answering", {}).setdefault(cores, {"ms": {}})


def test_arithmetic(benchmark, rounds, cores, here):
    a, b = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)
    with threadpool_limits(int(cores)):
        benchmark.pedantic(np.matmul, (a, b), rounds=rounds(10), warmup_rounds=2)
    default = runs.run(runs.DEFAULT_RUN)
    here["gmac"], here["megabytes"] = gmac(default), 4e-6 * nets_of(default)["parameters"]
    here["gmac_per_second"] = SIDE**3 / benchmark.stats.stats.min / 1e9
    here["limit_ms"] = 1000 * here["gmac"] / here["gmac_per_second"]


def test_memory(benchmark, rounds, cores, here):
    parts = np.zeros((2, int(cores), COPIED // int(cores)), np.uint8)
    with ThreadPoolExecutor(int(cores)) as pool:

        def copy() -> None:
            list(pool.map(np.copyto, *parts))

        benchmark.pedantic(copy, rounds=rounds(10), warmup_rounds=2)
    here["gigabytes_per_second"] = parts.nbytes / benchmark.stats.stats.min / 1e9


def nets_of(run: runs.Run) -> dict[str, float]:
    """Weights and multiplications of the nets that answer."""
    manifest = run.manifest()
    return cost([manifest.nets[node] for node in exported_nodes(manifest)])


def gmac(run: runs.Run) -> float:
    """Billions of multiplications for a face."""
    return nets_of(run)["gmac"]


def name_of(run: str, engine: str) -> str:
    return report.REFERENCE if engine == "keras" else title_of(run, engine)


@pytest.mark.parametrize("key", [report.ONE, report.MANY, report.LAZY])
@pytest.mark.parametrize(("run", "engine"), CASES)
def test_a_face(benchmark, rounds, here, faces, run, engine, key):
    model = HierarchicalClassifier.load(run, engine=engine)
    batch = faces[: 1 if key == report.ONE else len(faces)]
    predict = model.lazy if key == report.LAZY else model.predictions
    benchmark.pedantic(predict, (batch,), rounds=rounds(15 if len(batch) > 1 else 100), warmup_rounds=3)
    own = here["ms"].setdefault(name_of(run, engine), {})
    own[key] = spread([1000 * seconds / len(batch) for seconds in benchmark.stats.stats.data])
    own["limit_ms"] = 1000 * gmac(model.run_) / here["gmac_per_second"]


@needs_peer
@pytest.mark.parametrize("name", PEERS)
def test_a_face_of_a_peer(here, faces, tmp_path, name):
    speeds = peer(name, faces, tmp_path)["ms"]
    here["ms"][name] = {batch: spread(times) for batch, times in speeds.items()}


def peer(name: str, faces: np.ndarray, folder: Path) -> dict:
    np.savez(folder / "faces.npz", pixels=faces)
    script = str(Path(__file__).with_name("peers.py"))
    command = [FER_PYTHON, script, name, str(folder / "faces.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@needs_faces
@pytest.mark.parametrize(("run", "engine"), CASES)
def test_accuracy(all_cores, figures, private_test, run, engine):
    labels = HierarchicalClassifier.load(run, engine=engine).predict(private_test)
    scored(figures, name_of(run, engine), labels == names(private_test))


def names(faces: FaceDataset) -> np.ndarray:
    return np.array(faces.names)[faces.label]


@needs_faces
@needs_peer
@pytest.mark.parametrize("name", PEERS)
def test_accuracy_of_a_peer(all_cores, figures, private_test, tmp_path, name):
    answer = peer(name, private_test.pixels, tmp_path)
    known = [spelling(label) for label in answer["names"]]
    columns = [known.index(leaf) for leaf in VALENCE.leaves]
    labels = np.array(VALENCE.leaves)[np.array(answer["shares"])[:, columns].argmax(axis=1)]
    scored(figures, name, labels == names(private_test))


def scored(figures, name: str, right: np.ndarray) -> None:
    figures.setdefault("accuracy", {})[name] = share(right)


# A process inherits its parent's peak memory, so a small process in between starts it and reads its own.
WATCH = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - started
print(json.dumps([code, seconds, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def watched(command: list[str]) -> dict[str, float]:
    """Seconds and largest memory of a command."""
    done = subprocess.run([sys.executable, "-c", WATCH, *command], capture_output=True, text=True, check=True)
    code, seconds, size = json.loads(done.stdout)
    assert code == 0, command
    return {"seconds": seconds, "bytes": size}


def measured(command: list[str], times: int) -> dict[str, Any]:
    """Seconds over some rounds, and the largest memory."""
    found = [watched(command) for _ in range(times)]
    if times == 1:
        return found[0]
    return {
        "seconds": spread([each["seconds"] for each in found]),
        "bytes": max(each["bytes"] for each in found),
    }


FER = PEERS[0]
STARTS = {
    "--version": [*DOOR, "--version"],
    "--help": [*DOOR, "--help"],
    "predict": [*DOOR, "predict", SAMPLE],
    "predict of a photograph": [*DOOR, "predict", PHOTOGRAPH],
    "predict --top1-only": [*DOOR, "predict", SAMPLE, "--top1-only"],
    "predict --engine onnx-int8": [*DOOR, "predict", SAMPLE, "--engine", "onnx-int8"],
    "predict --engine keras": [*DOOR, "predict", SAMPLE, "--engine", "keras"],
    "import tensorflow": [sys.executable, "-c", "import tensorflow"],
    **({FER: [FER_PYTHON, str(Path(__file__).with_name("peers.py")), FER, SAMPLE]} if FER_PYTHON else {}),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_start(all_cores, rounds, figures, name):
    watched(STARTS[name])  # files come from disk only once
    figures.setdefault("starting", {})[name] = measured(STARTS[name], rounds(5))


@pytest.mark.parametrize("files", FILES)
def test_a_folder(all_cores, rounds, figures, faces, tmp_path, files):
    import cv2

    folder = tmp_path / "crops"
    folder.mkdir()
    for number in range(files):
        cv2.imwrite(str(folder / f"{number:06d}.png"), faces[number % len(faces)])
    command = [*DOOR, "predict", str(folder), "--csv", str(tmp_path / "answers.csv")]
    found = measured(command, rounds(3) if files in FILES else 1)
    figures.setdefault("growth", {})[str(files)] = found


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[LONG] if frames > SHORT else []) for name, (_, frames) in VIDEOS.items()],
)
def test_a_video(all_cores, rounds, figures, tmp_path, monkeypatch, name):
    options, frames = VIDEOS[name]
    monkeypatch.chdir(tmp_path)
    portrait = images.read(ROOT / "samples" / "astronaut.jpg", colour=True)
    with Writer(Path("video.mp4"), 25, (640, 480)) as film:
        for number in range(frames):
            left = 64 + round(60 * np.sin(number / 20))
            frame = np.full((480, 640, 3), 160, np.uint8)
            frame[:, left : left + 512] = portrait[:480]
            film.add(frame, number / 25)
    found = measured([*DOOR, "video", "video.mp4", *options], rounds(3) if frames == SHORT else 1)
    figures.setdefault("video", {})[name] = {"frames": frames, **found}
