"""The notebooks run from top to bottom, define nothing, show plots, and are committed without outputs."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "nb"
BOOKS = sorted(FOLDER.glob("*.ipynb"))
PLOTS = {"results": 5, "errors": 1, "quickstart": 1}  # cells that must give an image


@pytest.mark.long
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_notebook(path, monkeypatch):
    book = nbformat.read(path, as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code), "outputs are not committed: nbstripout nb/*.ipynb"
    assert not any(line.startswith("def ") for cell in code for line in cell.source.splitlines())
    monkeypatch.delenv("HIERARCHY_HOME", raising=False)  # the notebooks show the default run
    monkeypatch.delenv(
        "MPLBACKEND", raising=False
    )  # Streamlit, in other tests, sets it; the kernel has its own
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    NotebookClient(
        book, timeout=300, iopub_timeout=60, resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    assert any(cell.outputs for cell in code)
    plotting = [cell for cell in code if "display(" in cell.source or "plt.subplots" in cell.source]
    assert all(images(cell) for cell in plotting)
    assert not any("<Figure" in str(output) for cell in code for output in cell.outputs if not images(cell))
    assert len(plotting) == PLOTS.get(path.stem, len(plotting))


def images(cell: nbformat.NotebookNode) -> list[bytes]:
    """PNGs among the outputs of a cell."""
    return [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]


def source_of(name: str) -> str:
    return "\n".join(cell.source for cell in nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells)


def test_results_take_names_and_counts_from_the_run():
    source = source_of("results")
    assert "captions.coverage(scores)" in source and "of seven" not in source
    assert "run.history()" in source and "csv" not in source
    assert source.count("reported for the earlier two-tier system of this design") == 1


def test_no_example_face_is_shown_twice():
    cell = next(part for part in source_of("explore").split("\n") if "random.choice" in part)
    random, found = np.random.default_rng(0), [np.arange(9), np.arange(3)]
    scope = {"random": random, "found": found}
    exec(cell, scope)
    enough, few = scope["rows"]
    assert len(set(enough)) == len(few) == 8  # too few fill their places by showing some twice


def test_there_are_notebooks():
    assert [path.stem for path in BOOKS] == ["errors", "explore", "quickstart", "results"]
