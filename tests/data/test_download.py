"""The download is complete or leaves nothing, and its failures are one line."""

from pathlib import Path

import kagglehub
import pytest
import requests

from hierarchy.data import download
from hierarchy.data.formats import registry
from hierarchy.errors import InputError


def kaggle(monkeypatch, answer):
    """Put `answer(folder)` in Kaggle's place."""
    monkeypatch.setattr(kagglehub, "dataset_download", lambda handle, output_dir: answer(Path(output_dir)))


def test_the_csv_arrives(tmp_path, random_faces, monkeypatch):
    def answer(folder: Path) -> str:
        registry.export(random_faces(3), folder / "fer2013", "csv")
        return str(folder)

    kaggle(monkeypatch, answer)
    target = download.get(tmp_path / "data")
    assert [entry.name for entry in target.iterdir()] == ["fer2013.csv"]
    assert len(registry.read(target)) == 3


def test_nothing_is_fetched_twice(tmp_path, random_faces, monkeypatch):
    kaggle(monkeypatch, lambda folder: pytest.fail("downloaded again"))
    registry.export(random_faces(3), tmp_path / "data", "csv")
    assert download.get(tmp_path / "data") == tmp_path / "data"


def test_offline_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capfd):
    def answer(folder: Path) -> str:
        (folder / "half.zip").write_text("half")
        raise requests.ConnectionError("HTTPSConnectionPool(host='api.kaggle.com', port=443)\nMax retries")

    kaggle(monkeypatch, answer)
    with pytest.raises(InputError, match="fer2013.csv") as refusal:
        download.get(tmp_path / "data")
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error", [ValueError("403\n\nno permission"), RuntimeError("md5"), OSError(28, "disk full")]
)
def test_other_failures_are_one_line_too(tmp_path, monkeypatch, error):
    def answer(folder: Path) -> str:
        raise error

    kaggle(monkeypatch, answer)
    with pytest.raises(InputError, match=str(tmp_path)) as refusal:
        download.get(tmp_path)
    assert "\n" not in str(refusal.value)
    assert tmp_path.is_dir() and not list(tmp_path.iterdir())


def test_a_set_without_the_file_is_refused(tmp_path, monkeypatch):
    kaggle(monkeypatch, str)
    with pytest.raises(InputError, match="fer2013.csv"):
        download.get(tmp_path)
