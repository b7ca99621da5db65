"""The notebooks run from top to bottom, define nothing, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "nb"
BOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_notebook(path, monkeypatch):
    book = nbformat.read(path, as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code), "outputs are not committed: nbstripout nb/*.ipynb"
    assert not any(line.startswith("def ") for cell in code for line in cell.source.splitlines())
    monkeypatch.delenv("HIERARCHY_HOME", raising=False)  # the notebooks show the shipped run
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert any(cell.outputs for cell in code)


def test_there_are_notebooks():
    assert [path.stem for path in BOOKS] == ["explore", "results"]
