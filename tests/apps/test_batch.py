"""Thousands of faces on both executors: the same predictions, whatever is killed on the way."""

import errno
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tf_model
from hierarchy import fileio, runtimes
from hierarchy.apps.batch import job as jobs
from hierarchy.apps.batch import local as batching
from hierarchy.apps.batch import records
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import VALENCE
from hierarchy.vision.detectors import Searching

MAIN = Path(tf_model.__file__)
FACES, PART, DRAWN = 8_000, 200, 500
BAD = 777  # a row that is not an image
TIMEOUT = 300  # seconds

needs_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="ray is not installed")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A Parquet file of drawn faces, one of them damaged."""
    drawn = [cv2.imencode(".png", face)[1].tobytes() for face in sketch_faces(DRAWN).pixels]
    held = [drawn[row % DRAWN] for row in range(FACES)]
    held[BAD] = b"not an image"
    path = tmp_path_factory.mktemp("source") / "faces.parquet"
    pq.write_table(pa.table({"image": [{"bytes": data, "path": None} for data in held]}), path)
    return path


def started(source, out, *options, size=PART) -> subprocess.Popen:
    """The command in a new process, with the shipped nets and two workers."""
    environment = {name: value for name, value in os.environ.items() if name != "HIERARCHY_HOME"}
    words = f"batch {source} --out {out} --chunk-size {size} --engine onnx-float16 --workers 2".split()
    return subprocess.Popen(
        [sys.executable, str(MAIN), *words, *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(out: Path) -> int:
    path = out / records.PARTS
    return path.read_text().count("\n") if path.is_file() else 0


def table(out: Path) -> pa.Table:
    files = sorted(out.glob("*.parquet"))
    assert len(files) == FACES // PART
    return pa.concat_tables([pq.read_table(file) for file in files])


def killed_and_resumed(source, out, *options) -> pa.Table:
    """The predictions of a command that was killed in the middle and started again."""
    process = started(source, out, *options)
    progress: list[str] = []  # a line per part
    while sum(f"of {FACES:,}" in line for line in progress) < 3:
        progress.append(process.stderr.readline())
        assert progress[-1], progress  # else the command has ended
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert 3 <= finished(out) < FACES // PART
    again = started(source, out, *options)
    stdout, stderr = again.communicate(timeout=TIMEOUT)
    assert again.returncode == 0, stderr
    assert f"{FACES:,} images, {FACES - 1:,} faces, 1 errors" in stdout
    return table(out)


@pytest.fixture(scope="module")
def local(source, tmp_path_factory) -> pa.Table:
    return killed_and_resumed(source, tmp_path_factory.mktemp("local") / "out")


def test_killed_in_the_middle_it_resumes_and_no_image_is_lost_or_predicted_twice(source, local):
    assert local.column("path").to_pylist() == [f"{source}#{row}" for row in range(FACES)]
    rows = local.select(["label", "error"]).to_pylist()
    bad = rows.pop(BAD)
    assert bad["label"] is None and f"#{BAD}" in bad["error"]
    assert all(row["label"] in VALENCE.leaves and row["error"] is None for row in rows)


@pytest.mark.long
@needs_ray
def test_ray_gives_the_same_predictions(source, local, tmp_path):
    assert killed_and_resumed(source, tmp_path / "out", "--executor", "ray").equals(local)


def test_a_part_that_found_no_worker_is_repeated(monkeypatch, logged):
    """Workers may die between two parts, and then the submission fails."""
    takes = iter([3, 5, 100])  # parts that each pool takes before it is broken

    class Pool:
        def __init__(self, *_):
            self.takes = next(takes)

        def submit(self, function, job, number, pictures):
            if self.takes == 0:
                raise BrokenProcessPool
            self.takes -= 1
            future = Future()
            future.set_result(records.Done(number, 0, 0, 0, 0, ""))
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(batching, "ProcessPoolExecutor", Pool)
    done = batching._predict_parts(None, iter([(number, []) for number in range(20)]), 2)
    assert sorted(each.part for each in done) == list(range(20)) and len(logged.messages) == 2


@pytest.fixture
def gate():
    """A socket; an image at its address keeps a worker busy until its connection is closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)
        yield server


def listed(tmp_path, gate, number) -> Path:
    """A list of one image at the gate, then `number` times the portrait."""
    path = tmp_path / "list.csv"
    remote = f"ftp://127.0.0.1:{gate.getsockname()[1]}/a.png"
    path.write_text(f"path\n{remote}\n" + f"{MAIN.parent / 'samples' / 'portrait.jpg'}\n" * number)
    return path


def test_a_killed_worker_is_replaced(gate, tmp_path):
    process = started(listed(tmp_path, gate, 7), tmp_path / "out", size=2)
    connection, _ = gate.accept()  # a worker is in the first part, and waits
    children = psutil.Process(process.pid).children()
    next(child for child in children if "spawn_main" in str(child.cmdline())).kill()
    gate.close()
    connection.close()
    stdout, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0 and "a worker died" in stderr, stderr
    assert "8 images, 7 faces, 1 errors" in stdout
    parts = sorted((tmp_path / "out").glob("*.parquet"))
    rows = pa.concat_tables(map(pq.read_table, parts)).to_pylist()
    assert len(parts) == 4 and [row["error"] is None for row in rows] == [False] + [True] * 7
    assert len({row["label"] for row in rows[1:]}) == 1


def test_ctrl_c_does_not_wait_for_parts(gate, tmp_path):
    # a part of 100,000 images takes hours
    process = started(listed(tmp_path, gate, 100_000), tmp_path / "out", size=200_000)
    connection, _ = gate.accept()  # a worker is in the part
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    connection.close()
    assert process.returncode == 130


@pytest.fixture
def few(tmp_path, few_sketches) -> Path:
    folder = tmp_path / "few"
    folder.mkdir()
    for row, face in enumerate(few_sketches.pixels[:7]):
        cv2.imwrite(str(folder / f"{row}.png"), face)
    (folder / "7.png").write_text("not an image")
    return folder


@pytest.fixture
def job(tiny_run, tmp_path) -> jobs.Job:
    return jobs.Job(tiny_run.name, "auto", "auto", str(tmp_path / "out"))


@pytest.fixture
def here(monkeypatch):
    """Parts are predicted in this process."""

    def predict_parts(job, parts, workers):
        yield from (jobs.predict_part(job, *part) for part in parts)

    monkeypatch.setattr(batching, "_predict_parts", predict_parts)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no masks of signals")
def test_ctrl_c_is_not_for_workers_that_begin():
    class Pool:
        def submit(self, *_):
            return signal.pthread_sigmask(signal.SIG_BLOCK, [])

    assert signal.SIGINT in batching._submit(Pool(), None, 0, [])
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_part_is_a_table_of_predictions(few, job, here, logged):
    assert batching.batch(str(few), job, size=4) == {"pictures": 8, "faces": 7, "errors": 1}
    table = pq.read_table(Path(job.out) / "part-000001.parquet")
    assert table.schema == jobs.schema(VALENCE) and table.num_rows == 4
    shares = [sum(row[leaf] for leaf in VALENCE.leaves) for row in table.slice(0, 3).to_pylist()]
    assert shares == pytest.approx([1, 1, 1]) and logged.messages[-1] == "8 of 8 images, 1 errors"
    last = table.to_pylist()[-1]
    assert last["path"] == str(few / "7.png") and last["error"] and last["label"] is None


def _torn(out: Path) -> None:
    lines = out / records.PARTS
    lines.write_bytes(lines.read_bytes()[:-5])


def _record(line: bytes) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        lines = (out / records.PARTS).read_bytes().splitlines(keepends=True)
        (out / records.PARTS).write_bytes(lines[0] + line)

    return damage


def _part(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        file = out / "part-000001.parquet"
        file.write_bytes(change(file.read_bytes()))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        _torn,
        *map(_record, (b"7\n", b"[]\n", b'{"part": "1"}\n', b"\xff\n", b"[" * 50_000 + b"\n", b"x" * 10**6)),
        _record(b'{"part": -1, "pictures": 1, "faces": 1, "errors": 0, "bytes": 0, "sha256": ""}\n'),
        _part(lambda data: data[:-1]),
        _part(lambda data: data[:-9] + b"?" + data[-8:]),
        lambda out: (out / "part-000001.parquet").unlink(),
    ],
)
def test_a_part_is_known_by_its_record_length_and_checksum(few, job, here, damage, logged):
    batching.batch(str(few), job, size=4)
    whole = {file.name: file.read_bytes() for file in Path(job.out).iterdir()}
    damage(Path(job.out))
    logged.clear()
    assert batching.batch(str(few), job, size=4) == {"pictures": 8, "faces": 7, "errors": 1}
    assert {file.name: file.read_bytes() for file in Path(job.out).iterdir()} == whole
    assert sum(records.PARTS in message for message in logged.messages) == 1


@pytest.mark.parametrize("content", [b"", b"[1]", b"7", b"\xff", b"[" * 50_000, b'{"run": [[[1]]]}'])
def test_a_damaged_identity_is_one_line(few, job, here, content):
    batching.batch(str(few), job, size=4)
    (Path(job.out) / records.JOB).write_bytes(content)
    with pytest.raises(InputError, match=job.out) as refusal:
        batching.batch(str(few), job, size=4)
    assert "\n" not in str(refusal.value)


def test_what_is_left_out_is_said(few, job, here, logged):
    (few / "notes.txt").touch()
    batching.batch(str(few), job)
    assert sum(".txt 1" in message for message in logged.messages) == 1


def test_missing_files_are_rows_with_their_error(few, job, here, tmp_path):
    (tmp_path / "list.csv").write_text(f"path\n{few}/0.png\n{few}/gone.png\nhttp://127.0.0.1:9/a.png\n")
    assert batching.batch(str(tmp_path / "list.csv"), job) == {"pictures": 3, "faces": 1, "errors": 2}
    errors = pq.read_table(Path(job.out) / "part-000000.parquet").column("error").to_pylist()
    assert errors[0] is None and "gone.png: " in errors[1] and "127.0.0.1:9" in errors[2]


def test_a_file_name_that_is_not_utf8_is_predicted(few, job, here):
    odd = os.fsdecode(bytes(few) + b"/odd-\xff.png")
    Path(odd).write_bytes((few / "0.png").read_bytes())
    assert batching.batch(str(few), job) == {"pictures": 9, "faces": 8, "errors": 1}
    paths = pq.read_table(Path(job.out) / "part-000000.parquet").column("path").to_pylist()
    assert f"{few}/odd-\ufffd.png" in paths


def test_results_of_different_jobs_are_not_mixed(few, job, here, tmp_path):
    batching.batch(str(few), job, size=4)
    with pytest.raises(InputError, match=r"out: .*\(differs in part\)"):
        batching.batch(str(few), job, size=5)
    with pytest.raises(InputError, match=r"out: .*\(differs in min_face\)"):
        batching.batch(str(few), replace(job, searching=Searching(min_face=64)), size=4)
    with pytest.raises(InputError, match="rotate 'left': expected one of auto, off"):
        jobs.loaded(replace(job, searching=Searching(rotate="left")))
    (few / "8.png").write_bytes((few / "0.png").read_bytes())
    with pytest.raises(InputError, match=r"out: .*\(differs in pictures, names\)"):
        batching.batch(str(few), job, size=4)
    fileio.write_json(tmp_path / "other" / "a.json", 1)
    with pytest.raises(InputError, match="other: "):
        batching.batch(str(few), jobs.Job(job.run, "auto", "auto", str(tmp_path / "other")))


def test_the_output_is_read_as_one_table(few, job, here):
    batching.batch(str(few), job, size=4)
    assert pq.read_table(job.out).num_rows == 8


def test_two_batches_at_once_are_refused(few, job, here):
    batching.batch(str(few), job, size=4)
    with (
        fileio.exclusive_lock(Path(job.out) / records.JOB, "taken"),
        pytest.raises(InputError, match=f"{job.out}: "),
    ):
        batching.batch(str(few), job, size=4)


def test_a_full_disk_keeps_the_finished_parts(few, job, here, monkeypatch):
    write = fileio.write_atomic

    def full(path, data):
        if path.name == "part-000001.parquet":
            raise InputError(f"{path}: cannot be written ({os.strerror(errno.ENOSPC)})")
        write(path, data)

    monkeypatch.setattr(fileio, "write_atomic", full)
    with pytest.raises(InputError, match="No space left"):
        batching.batch(str(few), job, size=4)
    monkeypatch.undo()
    assert set(records.finished(Path(job.out))) == {0}


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"executor": "dask"}, "--executor dask: .*local, ray"),
        ({"address": "ray://127.0.0.1:9"}, "--address"),
        pytest.param(
            {"executor": "ray", "address": "ray://127.0.0.1:9"}, "--address ray://", marks=needs_ray
        ),
    ],
)
def test_invalid_options_are_refused(few, job, options, part):
    with pytest.raises(InputError, match=part):
        batching.batch(str(few), job, **options)


def test_the_columns_are_those_of_the_tree(few, manifest_run, other_tree, here, tmp_path, monkeypatch):
    def nets(run, backend, engine):
        sizes = {node: len(other_tree.classes_of(node)) for node in other_tree.nets}
        return "test", {
            node: lambda pixels, size=size: np.zeros((len(pixels), size)) for node, size in sizes.items()
        }

    monkeypatch.setattr(runtimes, "nets", nets)
    job = jobs.Job(manifest_run("other", other_tree).name, "auto", "auto", str(tmp_path / "out"))
    assert batching.batch(str(few), job)["faces"] == 7
    table = pq.read_table(job.out)
    assert table.schema.equals(jobs.schema(other_tree))
    assert {*table.column("branch").to_pylist()} <= {*other_tree.branches, None}
    assert table.column_names[5:-1] == list(other_tree.leaves)


def test_a_missing_ray_is_refused_with_the_install_command(few, job, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="ray .*pip install -r requirements-scale.txt"):
        batching.batch(str(few), job, executor="ray")
