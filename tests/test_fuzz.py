"""The readers that `make fuzz` mutates files for: they read the valid ones, and meet what was once found."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hostile"))
import fuzz

READERS = fuzz.readers()


@pytest.mark.parametrize("name", READERS)
def test_valid_files_are_read(name, tmp_path):
    reader = READERS[name]
    for data in reader.valid():
        path = tmp_path / f"valid{reader.suffix}"
        path.write_bytes(data)
        reader.read(path)


@pytest.mark.parametrize("name", READERS)
def test_mutated_files_are_met(name):
    reader = READERS[name]
    for path in fuzz.CORPUS.glob(f"{name}-*"):
        fuzz.check(reader, path.read_bytes())
    for data in reader.valid():
        for cut in range(0, len(data), max(1, len(data) // 20)):
            fuzz.check(reader, data[:cut])
            fuzz.check(reader, data[:cut] + bytes([data[cut] ^ 255]) + data[cut + 1 :])


def test_what_is_badly_met_is_found():
    broken = fuzz.Reader(".txt", lambda path: path.read_text(encoding="ascii"), lambda: [b"text" * 9])
    data = fuzz.found(broken, 0)
    assert data is not None
    with pytest.raises(UnicodeDecodeError):
        fuzz.check(broken, data)
