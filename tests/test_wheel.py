"""The wheel holds the package, the shipped runs and nothing else, and predicts as the checkout does."""

import email
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hierarchy import errors, runs, runtimes
from hierarchy.fileio import read_json, sha256
from hierarchy.manifest import RunManifest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LARGEST, UNPACKED = 40_000_000, 45_000_000  # bytes of the wheel, and of what is unpacked of it
SHIPPED = ("duo", "fer2013", "full", "small", "tiny")
PORTRAIT = ROOT / "samples" / "portrait.jpg"


@pytest.fixture(scope="session")
def unpacked(wheel, tmp_path_factory) -> Path:
    """What an installation of the wheel puts into site-packages."""
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def python(unpacked, folder, *words) -> subprocess.CompletedProcess[str]:
    """Python with the unpacked wheel, in an empty folder that is the home folder too."""
    ours = ("HIERARCHY_HOME", "XDG_DATA_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(unpacked), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def command_line(unpacked, folder, *words) -> subprocess.CompletedProcess[str]:
    """The command line of the unpacked wheel."""
    return python(unpacked, folder, "-m", "hierarchy", *words)


def test_it_holds_the_package_the_runs_and_nothing_else(wheel, unpacked):
    files = [path for path in unpacked.rglob("*") if path.is_file()]
    assert wheel.stat().st_size <= LARGEST
    assert sum(path.stat().st_size for path in files) <= UNPACKED
    package = unpacked / "hierarchy"
    assert sorted(path.name for path in unpacked.iterdir() if path != package) == [
        f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info"
    ]
    kinds = {path.suffix for path in package.rglob("*") if path.is_file()} - {".py"}
    assert (
        kinds == {*(".onnx", ".json", ".md", ".typed", ".npz"), *(".jpg", ".mp4", ".js", ".css")}
        and (package / "py.typed").is_file()
    )
    modules = {path.relative_to(ROOT) for path in (ROOT / "hierarchy").rglob("*.py")}
    assert {path.relative_to(unpacked) for path in package.rglob("*.py")} == modules
    assert {path.name for path in (package / "samples").iterdir()} == {
        *("astronaut.jpg", "clip.mp4", "portrait.jpg")
    }
    assert sorted(path.name for path in (package / "weights").iterdir()) == sorted((*SHIPPED, "detector"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_run_has_every_net_that_predicts(unpacked, name):
    folder = unpacked / "hierarchy" / "weights" / name
    manifest = RunManifest.from_dict(read_json(folder / runs.MANIFEST), name)
    engine = next(engine for engine in runtimes.LOSSLESS if engine in manifest.exports)
    for node in runtimes.exported_nodes(manifest):
        for file, checksum in manifest.exports[engine][node].files.items():
            assert sha256((folder / file).read_bytes()) == checksum
    assert read_json(folder / "scores.json")["n"] and (folder / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_it_predicts_as_the_checkout_does(unpacked, tmp_path, name, monkeypatch, capsys):
    done = command_line(unpacked, tmp_path, "predict", "--run", name, PORTRAIT)
    assert (done.returncode, done.stderr, [*tmp_path.iterdir()]) == (0, "", [])
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))
    monkeypatch.setattr(sys, "argv", ["two-tier", "predict", "--run", name, str(PORTRAIT)])
    from hierarchy.cli.main import main

    assert main() == 0 and capsys.readouterr().out == done.stdout


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("predict", "--run", "nowhere", PORTRAIT), ("nowhere", "{home}/results", "{weights}", *SHIPPED)),
        (("predict", "--engine", "keras", PORTRAIT), ("{weights}/fer2013", runs.REPOSITORY_ONLY)),
        (("predict", "--engine", "litert", PORTRAIT), ("two-tier export --run fer2013",)),
        (("data", "audit"), ("{home}/data",)),
    ],
)
def test_what_is_not_found_is_refused_with_the_places(unpacked, tmp_path, words, parts):
    done = command_line(unpacked, tmp_path, *words)
    home = tmp_path / ".local" / "share" / errors.DISTRIBUTION
    named = {"home": home, "weights": unpacked / "hierarchy" / "weights"}
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert not [part for part in parts if part.format(**named) not in done.stderr]
    assert not home.exists()


def test_a_shipped_run_is_read_only(unpacked, tmp_path):
    weights = unpacked / "hierarchy" / "weights"
    before = {path: path.stat().st_mtime_ns for path in weights.rglob("*")}
    script = "from hierarchy import runs; runs.run('small').amend({'seed': 1})"
    done = python(unpacked, tmp_path, "-c", script)
    assert f"{weights / 'small' / runs.MANIFEST}: " in done.stderr.splitlines()[-1]
    assert before == {path: path.stat().st_mtime_ns for path in weights.rglob("*")}


def test_its_metadata_name_command_version_and_extras(unpacked):
    (info,) = unpacked.glob("*.dist-info")
    about = email.message_from_string((info / "METADATA").read_text())
    from hierarchy import __version__

    assert (about["Name"], about["Version"]) == (errors.DISTRIBUTION, __version__)
    (door,) = metadata.PathDistribution(info).entry_points
    assert (door.name, door.value) == ("two-tier", "hierarchy.cli.main:run")
    assert set(about.get_all("Provides-Extra")) >= {*errors.EXTRAS} - {errors.BASE} | {"test", "docs", "all"}


def requirements(extra: str) -> list[Requirement]:
    """What an extra, or a plain install, asks for, with what the extras that it names ask for."""
    listed = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    whole = []
    for each in map(Requirement, listed):
        deeper = [found for name in each.extras for found in requirements(name)]
        whole += deeper if each.name == errors.DISTRIBUTION else [each]
    return whole


def pins() -> dict[str, str]:
    """Version of every package that is pinned in a requirements file."""
    lines = [line for path in ROOT.glob("requirements*.txt") for line in path.read_text().splitlines()]
    listed = [line.split("#")[0].strip() for line in lines]
    pinned = [Requirement(line) for line in listed if line and not line.startswith("-")]
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in pinned}


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_every_range_has_two_bounds_and_holds_the_pinned_version(extra):
    for each in requirements(extra):
        assert {bound.operator for bound in each.specifier} == {">=", "<"}, each
        assert each.specifier.contains(pins()[canonicalize_name(each.name)]), each


@pytest.mark.parametrize("extra", errors.EXTRAS)
def test_the_modules_of_an_extra_are_of_its_packages(extra):
    asked = {canonicalize_name(each.name) for each in requirements(extra)}
    installed = metadata.packages_distributions()
    for module in errors.EXTRAS[extra][1]:
        names = {canonicalize_name(name) for name in installed.get(module, ())}
        assert not names or names & asked, f"{module} is of {names}"
    assert (ROOT / errors.EXTRAS[extra][0]).is_file()


@pytest.mark.parametrize(("module", "code"), [("rich", 2), ("hierarchy.training.progress", 1)])
def test_a_missing_library_is_one_line_and_a_missing_module_of_ours_a_bug(unpacked, tmp_path, module, code):
    start = "from hierarchy.cli.main import main; sys.exit(main())"
    script = f"import sys; sys.modules[{module!r}] = None; {start}"
    done = python(unpacked, tmp_path, "-c", script, "video", "clip.mp4")
    assert done.returncode == code and module in done.stderr
    assert ("--debug" in done.stderr) == (code == 1) == ("pip install" not in done.stderr)
