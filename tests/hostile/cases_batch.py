"""Batches and studies: damaged records, lists and archives; nodes and processes that are killed."""

import csv
import gzip
import io
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import psutil
import pyarrow.parquet as pq
from cases_data import Group, csv_files, damaged, parquet, picture
from harness import GIB, ROOT, Case, Outcome, command, complaint

HOUSE: Final = {"HIERARCHY_HOME": str(ROOT)}
RECORDS: Final = """
import shutil
import sys
import pyarrow.parquet as pq
from hierarchy.apps.batch import job as jobs, local
from hierarchy.errors import InputError, printable
local._predict_parts = lambda job, parts, workers: (jobs.predict_part(job, *part) for part in parts)
job = jobs.Job("fer2013", "whole", "auto", "out")
total = local.batch("list.csv", job, size=2)
base = pq.read_table("out")
shutil.copytree("out", "base")
for name in open("names").read().split("\\n"):
    shutil.rmtree("out")
    shutil.copytree("base", "out")
    shutil.copyfile(name, "out/" + name.partition("~")[2])
    try:
        whole = local.batch("list.csv", job, size=2) == total and pq.read_table("out").equals(base)
        print(name if whole else f"{name} has other rows")
    except InputError as error:
        print(name, printable(" ".join(str(error).splitlines())), file=sys.stderr)
"""
SOURCES: Final = """
import sys
from hierarchy.data import image_sources
from hierarchy.errors import InputError, printable
for name in open("names").read().split("\\n"):
    scheme = name.partition(".")[2]
    try:
        source = name if scheme in ("csv", "parquet") else f"{scheme.partition('.')[0]}://*::{name}"
        number, _ = image_sources.fingerprint(source)
        for entry in image_sources.entries(source):
            if image_sources.REMOTE in entry.path:
                try:
                    image_sources.read(entry.path)
                except InputError as error:
                    print(printable(str(error)), file=sys.stderr)
        print(name, number)
    except InputError as error:
        print(printable(" ".join(str(error).splitlines())), file=sys.stderr)
"""
RECORD: Final = b'{"part": 0, "pictures": 2, "faces": 2, "errors": 0, "bytes": 1, "sha256": "0"}\n'


def child(code: str, folder: Path, names: list[str]) -> Outcome:
    (folder / "names").write_text("\n".join(names))
    samples = [ROOT / "samples" / f"sketch_{name}.png" for name in ("angry", "happy", "sad")]
    (folder / "list.csv").write_text("\n".join(map(str, ["path", *samples])))
    outcome = command(
        program=("-c", code), folder=folder, seconds=300, env={**HOUSE, "PYTHONPATH": str(ROOT)}
    )
    if "has other rows" in outcome.out:
        raise AssertionError(outcome.out)
    return outcome


def records() -> Iterator[tuple[str, bytes]]:
    texts = [
        b"",
        b"7",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b"\0" * 9,
        b"NaN",
        b'"',
    ]
    texts += [RECORD * 3, RECORD[:-2], RECORD.replace(b"0", b"-1"), RECORD.replace(b"2", b"1e400")]
    texts += [RECORD.replace(b'"0"', b"0"), RECORD.replace(b"2", b"9" * 500), b"x" * 10**7, b"\n" * 10**5]
    for number, text in enumerate(texts):
        yield f"{number}~_batch.json", text
        yield f"{number}~_parts.jsonl", text
        yield f"{number}n~_parts.jsonl", text + b"\n"
        yield f"{number}~part-000001.parquet", text


def archives() -> Iterator[tuple[str, bytes]]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.png", "in/b[1].png", "../c.png", "/d.png", "notes.txt", "e::f.png", "g\x1b[2J.png"):
            archive.writestr(name, picture())
    for kind, data in damaged(file.getvalue(), 8, 40):
        yield f"{kind}.zip", data
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.png", "w") as member:
        for _ in range(1000):
            member.write(bytes(2**20))
    yield "gigabyte.zip", file.getvalue()
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("a.png", "../b.png"):
            info = tarfile.TarInfo(name)
            info.size = len(picture())
            archive.addfile(info, io.BytesIO(picture()))
        for name, kind in (("link.png", tarfile.SYMTYPE), ("pipe.png", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/dev/zero"
            archive.addfile(info)
    for kind, data in damaged(file.getvalue(), 8, 20):
        yield f"{kind}.tar", data
    for kind, data in damaged(gzip.compress(file.getvalue()), 8, 20):
        yield f"{kind}.tar.gz", data


def lists() -> Iterator[tuple[str, bytes]]:
    for name, data in csv_files():
        if name.endswith(".csv"):
            yield name, data.replace(b"pixels", b"path")
    values = [["a.png", None, "", "\0"], [1], [b"\xff.png"], [["a"]], [{"a": "b"}], [None], ["x" * 10**6]]
    for number, value in enumerate(values):
        yield f"path{number}.parquet", parquet(path=value)
        yield f"bytes{number}.parquet", parquet(bytes=value)
    for kind, data in damaged(parquet(path=["a.png", "b.png"]), 8, 40):
        yield f"{kind}.parquet", data


def endless(folder: Path) -> str | None:
    """A list of three gigabytes without a line end, of which the disk holds nothing."""
    with (folder / "list.csv").open("wb") as file:
        file.write(b"path\n")
        file.truncate(3 * GIB)
    outcome = command("batch", "list.csv", "--out", "out", folder=folder, env=HOUSE)
    return complaint(outcome, codes=[2], names=["list.csv"], memory=GIB, lines=1)


def three_studies(folder: Path) -> str | None:
    """Three processes on a journal, one killed: the others go on, and all trials are whole."""
    words = "tune --node flat --trials 6 --data sketch --recipe sketch --storage study.log --name s --set"
    line = [sys.executable, ROOT / "tf_model.py", *words.split(), "fit.epochs=1", "--set", "net.stages=[[4]]"]
    environment = {**os.environ, "HIERARCHY_HOME": str(folder), "OMP_WAIT_POLICY": "passive"}
    errors = [(folder / f"err{number}").open("w+") for number in range(3)]
    studies = [
        subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=error)
        for error in errors
    ]
    while "trial" not in "".join((folder / f"err{number}").read_text() for number in range(3)):
        if any(study.poll() for study in studies):
            break
        time.sleep(0.2)
    studies[0].kill()
    codes = [study.wait(300) for study in studies]
    if codes != [-signal.SIGKILL, 0, 0]:
        return f"exits {codes}: {(folder / 'err1').read_text()[-300:]}"
    with (folder / "results" / "tune" / "s" / "trials.csv").open() as file:
        states = [row["state"] for row in csv.DictReader(file) if row["state"] in ("complete", "pruned")]
    return None if len(states) >= 6 else f"{len(states)} trials of 6"


class Cluster:
    """Ray's head and a second node on this machine, each with one core and a token of this cluster only."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address, self.folder = f"127.0.0.1:{self.port}", folder
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.environment = {**os.environ, **HOUSE, **token, "RAY_USAGE_STATS_ENABLED": "0"}

    def start(self) -> None:
        temporary = f"--temp-dir={self.folder}/ray"
        self.head = self.node("--head", f"--port={self.port}", "--include-dashboard=false", temporary)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.2)
        self.second = self.node(f"--address={self.address}")

    def node(self, *options: str) -> psutil.Popen:
        ray = Path(sys.executable).with_name("ray")
        more = "--num-cpus=1 --node-ip-address=127.0.0.1 --block --object-store-memory=80000000".split()
        quiet = subprocess.DEVNULL
        return psutil.Popen(
            [ray, "start", *options, *more],
            env=self.environment,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )

    def kill(self, node: psutil.Popen) -> None:
        for process in (*node.children(recursive=True), node):
            process.kill()
        node.wait()

    def batch(self, source: Path) -> subprocess.Popen:
        words = f"batch {source} --out out --chunk-size 50 --executor ray --address {self.address}".split()
        line, pipe = [sys.executable, str(ROOT / "tf_model.py"), *words], subprocess.PIPE
        return subprocess.Popen(
            line, cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True
        )


def cluster_under_fire(folder: Path, pictures: int = 1200) -> str | None:
    """A node is killed in the middle, then the head; started again, the batch holds every picture once."""
    source, short = folder / "source", Path(f"/tmp/ray-{secrets.token_hex(3)}")  # for the names of sockets
    source.mkdir()
    short.mkdir()
    for number in range(pictures):
        name = ("angry", "happy", "sad")[number % 3]
        shutil.copyfile(ROOT / "samples" / f"sketch_{name}.png", source / f"{number:05d}.png")
    cluster = Cluster(short)
    cluster.start()
    try:
        first = cluster.batch(source)
        for victim in (cluster.second, cluster.head):
            for _ in range(5):  # a line per part
                first.stderr.readline()
            cluster.kill(victim)
        _, errors = first.communicate(timeout=120)
        if first.returncode != 2 or cluster.address not in errors or "Traceback" in errors:
            return f"exit {first.returncode} after the head was killed: {errors[-300:]}"
        cluster.start()
        out, errors = cluster.batch(source).communicate(timeout=400)
        if f"{pictures:,} images, {pictures:,} faces, 0 errors" not in out:
            return f"started again: {out[-200:]} {errors[-200:]}"
        local = command("batch", source, "--out", "local", folder=folder, seconds=400, env=HOUSE)
        if local.code or not pq.read_table(folder / "local").equals(pq.read_table(short / "out")):
            return f"other rows than locally: {local.err[-200:]}"
        return None
    finally:
        for node in (cluster.second, cluster.head):
            if node.is_running():
                cluster.kill(node)
        shutil.rmtree(short, ignore_errors=True)


def cases() -> Iterator[Case]:
    for kind, inputs, code in (
        ("records of a batch", dict(records()), RECORDS),
        ("lists of a batch", dict(lists()), SOURCES),
        ("archives of a batch", dict(archives()), SOURCES),
    ):
        group = Group(inputs, partial(child, code))
        for name in inputs:
            yield Case(kind, name, partial(group.check, name))
    yield Case("lists of a batch", "three gigabytes", endless)
    yield Case("killed in the middle", "a study of three processes", three_studies)
    yield Case("killed in the middle", "a Ray cluster", cluster_under_fire)
