"""Locks keep a file's content, refuse a second holder, and end with the process that holds them."""

import subprocess
import sys

import pytest

from hierarchy.errors import InputError
from hierarchy.fileio import PACKAGE, exclusive_lock, read_toml, write_json

HOLD = """
import sys, time
from pathlib import Path
from hierarchy.fileio import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "held"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_is_exclusive_and_released_when_its_process_dies(tmp_path):
    file = tmp_path / "new" / "job.json"
    with exclusive_lock(file, "taken"):
        file.write_text("content")
    with subprocess.Popen([sys.executable, "-c", HOLD, file], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="^taken$"), exclusive_lock(file, "taken"):
            pass
        holder.kill()
    with exclusive_lock(file, "taken"), pytest.raises(InputError), exclusive_lock(file, "taken"):
        pass
    assert file.read_text() == "content" and list(file.parent.iterdir()) == [file]


def test_a_lock_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/lock"), exclusive_lock(tmp_path / "file" / "lock", "taken"):
        pass


def test_nothing_is_written_into_the_package():
    with pytest.raises(InputError, match="new.json"):
        write_json(PACKAGE / "new.json", {})
    assert not list(PACKAGE.glob("*new*"))


def test_a_toml_key_of_many_parts_is_refused_before_it_is_parsed(tmp_path):
    """The parser takes memory by their square: 3 GB for 56 kB."""
    path = tmp_path / "dots.toml"
    path.write_text("a = 'b.c'\n" * 200)
    with pytest.raises(InputError, match="dots.toml: cannot be read as TOML .Cannot overwrite"):
        read_toml(path, 10**6)
    path.write_text("a." * 28_000 + "b = 1\n")
    with pytest.raises(InputError, match="dots.toml: cannot be read as TOML .more than 100 dots"):
        read_toml(path, 10**6)
