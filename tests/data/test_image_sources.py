"""All kinds of sources list the same images in the same order, unreadable ones included."""

import csv
import os
import re
import tarfile
import threading
import zipfile
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierarchy.data import image_files, image_sources
from hierarchy.data.image_sources import Entry
from hierarchy.errors import InputError, SkippedImage


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "shots"
    (place / "more").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "more/c.png"):
        (place / name).write_bytes(name.encode())
    (place / "notes.txt").write_text("no picture")
    return place


NAMES = ("a.jpg", "b.png", "more/c.png")


def listed(source) -> list[Entry]:
    return list(image_sources.entries(str(source)))


def test_a_folder_and_a_glob_name_their_pictures(folder):
    assert listed(folder) == [Entry(str(folder / name)) for name in NAMES]
    assert listed(f"{folder}/*.png") == [Entry(str(folder / "b.png"))]


def test_an_address_names_the_same_pictures(folder):
    assert [Path(entry.path.removeprefix("file://")) for entry in listed(f"file://{folder}")] == [
        folder / name for name in NAMES
    ]
    assert [entry.path[-5:] for entry in listed(f"file://{folder}/*.png")] == ["b.png"]


def test_pictures_in_memory_have_an_address_too():
    import fsspec

    with fsspec.open("memory://shots/a.png", "wb") as file:
        file.write(b"a")
    assert listed("memory://shots") == [Entry("memory:///shots/a.png")]


def test_lists_name_what_lies_beside_them(folder):
    rows = [*NAMES, "gone.png", str(folder / "b.png")]
    with (folder / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["who", "path"], *(["x", row] for row in rows)])
    pq.write_table(pa.table({"path": rows}), folder / "list.parquet")
    expected = [Entry(str(folder / row)) for row in rows]
    assert listed(folder / "list.csv") == listed(folder / "list.parquet") == expected


def test_a_folder_that_cannot_be_read_is_an_entry_that_cannot(folder, monkeypatch):
    refused = SkippedImage("locked", "locked: cannot be read")
    monkeypatch.setattr(image_files, "find", lambda paths, left_out: iter([folder / "a.png", refused]))
    assert listed(folder) == [Entry(str(folder / "a.png")), Entry("locked")]


@pytest.mark.parametrize("column", ["image", "bytes"])
def test_parquet_may_hold_the_pictures(tmp_path, column):
    held = [b"one", None, b"three"]
    values = [{"bytes": data, "path": "p"} for data in held] if column == "image" else held
    path = tmp_path / "faces.parquet"
    pq.write_table(pa.table({column: values}), path)
    assert listed(path) == [Entry(f"{path}#{row}", data or b"") for row, data in enumerate(held)]
    assert list(image_sources.entries(str(path), pixels=False)) == [
        Entry(f"{path}#{row}") for row in range(3)
    ]


def test_parts_are_whole_but_for_the_last(folder):
    assert [len(part) for part in image_sources.parts(str(folder), 2)] == [2, 1]
    number, names = image_sources.fingerprint(str(folder))
    assert number == len(NAMES) and names == image_sources.fingerprint(str(folder))[1]
    (folder / "d.png").touch()
    assert image_sources.fingerprint(str(folder)) != (number, names)


@pytest.mark.parametrize(
    "name",
    [
        "nowhere",
        "nowhere/*.png",
        "nowhere.csv",
        "nowhere.parquet",
        "bad.parquet",
        "other.csv",
        "other.parquet",
    ]
    + ["numbers.parquet", "open.csv", "empty.csv"],
)
def test_a_source_without_images_is_refused(tmp_path, name):
    (tmp_path / "bad.parquet").write_text("no table")
    (tmp_path / "other.csv").write_text("name\na.png\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "open.csv").write_text('path\n"' + "a.png\n" * 30_000)  # a quote that never ends
    pq.write_table(pa.table({"name": ["a.png"]}), tmp_path / "other.parquet")
    pq.write_table(pa.table({"path": [1, 2]}), tmp_path / "numbers.parquet")
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / name}: ")) as caught:
        listed(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(InputError, match="nosuch://a"):
        listed("nosuch://a")


@pytest.fixture
def address(folder, monkeypatch):
    """An http address of the folder's parent, which holds pictures, archives of them, and lists."""
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    names = [*NAMES, "notes.txt", "list.csv"]
    (folder / "list.csv").write_text("path\nmore/c.png\n")
    with zipfile.ZipFile(folder.parent / "a.zip", "w") as archive:
        for name in names:
            archive.write(folder / name, f"in/{name}")
    with tarfile.open(folder.parent / "a.tar.gz", "w:gz") as archive:
        for name in names:
            archive.add(folder / name, f"in/{name}")
    with fsspec.open("memory://kept/a.zip", "wb") as file:
        file.write((folder.parent / "a.zip").read_bytes())
    for name in names:
        with fsspec.open(f"memory://kept/in/{name}", "wb") as file:
            file.write((folder / name).read_bytes())
    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
    image_sources._archive.cache_clear()


CHAINS = {
    "zip": "zip://in{}::a.zip",
    "zip in memory": "zip://in{}::memory://kept/a.zip",
    "zip by http, kept": "zip://in{}::simplecache::{address}/a.zip",
    "tar": "tar://in{}::file://{here}/a.tar.gz",
    "memory": "memory://kept/in{}",
    "http": "{address}/shots{}",
    "file, kept": "simplecache::file://{here}/shots{}",
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_pictures_are_listed_and_read_through_the_whole_chain(address, folder, chain):
    def of(end):
        return chain.format(end, address=address, here=folder.parent)

    others = Counter()
    entries = list(image_sources.entries(of("/"), left_out=others))
    assert [image_sources.read(entry.path) for entry in entries] == [name.encode() for name in NAMES]
    assert others.keys() == {".txt", ".csv"}
    assert [image_sources.read(path) for path, _ in listed(of("/*.jpg"))] == [b"a.jpg"]
    assert [image_sources.read(path) for path, _ in listed(of("/list.csv"))] == [b"more/c.png"]


def test_an_address_that_cannot_be_read_is_named(address, monkeypatch):
    for name in ("zip://in/gone.png::a.zip", "zip://a.png::gone.zip", f"{address}/gone.png", "nosuch://a"):
        with pytest.raises(SkippedImage, match=re.escape(name)):
            image_sources.read(name)
    monkeypatch.setattr(image_sources, "MAX_BYTES", 4)
    with pytest.raises(SkippedImage, match="more than"):
        image_sources.read("memory://kept/in/a.jpg")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_of_other_programs(tmp_path, separator, encoding):
    rows = [["who", "path"], ["x", "a, b.png"], ["y"], [], ["z", " c.png", "more"]]
    with (tmp_path / "list.csv").open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    assert listed(tmp_path / "list.csv") == [
        Entry(str(tmp_path / name)) for name in ("a, b.png", "", " c.png")
    ]


def test_a_pipe_is_refused_unopened(tmp_path):
    for name in ("list.csv", "list.parquet"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match=name):
            listed(tmp_path / name)


@pytest.mark.parametrize("scheme", ["file", "local"])
@pytest.mark.parametrize("form", ["{scheme}://{pipe}", "zip://*.png::{scheme}://{pipe}"])
def test_an_address_of_a_pipe_is_refused_unopened(tmp_path, form, scheme):
    os.mkfifo(tmp_path / "pipe")
    address = form.format(scheme=scheme, pipe=tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe"):
        listed(address)
    with pytest.raises(InputError, match="pipe"):
        image_sources.read(address)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_compressed_archive_is_unpacked_to_a_bound(tmp_path, monkeypatch, kind):
    (tmp_path / "a.png").write_bytes(b"picture")
    with tarfile.open(tmp_path / f"a.tar.{kind}", f"w:{kind}") as archive:
        archive.add(tmp_path / "a.png", "a.png")
    address = f"tar://*.png::file://{tmp_path}/a.tar.{kind}"
    (entry,) = listed(address)
    assert image_sources.read(entry.path) == b"picture"
    monkeypatch.setattr(image_sources, "UNPACKED", 1000)
    with pytest.raises(InputError, match=r"a\.tar"):
        listed(address)


def test_parts_hold_few_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(image_sources, "PART_BYTES", 10)
    pq.write_table(
        pa.table({"image": [b"1234", b"12345", b"12", b"123456789012", b"1"]}), tmp_path / "x.parquet"
    )
    assert [len(part) for part in image_sources.parts(str(tmp_path / "x.parquet"), 4)] == [2, 1, 1, 1]


def test_rows_that_only_a_number_claims_are_not_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(image_sources, "MAX_ROWS", 2)
    pq.write_table(pa.table({"image": [b"", b"", b""]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="x.parquet: 3 rows"):
        image_sources.fingerprint(str(tmp_path / "x.parquet"))
