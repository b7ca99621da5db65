"""What the benchmarks share: cores, faces, the exported run, and the file that their figures go to.

    make bench

They are no tests and assert no speed: `make test` does not collect them. All write into
results/benchmarks.json when they end, and results/benchmarks.md is drawn from it.
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
from hierarchy import engines, runs
from hierarchy.nets import export
from hierarchy.reports import evaluation
run, data = runs.run(runs.SHIPPED), None if os.environ.get("FER2013_DIR") else "sketch"
for kind, precision in engines.ENGINES.values():
    list(export.export(run, kind, precision, lambda: evaluation.faces_for(run.card(), data)))
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cores", type=int, help="Measure on so many cores; Linux only.")


def pytest_configure(config: pytest.Config) -> None:
    if cores := config.getoption("--cores"):  # before any library counts them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


@pytest.fixture(scope="session")
def cores() -> str:
    return str(len(os.sched_getaffinity(0)))


@pytest.fixture
def all_cores(cores: str) -> None:
    """For what is measured once."""
    if cores == "1":
        pytest.skip("measured on all cores")


@pytest.fixture(scope="session")
def figures():
    """What is measured, by kind; written when the last benchmark has ended."""
    found: dict[str, Any] = {}
    yield found
    from hierarchy.evaluation import benchmarks

    os.environ["HIERARCHY_HOME"] = str(REPOSITORY)
    print(benchmarks.write(found))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped run in a home of its own, exported to every engine, and two others as they are."""
    home = tmp_path_factory.mktemp("home")
    for run in (runs.DEFAULT_RUN, "small", "full"):
        shutil.copytree(REPOSITORY / "results" / run, home / "results" / run)
    environment = {**os.environ, "HIERARCHY_HOME": str(home)}
    subprocess.run([sys.executable, "-c", EXPORT], env=environment, check=True, capture_output=True)
    return str(home)


@pytest.fixture(autouse=True)
def own_home(exported: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the tests' empty one."""
    monkeypatch.setenv("HIERARCHY_HOME", exported)
