"""Twenty thousand faces on both engines: the same answers, whatever is killed on the way."""

import errno
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tf_model
from hierarchy import fileio
from hierarchy.apps.batch import job as jobs
from hierarchy.apps.batch import local as batching
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import LEAVES

DOOR = Path(tf_model.__file__)
FACES, PART, DRAWN = 20_000, 500, 500
BAD = 777  # a row that is no picture
PATIENCE = 300  # seconds

needs_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="ray is not installed")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A Parquet file of drawn faces, one of them damaged."""
    drawn = [cv2.imencode(".png", face)[1].tobytes() for face in sketch_faces(DRAWN).pixels]
    held = [drawn[row % DRAWN] for row in range(FACES)]
    held[BAD] = b"no picture"
    path = tmp_path_factory.mktemp("source") / "faces.parquet"
    pq.write_table(pa.table({"image": [{"bytes": data, "path": None} for data in held]}), path)
    return path


def started(source, out, *more) -> subprocess.Popen:
    """The command, in a process of its own, with the shipped nets."""
    environment = {name: value for name, value in os.environ.items() if name != "HIERARCHY_HOME"}
    words = [
        "batch",
        source,
        "--out",
        out,
        "--chunk-size",
        PART,
        "--engine",
        "onnx-int8",
        "--workers",
        2,
        *more,
    ]
    return subprocess.Popen(
        [sys.executable, str(DOOR), *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(out: Path) -> int:
    path = out / jobs.PARTS
    return path.read_text().count("\n") if path.is_file() else 0


def wait_for_parts(process: subprocess.Popen, out: Path, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while finished(out) < number and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def answers(out: Path) -> pa.Table:
    files = sorted(out.glob("*.parquet"))
    assert len(files) == FACES // PART
    return pa.concat_tables([pq.read_table(file) for file in files])


def killed_and_gone_on(source, out, *more) -> pa.Table:
    """Answers of a command that was killed in the middle and started again."""
    process = started(source, out, *more)
    wait_for_parts(process, out, 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = finished(out)
    assert 3 <= before < FACES // PART
    again = started(source, out, *more)
    said, told = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, told
    assert f"{FACES:,} pictures, {FACES - 1:,} faces, 1 errors" in said
    return answers(out)


@pytest.fixture(scope="module")
def local(source, tmp_path_factory) -> pa.Table:
    return killed_and_gone_on(source, tmp_path_factory.mktemp("local") / "out")


def test_killed_in_the_middle_it_goes_on_and_no_picture_is_lost_or_answered_twice(source, local):
    assert local.column("path").to_pylist() == [f"{source}#{row}" for row in range(FACES)]
    rows = local.select(["label", "error"]).to_pylist()
    bad = rows.pop(BAD)
    assert bad["label"] is None and "not a picture" in bad["error"]
    assert all(row["label"] in LEAVES and row["error"] is None for row in rows)


@needs_ray
def test_ray_gives_the_same_answers(source, local, tmp_path):
    assert killed_and_gone_on(source, tmp_path / "out", "--executor", "ray").equals(local)


def test_a_part_that_found_no_worker_is_begun_anew(monkeypatch, tmp_path, logged):
    """Workers may die between two parts, and then it is the asking that fails."""
    takes = iter([3, 5, 100])  # parts that each pool of workers takes before it is found broken

    class Pool:
        def __init__(self, *_):
            self.takes = next(takes)

        def submit(self, _, number, pictures):
            if self.takes == 0:
                raise BrokenProcessPool
            self.takes -= 1
            future = Future()
            future.set_result({"part": number})
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(batching, "ProcessPoolExecutor", Pool)
    done = batching._local(None, iter([(number, []) for number in range(20)]), 2)
    assert sorted(each["part"] for each in done) == list(range(20)) and len(logged.messages) == 2


def test_a_killed_worker_is_replaced(source, local, tmp_path):
    short = tmp_path / "short.parquet"
    pq.write_table(pq.read_table(source).slice(0, 10 * PART), short)
    process = started(short, tmp_path / "out")
    wait_for_parts(process, tmp_path / "out", 1)
    children = psutil.Process(process.pid).children()
    next(child for child in children if "spawn_main" in str(child.cmdline())).kill()
    said, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "a worker died" in told, told
    assert f"{10 * PART:,} pictures" in said
    rows = pa.concat_tables([pq.read_table(part) for part in sorted((tmp_path / "out").glob("*.parquet"))])
    named = ["path", "error"]  # hold the file's name
    assert rows.drop_columns(named).equals(local.slice(0, 10 * PART).drop_columns(named))


def test_ctrl_c_does_not_wait_for_parts(source, tmp_path):
    slow = tmp_path / "slow.csv"  # a part takes minutes
    slow.write_text("path\n" + f"{DOOR.parent / 'samples' / 'portrait.jpg'}\n" * 20_000)
    process = started(slow, tmp_path / "out", "--chunk-size", 10_000)
    deadline = time.monotonic() + PATIENCE
    while len(psutil.Process(process.pid).children()) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)  # two workers, and what watches over them
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


@pytest.fixture
def few(tmp_path, few_sketches) -> Path:
    folder = tmp_path / "few"
    folder.mkdir()
    for row, face in enumerate(few_sketches.pixels[:7]):
        cv2.imwrite(str(folder / f"{row}.png"), face)
    (folder / "7.png").write_text("no picture")
    return folder


@pytest.fixture
def job(tiny_run, tmp_path) -> jobs.Job:
    return jobs.Job(tiny_run.name, "auto", "auto", str(tmp_path / "out"))


@pytest.fixture
def here(monkeypatch):
    """Parts are answered in this process, so that a test may look on."""

    def local(job, left, workers):
        worker = jobs.Worker(job)
        yield from (worker.part(*item) for item in left)

    monkeypatch.setattr(batching, "_local", local)


def test_a_part_is_a_table_of_answers(few, job, here, logged):
    assert batching.batch(str(few), job, size=4) == {"pictures": 8, "faces": 7, "errors": 1}
    table = pq.read_table(Path(job.out) / "part-000001.parquet")
    assert table.schema == jobs.schema() and table.num_rows == 4
    shares = [sum(row[leaf] for leaf in LEAVES) for row in table.slice(0, 3).to_pylist()]
    assert shares == pytest.approx([1, 1, 1]) and logged.messages[-1] == "8 of 8 pictures, 1 errors"
    last = table.to_pylist()[-1]
    assert last["path"] == str(few / "7.png") and "not a picture" in last["error"] and last["label"] is None


def test_a_last_line_that_was_cut_off_counts_for_nothing(few, job, here):
    batching.batch(str(few), job, size=4)
    lines = Path(job.out) / jobs.PARTS
    lines.write_text(lines.read_text()[:-5])
    assert set(jobs.finished(Path(job.out))) == {0}
    assert batching.batch(str(few), job, size=4)["pictures"] == 8
    assert [json.loads(line)["part"] for line in lines.read_text().splitlines()] == [0, 1]


def test_files_that_are_gone_are_rows_with_their_error(few, job, here, tmp_path):
    (tmp_path / "list.csv").write_text(f"path\n{few}/0.png\n{few}/gone.png\nhttp://127.0.0.1:9/a.png\n")
    assert batching.batch(str(tmp_path / "list.csv"), job) == {"pictures": 3, "faces": 1, "errors": 2}
    errors = pq.read_table(Path(job.out) / "part-000000.parquet").column("error").to_pylist()
    assert errors[0] is None and "gone.png: no such file" in errors[1] and "127.0.0.1:9" in errors[2]


def test_a_name_that_is_no_text_loses_nothing(few, job, here):
    odd = os.fsdecode(bytes(few) + b"/odd-\xff.png")
    Path(odd).write_bytes((few / "0.png").read_bytes())
    assert batching.batch(str(few), job) == {"pictures": 9, "faces": 8, "errors": 1}
    paths = pq.read_table(Path(job.out) / "part-000000.parquet").column("path").to_pylist()
    assert f"{few}/odd-\ufffd.png" in paths


def test_answers_to_another_job_are_not_mixed(few, job, here, tmp_path):
    batching.batch(str(few), job, size=4)
    with pytest.raises(InputError, match=r"out: holds answers to another job \(part\); name a new folder"):
        batching.batch(str(few), job, size=5)
    (few / "8.png").write_bytes((few / "0.png").read_bytes())
    with pytest.raises(InputError, match=r"another job \(pictures, names\)"):
        batching.batch(str(few), job, size=4)
    fileio.write_json(tmp_path / "other" / "a.json", 1)
    with pytest.raises(InputError, match="other: not an empty folder"):
        batching.batch(str(few), jobs.Job(job.run, "auto", "auto", str(tmp_path / "other")))


def test_the_answers_are_read_as_one_table(few, job, here):
    batching.batch(str(few), job, size=4)
    assert pq.read_table(job.out).num_rows == 8


def test_two_at_once_are_refused(few, job, here):
    batching.batch(str(few), job, size=4)
    with (
        fileio.exclusive_lock(Path(job.out) / jobs.JOB, "taken"),
        pytest.raises(InputError, match="another batch is answering into it"),
    ):
        batching.batch(str(few), job, size=4)


def test_a_full_disk_in_the_middle_is_said_and_what_is_done_is_kept(few, job, here, monkeypatch):
    write = fileio.write_atomic

    def full(path, data):
        if path.name == "part-000001.parquet":
            raise InputError(f"{path}: cannot be written ({os.strerror(errno.ENOSPC)})")
        write(path, data)

    monkeypatch.setattr(fileio, "write_atomic", full)
    with pytest.raises(InputError, match="No space left"):
        batching.batch(str(few), job, size=4)
    monkeypatch.undo()
    assert set(jobs.finished(Path(job.out))) == {0}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"how": "dask"}, "--executor dask: allowed are local, ray"),
        ({"address": "ray://127.0.0.1:9"}, "give --executor ray"),
        pytest.param({"how": "ray", "address": "ray://127.0.0.1:9"}, "no answer in 10 s", marks=needs_ray),
    ],
)
def test_what_cannot_be_done_is_refused(few, job, more, said):
    with pytest.raises(InputError, match=said):
        batching.batch(str(few), job, **more)


def test_without_ray_the_install_line_is_named(few, job, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="ray is not installed: pip install -r requirements-scale.txt"):
        batching.batch(str(few), job, how="ray")
