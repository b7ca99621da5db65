"""Prediction speed of every engine, of Keras and of the peer, from one face to a folder.

`make bench` runs most of it on all cores; `make bench-all` the whole, on one core too. FER2013_DIR, where
it is set, adds accuracy; FER_PYTHON, a Python that has `fer`, adds the peer.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import report
from threadpoolctl import threadpool_limits

from hierarchy import runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data import images
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.evaluation.statistics import share
from hierarchy.runtimes import ENGINES, FORMATS
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.vision.video_writer import Writer

ROOT = Path(__file__).parents[2]
DOOR = [sys.executable, str(ROOT / "tf_model.py")]
SAMPLE = str(ROOT / "samples" / "grace_hopper.png")
FER_PYTHON = os.environ.get("FER_PYTHON")
PEER = "fer 25.10.3"
NAMES = {
    **{name: f"{FORMATS[kind].title}, {precision}" for name, (kind, precision) in ENGINES.items()},
    "keras": report.REFERENCE,
}
CASES = [  # run and engine; Keras last, so that TensorFlow's threads do not slow the others
    *((runs.DEFAULT_RUN, engine) for engine in ENGINES),
    ("small", "onnx"),
    ("small", "onnx-int8"),
    ("full", "onnx-float16"),
    (runs.DEFAULT_RUN, "keras"),
]
SIDE = 2048  # of the matrices whose product gives the speed of the cores
LONG = pytest.mark.long  # only of `make bench-all`
FILES = (100, 1_000, *(pytest.param(files, marks=LONG) for files in (10_000, 100_000)))
VIDEOS = {  # options and number of frames
    "video": ([], 1_000),
    "video, ten times as long": ([], 10_000),
    "video --out --csv": (["--out", "out.mp4", "--csv", "out.csv"], 1_000),
    "video --frame-step 2": (["--frame-step", "2"], 1_000),
    "video --engine onnx-int8": (["--engine", "onnx-int8"], 1_000),
}

needs_peer = pytest.mark.skipif(not FER_PYTHON, reason="FER_PYTHON names no Python that has fer")
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


def test_arithmetic(benchmark, cores, here):
    a, b = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)
    with threadpool_limits(int(cores)):
        benchmark.pedantic(np.matmul, (a, b), rounds=10, warmup_rounds=2)
    here["gmac"] = macs(runs.run(runs.DEFAULT_RUN)) / 1e9
    here["gmac_per_second"] = SIDE**3 / benchmark.stats.stats.min / 1e9
    here["limit_ms"] = 1000 * here["gmac"] / here["gmac_per_second"]


def macs(run: runs.Run) -> int:
    """Multiplications of the tree's nets for a face."""
    manifest = run.manifest()
    return sum(manifest.nets[node].macs for node in manifest.tree.nodes)


def name_of(run: str, engine: str) -> str:
    return NAMES[engine] if run == runs.DEFAULT_RUN else f"{run}, {NAMES[engine]}"


@pytest.mark.parametrize("key", [report.ONE, report.MANY, report.LAZY])
@pytest.mark.parametrize(("run", "engine"), CASES)
def test_a_face(benchmark, here, faces, run, engine, key):
    model = HierarchicalClassifier.load(run, engine=engine)
    batch = faces[: 1 if key == report.ONE else len(faces)]
    predict = model.lazy if key == report.LAZY else model.predictions
    benchmark.pedantic(predict, (batch,), rounds=15 if len(batch) > 1 else 100, warmup_rounds=3)
    own = here["ms"].setdefault(name_of(run, engine), {})
    own[key] = 1000 * benchmark.stats.stats.median / len(batch)
    own["limit_ms"] = macs(model.run_) / 1e6 / here["gmac_per_second"]


@needs_peer
def test_a_face_of_the_peer(here, faces, tmp_path):
    here["ms"][PEER] = peer(faces, tmp_path)["ms"]


def peer(faces: np.ndarray, folder: Path) -> dict:
    np.savez(folder / "faces.npz", pixels=faces)
    script = str(Path(__file__).with_name("peer_fer.py"))
    command = [FER_PYTHON, script, str(folder / "faces.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
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
def test_accuracy_of_the_peer(all_cores, figures, private_test, tmp_path):
    answer = peer(private_test.pixels, tmp_path)
    columns = [answer["names"].index(leaf) for leaf in VALENCE.leaves]
    labels = np.array(VALENCE.leaves)[np.array(answer["shares"])[:, columns].argmax(axis=1)]
    scored(figures, PEER, labels == names(private_test))


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


STARTS = {
    "--help": [*DOOR, "--help"],
    "predict": [*DOOR, "predict", SAMPLE],
    "predict --top1-only": [*DOOR, "predict", SAMPLE, "--top1-only"],
    "predict --engine onnx-int8": [*DOOR, "predict", SAMPLE, "--engine", "onnx-int8"],
    "predict --engine keras": [*DOOR, "predict", SAMPLE, "--engine", "keras"],
    "import tensorflow": [sys.executable, "-c", "import tensorflow"],
    **({PEER: [FER_PYTHON, str(Path(__file__).with_name("peer_fer.py")), SAMPLE]} if FER_PYTHON else {}),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_start(all_cores, benchmark, figures, name):
    measured = []
    benchmark.pedantic(lambda: measured.append(watched(STARTS[name])), rounds=5, warmup_rounds=1)
    figures.setdefault("starting", {})[name] = {
        key: statistics.median(each[key] for each in measured) for key in ("seconds", "bytes")
    }


@pytest.mark.parametrize("files", FILES)
def test_a_folder(all_cores, figures, faces, tmp_path, files):
    import cv2

    folder = tmp_path / "crops"
    folder.mkdir()
    for number in range(files):
        cv2.imwrite(str(folder / f"{number:06d}.png"), faces[number % len(faces)])
    command = [*DOOR, "predict", str(folder), "--csv", str(tmp_path / "answers.csv")]
    figures.setdefault("growth", {})[str(files)] = watched(command)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[LONG] if frames > 1_000 else []) for name, (_, frames) in VIDEOS.items()],
)
def test_a_video(all_cores, figures, tmp_path, monkeypatch, name):
    options, frames = VIDEOS[name]
    monkeypatch.chdir(tmp_path)
    portrait = images.read(ROOT / "samples" / "astronaut.jpg", colour=True)
    with Writer(Path("video.mp4"), 25, (640, 480)) as film:
        for number in range(frames):
            left = 64 + round(60 * np.sin(number / 20))
            frame = np.full((480, 640, 3), 160, np.uint8)
            frame[:, left : left + 512] = portrait[:480]
            film.add(frame, number / 25)
    found = watched([*DOOR, "video", "video.mp4", *options])
    figures.setdefault("video", {})[name] = {"frames": frames, **found}
