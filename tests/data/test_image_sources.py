"""All kinds of sources list the same images in the same order, unreadable ones included."""

import csv
import re
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
    monkeypatch.setattr(image_files, "find", lambda paths: iter([folder / "a.png", refused]))
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
