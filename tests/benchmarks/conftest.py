"""Shared fixtures of the benchmarks: cores, faces, the exported run, and the file of their results.

    make bench

They assert no speed, and `make test` does not collect them. At the end they write results/benchmarks.json,
from which results/benchmarks.md is made.
"""

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from hierarchy import runs

REPOSITORY = runs.home()
EXPORT = """
import os
from hierarchy import runs, runtimes
from hierarchy.evaluation import evaluate
from hierarchy.models import export
run, data = runs.run(runs.DEFAULT_RUN), None if os.environ.get("FER2013_DIR") else "sketch"
for kind, precision in runtimes.ENGINES.values():
    list(export.export(run, kind, precision, lambda: evaluate.faces_for(run.manifest(), data)))
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cores", type=int, help="Number of cores to measure on; Linux only.")


def pytest_configure(config: pytest.Config) -> None:
    if cores := config.getoption("--cores"):  # before any library counts cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


@pytest.fixture(scope="session")
def cores() -> str:
    return str(len(os.sched_getaffinity(0)))


@pytest.fixture
def all_cores(cores: str) -> None:
    """For benchmarks that are run once."""
    if cores == "1":
        pytest.skip("measured on all cores")


@pytest.fixture(scope="session")
def figures():
    """Results by kind; written after the last benchmark."""
    results: dict[str, Any] = {}
    yield results
    from benchmarks import report

    os.environ["HIERARCHY_HOME"] = str(REPOSITORY)
    print(report.write(results))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default run in a separate home, exported to every engine, and two other runs unchanged."""
    home = tmp_path_factory.mktemp("home")
    for run in (runs.DEFAULT_RUN, "small", "full"):
        shutil.copytree(REPOSITORY / "results" / run, home / "results" / run)
    environment = {**os.environ, "HIERARCHY_HOME": str(home)}
    subprocess.run([sys.executable, "-c", EXPORT], env=environment, check=True, capture_output=True)
    return str(home)


@pytest.fixture(autouse=True)
def own_home(exported: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the empty home of the tests."""
    monkeypatch.setenv("HIERARCHY_HOME", exported)
