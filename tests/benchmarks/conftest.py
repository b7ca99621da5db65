"""Shared fixtures of the benchmarks: cores, rounds, the exported runs, and the file of their results.

    make bench

They assert no speed, and `make test` does not collect them. At the end they write results/benchmarks.json,
from which results/benchmarks.md and the pictures are made. `--quick` shows that they run: two rounds of each,
and the results go to a temporary folder.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from benchmarks import frontier, processor

from hierarchy import runs
from hierarchy.evaluation import benchmarks

REPOSITORY = runs.home()
EXPORT = """
import os, sys
from hierarchy import runs, runtimes
from hierarchy.evaluation import evaluate
from hierarchy.models import export
data = None if os.environ.get("FER2013_DIR") else "sketch"
for name, engine in (word.split(":") for word in sys.argv[1:]):
    run = runs.run(name)
    list(export.export(run, *runtimes.ENGINES[engine], lambda: evaluate.faces_for(run.manifest(), data)))
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cores", type=int, help="Number of cores to measure on; Linux only.")
    parser.addoption(
        "--quick", action="store_true", help="Two rounds of each, written to a temporary folder."
    )


def pytest_configure(config: pytest.Config) -> None:
    processor.of_this_machine()  # all of its cores
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
def rounds(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """The number of rounds instead of the usual one, which --quick reduces."""
    quick = request.config.getoption("--quick")
    return lambda usual: min(usual, 2) if quick else usual


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest, exported: str):
    """Results by kind; written after the last benchmark."""
    results: dict[str, Any] = {}
    yield results
    from benchmarks import report

    os.environ["HIERARCHY_HOME"] = exported if request.config.getoption("--quick") else str(REPOSITORY)
    print(report.write(results))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The runs in a separate home, exported to the engines that are measured."""
    results = tmp_path_factory.mktemp("home") / "results"
    wanted = []
    for run in frontier.stored():
        shutil.copytree(REPOSITORY / "results" / run, results / run)
        known = runs.run(run).manifest().exports
        wanted += [f"{run}:{engine}" for engine in frontier.engines(run) if engine not in known]
    shutil.copy(REPOSITORY / "results" / benchmarks.FILE, results)
    home = str(results.parent)
    environment = {**os.environ, "HIERARCHY_HOME": home}
    subprocess.run([sys.executable, "-c", EXPORT, *wanted], env=environment, check=True, capture_output=True)
    return home


@pytest.fixture(autouse=True)
def own_home(exported: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the empty home of the tests."""
    monkeypatch.setenv("HIERARCHY_HOME", exported)
