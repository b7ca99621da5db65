"""Data files: damaged, of other programs, of other shapes, and such as unpack to gigabytes."""

import gzip
import io
import json
import multiprocessing
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from harness import GIB, Case, Outcome, command, complaint
from PIL import Image

FACE: Final = " ".join(str(value % 256) for value in range(2304))
ROWS: Final = f"emotion,pixels,Usage\n3,{FACE},Training\n0,{FACE},PublicTest\n4,{FACE},PrivateTest\n".encode()
READ: Final = """
import sys
from hierarchy.data.formats import registry
from hierarchy.errors import InputError, printable
for name in open("names").read().split("\\n"):
    try:
        registry.read(name)
        print(name)
    except InputError as error:
        print(printable(" ".join(str(error).splitlines())), file=sys.stderr)
"""


class Group:
    """Files that one process reads; each has to be answered, or named in an error."""

    def __init__(self, files: dict[str, bytes], run: Callable[[Path, list[str]], Outcome]) -> None:
        self.files, self.run = files, run
        self.lock, self.outcome = threading.Lock(), None

    def check(self, name: str, folder: Path) -> str | None:
        with self.lock:
            if self.outcome is None:
                for other, data in self.files.items():
                    (folder / other).write_bytes(data)
                self.outcome = self.run(folder, list(self.files))
        text = self.outcome.out + self.outcome.err
        return complaint(self.outcome, seconds=300, memory=3 * GIB // 2) or (
            None if name in text else "no word of it"
        )


def predicted(folder: Path, names: list[str]) -> Outcome:
    return command("predict", "--detector", "whole", "--json", *names, folder=folder, seconds=300)


def read(folder: Path, names: list[str]) -> Outcome:
    (folder / "names").write_text("\n".join(names))
    return command(program=("-c", READ), folder=folder, seconds=300, env={"FER2013_CACHE": str(folder / "c")})


def damaged(data: bytes, cuts: int, flips: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """The data cut, and with single bytes changed, at places that are the same in every run."""
    generator = random.Random(seed)
    for cut in range(cuts):
        yield f"cut{cut}", data[: len(data) * cut // cuts]
    for flip in range(flips):
        place = generator.randrange(len(data) - min(len(data), 600 if flip % 2 else len(data)), len(data))
        yield f"flip{flip}", data[:place] + bytes([generator.randrange(256)]) + data[place + 1 :]


def csv_files() -> Iterator[tuple[str, bytes]]:
    text = ROWS.decode()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp037"):
        yield f"{encoding}.csv", text.encode(encoding)
    for number, sign in enumerate(";\t|: \0\x01'\""):
        yield f"separator{number}.csv", text.replace(",", sign).encode()
    for number, end in enumerate(("\r", "\r\n", "\n\r", "\v", "\u2028", "", "\n\n\n", "\0\n")):
        yield f"end{number}.csv", text.replace("\n", end).encode()
    names = (
        "",
        "pixels,pixels",
        "pixels",
        "Pixels ",
        "id,pixels",
        ",pixels",
        "label,emotion,pixels",
        "a" * 99_000,
    )
    for number, header in enumerate(
        (*names, "," * 50_000, "pixels" + ",x" * 20_000, "\ud7ff", '"pixels', "=1+1,pixels")
    ):
        yield f"header{number}.csv", f"{header}\n{FACE}\n{FACE}\n".encode()
    cells = [
        "",
        "nan",
        "-1",
        "1e3",
        "256",
        "٣",
        "0x10",
        "9" * 5000,
        '"',
        "\0",
        "\x1b[2J",
        "7" * 99_999,
        "Ünbekannt",
        "{}",
    ]
    for number, cell in enumerate(cells):
        yield f"label{number}.csv", f"emotion,pixels,Usage\n{cell},{FACE},Training\n".encode()
        yield f"usage{number}.csv", f"emotion,pixels,Usage\n3,{FACE},{cell}\n".encode()
        yield f"pixel{number}.csv", f"pixels\n{FACE[:-3]}{cell}\n{FACE}\n".encode()
    for kind, data in damaged(ROWS, 12, 30):
        yield f"{kind}.csv", data
    for kind, data in damaged(gzip.compress(ROWS), 12, 30):
        yield f"{kind}.csv.gz", data
    yield "twice.csv.gz", gzip.compress(ROWS) * 2
    yield "tail.csv.gz", gzip.compress(ROWS) + b"more"


def picture() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((48, 48)).save(file, "PNG")
    return file.getvalue()


def parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def parquet_files() -> Iterator[tuple[str, bytes]]:
    png = picture()
    values = [
        [png, None, b"", b"x"],
        ["text"],
        [1, 2],
        [1.5],
        [[png]],
        [{"bytes": png}],
        [{"path": "a.png"}],
        [{"bytes": [png]}],
        [{"bytes": {"bytes": png}}],
        [{"bytes": None, "path": None}],
        [None],
        pa.array([], pa.binary()),
        pa.array([png], pa.large_binary()),
        pa.array([png[:16]], pa.binary(16)),
        pa.array([True]),
        pa.array([[("a", png)]], pa.map_(pa.string(), pa.binary())),
        pa.array([0], pa.timestamp("ns")),
        pa.DictionaryArray.from_arrays(pa.array([0, None, 0]), [png]),
    ]
    for number, value in enumerate(values):
        for column in ("image", "pixels"):
            yield f"{column}{number}.parquet", parquet(**{column: value})
        count = len(value)
        yield f"label{number}.parquet", parquet(image=[png] * count, label=value)
        yield f"split{number}.parquet", parquet(image=[png] * count, label=["sad"] * count, split=value)
    for number, about in enumerate(
        (b"\xff", b"[" * 50_000, b"7", json.dumps({"info": {"features": []}}).encode())
    ):
        file = io.BytesIO()
        table = pa.table({"image": [png], "label": [0]}).replace_schema_metadata({b"huggingface": about})
        pq.write_table(table, file)
        yield f"metadata{number}.parquet", file.getvalue()
    whole = parquet(image=[png] * 3, label=["sad", "happy", "sad"], other=[1, 2, 3])
    yield "name.parquet", whole.replace(b"other", b"oth\xffr")
    yield "names.parquet", whole.replace(b"image", b"im\xffge")
    yield "text.parquet", whole.replace(b"happy", b"ha\xffpy")
    for kind, data in damaged(whole, 16, 120):
        yield f"{kind}.parquet", data


def unpacking(folder: Path, name: str, write: Callable[[Path], None], answers: int | None) -> str | None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # memory of its own
        pool.submit(write, folder / name).result()
    return complaint(
        command("predict", "--json", name, folder=folder), names=[name], answers=answers, memory=GIB
    )


def members(begin: bytes, repeated: bytes, path: Path) -> None:
    """A gzip file of 3 GB in a few kB: the same member many times over."""
    megabytes = gzip.compress(repeated * (2**25 // len(repeated)))
    path.write_bytes(gzip.compress(begin) + megabytes * 100)


def repeated(path: Path, value: bytes, rows: int) -> None:
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * rows), pa.array([value], pa.binary()))
    pq.write_table(pa.table({"image": shared}), path, compression="zstd")


def plain(path: Path, megabytes: int, rows: int) -> None:
    table = pa.table({"image": [bytes(megabytes << 20)] * rows})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)


BOMBS: Final = {
    "line.csv.gz": partial(members, b"emotion,pixels,Usage\n0,", b"0 "),
    "header.csv.gz": partial(members, b"", b"pixels,"),
    "quote.csv.gz": partial(members, b'pixels\n"', b"0 "),
    "blank.csv.gz": partial(members, b"pixels\n", b"\n"),
    "space.csv.gz": partial(members, b"pixels\n", b" "),
    "nul.csv.gz": partial(members, b"pixels\n", b"\0"),
    "bad.csv.gz": partial(members, b"pixels\n", b"1\n"),
    "cells.csv.gz": partial(members, b"pixels,a\n", b"1,"),
    "repeated.parquet": partial(repeated, value=bytes(2**22), rows=1000),
    "plain.parquet": partial(plain, megabytes=100, rows=3),
}


def cases() -> Iterator[Case]:
    files = {"csv": dict(csv_files()), "parquet": dict(parquet_files())}
    for kind, inputs in files.items():
        for verb, run in (("predict", predicted), ("train on", read)):
            group = Group(inputs, run)
            for name in inputs:
                yield Case(f"data files: {verb} {kind}", name, partial(group.check, name))
    for name, write in BOMBS.items():
        yield Case(
            "data files: unpack to gigabytes", name, partial(unpacking, name=name, write=write, answers=0)
        )
