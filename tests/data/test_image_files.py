"""Image files of folders and globs: bad ones are named, links form no loops, other kinds are counted."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hierarchy.data import image_files, images
from hierarchy.errors import InputError, SkippedImage

DEEP = 1_500


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture, a link to nowhere, a link to itself, and a link to the folder."""
    monkeypatch.chdir(tmp_path)
    Path("good.png").touch()
    Path("nowhere.png").symlink_to("nothing.png")
    Path("loop.png").symlink_to("loop.png")
    Path("[x].png").symlink_to("nothing.png")
    Path("folder").symlink_to(".")
    return tmp_path


def found(*paths: str) -> list[str]:
    """The paths of files, and the beginnings of errors."""
    return [str(each).split(": ")[0] for each in image_files.find(paths)]


@pytest.mark.parametrize("path", ["nowhere.png", "loop.png", "loop.png/x", "[x].png"])
def test_a_link_that_leads_nowhere_is_one_error_beside_the_others(links: Path, path: str) -> None:
    bad, good = image_files.find([path, "good.png"])
    assert isinstance(bad, InputError) and str(bad).startswith(f"{path}: ") and good == Path("good.png")


@pytest.mark.parametrize("pattern", [".", "*.png", "**/*.png", "**/good.png", "**", "./**/**/*", "fold*"])
def test_no_link_to_a_folder_is_followed_twice(links: Path, pattern: str) -> None:
    names = [Path(name).name for name in found(pattern)]
    assert names.count("good.png") == 1


def test_a_folder_names_its_links_and_counts_those_to_folders(links: Path) -> None:
    left_out: Counter[str] = Counter()
    assert len(list(image_files.find(["."], left_out))) == 4
    assert left_out == {image_files.LINK: 1}


def test_what_is_left_out_is_counted_by_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(images, "suffixes", lambda: images.SUFFIXES)
    for name in ("a.png", "b.HEIC", "c.heic", "d/e.heic", "notes", "rows.csv"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    for paths, expected in (
        ((".",), {".heic": 3, image_files.NO_SUFFIX: 1, ".csv": 1}),
        (("*",), {".heic": 3, image_files.NO_SUFFIX: 1}),  # a data file is taken by a glob
        (("*.heic",), {}),
        (("a.png", "notes"), {}),
    ):
        left_out: Counter[str] = Counter()
        list(image_files.find(paths, left_out))
        assert left_out == expected, paths
    assert "3 files of other kinds left out (.heic 3)" in image_files.summary(Counter({".heic": 3}))
    assert "pip install" in image_files.summary(Counter({".heic": 3}))
    assert image_files.summary(Counter()) == ""
    many = image_files.summary(Counter({f".{number}": 1 for number in range(10_000)}))
    assert "10,000 files" in many and len(many) < 200
    (error,) = image_files.find(["d"])
    assert ".heic 1" in str(error)


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A picture in more folders than Python's stack has frames; pytest cannot remove it."""
    monkeypatch.chdir(tmp_path)
    for _ in range(DEEP):
        os.mkdir("d")
        os.chdir("d")
    Path("a.png").touch()
    os.chdir(tmp_path)
    yield
    os.chdir("d/" * DEEP)
    Path("a.png").unlink()
    for _ in range(DEEP):
        os.chdir("..")
        os.rmdir("d")


@pytest.mark.skipif(os.name == "nt", reason="Windows has short paths")
def test_folders_may_be_deeper_than_the_stack(deep: None) -> None:
    assert [Path(name).name for name in found(".")] == ["a.png"]
    assert [Path(name).name for name in found("**/*.png")] == ["a.png"]


def test_an_unexpected_exception_is_the_error_of_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def expand(path: str, others: Counter[str]) -> Iterator[Path]:
        yield Path(path) if path == "a" else Path(str(1 / 0))

    monkeypatch.setattr(image_files, "_expand", expand)
    bad, good = image_files.find(["b", "a"])
    assert good == Path("a") and isinstance(bad, SkippedImage) and bad.path == "b"
    assert isinstance(bad.__cause__, ZeroDivisionError)


def test_globs_that_name_the_same_folders_again_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").touch()
        (tmp_path / "a" / f"link {name}").symlink_to(".")
    for pattern in ("*/../" * 600 + "*/x.png", "**/../*/" + "*/../" * 99 + "*/x.png"):
        assert {path.resolve().parent.name for path in image_files.find([pattern])} == {"a", "b"}
    assert {path.resolve() for path in image_files.find(["a/" + "*/" * 39 + "x.png"])} == {
        tmp_path / "a" / "x.png"
    }
    assert isinstance(next(image_files.find(["*/../" * 20_000 + "*.png"])), InputError)
