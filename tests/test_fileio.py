"""Files appear whole or not at all, and what cannot be read or written is named in one line."""

import errno
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hierarchy import fileio
from hierarchy.errors import InputError


def fails_with(code: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_file_is_written_whole_with_its_folders(tmp_path):
    target = tmp_path / "new" / "folder" / "file"
    for data in (b"first", b"", b"second"):
        fileio.write_atomic(target, data)
        assert target.read_bytes() == data
    assert os.listdir(target.parent) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="who may read a file is said otherwise there")
def test_a_file_is_for_those_to_read_for_whom_the_user_writes(tmp_path):
    for number, mask in enumerate((0o022, 0o077)):
        before = os.umask(mask)
        try:
            fileio.write_atomic(tmp_path / str(number), b"data")
        finally:
            os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "01"] == [0o644, 0o600]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="devices in the file system are Unix's")
def test_a_device_stays_and_so_does_a_link(tmp_path):
    """Else `--csv /dev/null` would be the end of /dev/null."""
    pipe, link, file = (tmp_path / name for name in ("pipe", "link", "file"))
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="pipe"):
        fileio.write_atomic(pipe, b"data")
    assert pipe.is_fifo()
    link.symlink_to(file)
    fileio.write_atomic(link, b"data")
    assert link.is_symlink() and file.read_bytes() == b"data"


@pytest.mark.parametrize(
    ("step", "code", "reason"),
    [
        ("Path.touch", errno.EACCES, "Permission denied"),
        ("Path.touch", errno.EROFS, "Read-only file system"),
        ("os.fsync", errno.ENOSPC, "No space left on device"),
        ("os.replace", errno.EACCES, "Permission denied"),
    ],
)
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, step, code, reason):
    target = tmp_path / "file"
    target.write_bytes(b"before")
    monkeypatch.setattr(f"hierarchy.fileio.{step}", fails_with(code))
    with pytest.raises(InputError) as refusal:
        fileio.write_atomic(target, b"after")
    assert str(target) in str(refusal.value) and reason in str(refusal.value)
    assert target.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hierarchy.fileio.os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fileio.write_atomic(tmp_path / "file", b"data")
    assert not os.listdir(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "below", tmp_path):
        with pytest.raises(InputError, match="file"):
            fileio.write_atomic(target, b"data")
    assert os.listdir(tmp_path) == ["file"]


@settings(max_examples=30)
@given(some.recursive(some.none() | some.booleans() | some.floats(allow_nan=False) | some.text(), some.lists))
def test_json_comes_back_unrounded(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "value.json"
    fileio.write_json(file, value)
    assert fileio.read_json(file) == value


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_damaged_json_is_refused_on_one_line(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json") as refusal:
        fileio.read_json(tmp_path / "x.json")
    assert "\n" not in str(refusal.value)


def test_missing_json_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"x\.json"):
        fileio.read_json(tmp_path / "x.json")
