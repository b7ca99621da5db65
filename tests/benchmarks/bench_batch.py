"""Speed and memory of `batch` on many crops, by workers and executor.

BATCH_PICTURES is the largest number of crops; a tenth and a hundredth of it are measured too.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import psutil
import pytest

from hierarchy.data.synthetic.sketch import sketch_faces

ROOT = Path(__file__).parents[2]
PICTURES = int(os.environ.get("BATCH_PICTURES", "20000"))
DRAWN = 64
CASES = {
    "batch, a hundredth": (PICTURES // 100, ["--workers", "2"]),
    "batch, a tenth": (PICTURES // 10, ["--workers", "2"]),
    "batch --workers 2": (PICTURES, ["--workers", "2"]),
    "batch --workers 1": (PICTURES, ["--workers", "1"]),
    "batch --executor ray --workers 2": (PICTURES, ["--executor", "ray", "--workers", "2"]),
}


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    drawn = [cv2.imencode(".png", face)[1].tobytes() for face in sketch_faces(DRAWN).pixels]
    for number in range(PICTURES):
        (folder / f"{number:07d}.png").write_bytes(drawn[number % DRAWN])
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_batch(all_cores, figures, crops, tmp_path, name):
    pictures, options = CASES[name]
    source = str(crops) if pictures == PICTURES else str(tmp_path / "list.csv")
    if pictures < PICTURES:
        rows = [str(crops / f"{number:07d}.png") for number in range(pictures)]
        Path(source).write_text("\n".join(["path", *rows]) + "\n")
    command = [sys.executable, str(ROOT / "tf_model.py"), "batch", source, "--out", str(tmp_path / "out")]
    started = time.perf_counter()
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    largest = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, largest))
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    watcher.join()
    assert process.returncode == 0 and f"{pictures:,} faces" in output.decode()
    found = {"pictures": pictures, "seconds": seconds, "bytes": largest[0]}
    print(json.dumps(found))
    figures.setdefault("batch", {})[name] = found


def _watch(pid: int, largest: list[int]) -> None:
    """Record the largest sum of unique memory of a process and its children."""
    while psutil.pid_exists(pid):
        total = 0
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return
        for one in family:
            try:
                total += one.memory_full_info().uss
            except psutil.Error:
                continue
        largest[0] = max(largest[0], total)
        time.sleep(0.5)
