"""The wheel in empty environments, from the package index: `make test-install`.

Everything runs in an empty folder outside of the checkout, with a home folder that cannot be written.
"""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hierarchy.cli.options import COMMANDS

ROOT = Path(__file__).parents[2]
PORTRAIT = ROOT / "samples" / "portrait.jpg"
TWO_TIER = ("two-tier",)
LARGEST = 420_000_000  # bytes of a plain install without pip and what belongs to it
PIPS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
RUN = re.compile(r"^RUN ((?:.*\\\n)*.*)", re.MULTILINE)  # with the lines that it goes on in
EXTRAS = {  # of commands that a plain install refuses
    "train": "train",
    "data get": "train",
    "detector train": "train",
    f"video {ROOT / 'samples' / 'clip.mp4'}": "video",
    f"batch {ROOT / 'samples'} --out out": "scale",
    "tune --node flat": "scale",
    "app": "web",
    "serve": "serve",
}

Environment = Path
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The empty folder that commands run in."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home folder without the right to write; nothing may be written for another reason either."""
    folder = tmp_path_factory.mktemp("home")
    folder.chmod(0o555)
    return folder


@pytest.fixture(scope="module")
def variables(home) -> dict[str, str]:
    """The environment variables of commands."""
    return {"HOME": str(home), "PATH": os.defpath, "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def newest(tmp_path_factory, wheel) -> Environment:
    """The wheel with the newest versions of what it needs."""
    return installed(tmp_path_factory.mktemp("newest"), wheel)


@pytest.fixture(scope="module")
def lowest(tmp_path_factory, wheel) -> Environment:
    """The wheel with the oldest versions that it allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = {
        each.name: bound.version
        for each in map(Requirement, project["dependencies"])
        for bound in each.specifier
        if bound.operator == ">="
    }
    versions = [f"{name}=={version}" for name, version in bounds.items()]
    return installed(tmp_path_factory.mktemp("lowest"), wheel, *versions)


def installed(place: Path, *packages: str | Path) -> Environment:
    """A new environment with packages; its size and the seconds of the install are printed by `size`."""
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    began = time.monotonic()
    subprocess.run([*pip, *packages], check=True)
    (place / "seconds").write_text(f"{time.monotonic() - began:.0f}")
    return place


@pytest.fixture
def command(newest, folder, variables) -> Command:
    """Runs a program of an environment, by default the newest."""

    def run(*words: object, environment: Environment = newest) -> subprocess.CompletedProcess[str]:
        program, *rest = map(str, words)
        line = [environment / "bin" / program, *rest]
        return subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False)

    return run


def size(environment: Environment) -> int:
    """Bytes of the installed packages without pip."""
    (packages,) = environment.glob("lib/python*/site-packages")
    parts = [path for path in packages.iterdir() if path.name.split("-")[0] not in PIPS]
    files = [file for part in parts for file in (part, *part.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files)


def test_a_plain_install_is_small(newest, lowest, capsys):
    with capsys.disabled():
        for name, environment in (("newest", newest), ("lowest", lowest)):
            seconds = (environment / "seconds").read_text()
            print(f"\n{name}: {size(environment) / 1e6:.0f} MB without pip, installed in {seconds} s", end="")
    assert size(newest) <= LARGEST


@pytest.mark.parametrize("run", ["fer2013", "small", "full", "duo", "tiny"])
@pytest.mark.parametrize("environment", ["newest", "lowest"])
@pytest.mark.parametrize("door", [TWO_TIER, ("python", "-m", "hierarchy")], ids=" ".join)
def test_it_predicts_as_the_checkout_does(command, request, environment, door, run):
    words = ("predict", "--run", run, PORTRAIT)
    checkout = subprocess.run(
        [sys.executable, ROOT / "tf_model.py", *words],
        env={**os.environ, "HIERARCHY_HOME": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    done = command(*door, *words, environment=request.getfixturevalue(environment))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", checkout.stdout)
    assert PORTRAIT.name in done.stdout


def test_its_snippet_predicts(command):
    code = "import hierarchy, sys; print(*hierarchy.HierarchicalClassifier.load().predict([sys.argv[1]]))"
    done = command("python", "-c", code, PORTRAIT)
    assert (done.returncode, done.stderr) == (0, "") and f" > {done.stdout.strip()} " in predicted(command)


def predicted(command: Command) -> str:
    return command(*TWO_TIER, "predict", PORTRAIT).stdout


@pytest.mark.parametrize("environment", ["newest", "lowest"])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_command_has_help(command, request, environment, name):
    done = command(*TWO_TIER, *name.split(), "--help", environment=request.getfixturevalue(environment))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: two-tier {name}".strip())


@pytest.mark.parametrize("words", EXTRAS)
def test_a_missing_extra_is_one_line(command, words):
    done = command(*TWO_TIER, *words.split())
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert line.endswith(f': pip install "two-tier-expressions[{EXTRAS[words]}]"')


def test_weights_that_were_damaged_are_refused_by_name(command, tmp_path, wheel):
    broken = installed(tmp_path / "broken", "--no-deps", wheel)
    (net,) = broken.glob("lib/python*/site-packages/hierarchy/weights/fer2013/router*.onnx")
    net.write_bytes(net.read_bytes()[:-1] + b"?")
    (packages,) = broken.glob("lib/python*/site-packages")
    start = "from hierarchy.cli.main import main; sys.exit(main())"
    code = f"import sys; sys.path.insert(0, sys.argv.pop(1)); {start}"
    done = command("python", "-c", code, packages, "predict", PORTRAIT)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and str(net) in done.stderr


@contextmanager
def serving(program: Path, folder: Path, variables: dict[str, str]) -> Iterator[str]:
    """The address of `serve` on a free port."""
    line = [program, "serve", "--port", "0"]
    with subprocess.Popen(line, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def test_the_container_serves(wheel, folder, variables, tmp_path, command):
    """The RUN lines of the Dockerfile, in an environment in place of the image."""
    place = {"WHEELS": str(wheel.parent), "VENV": str(tmp_path / "venv")}
    for line in RUN.findall((ROOT / "Dockerfile").read_text()):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        subprocess.run(["sh", "-c", line], check=True, env={**os.environ, **place, "PATH": path})
    with serving(tmp_path / "venv" / "bin" / "two-tier", folder, variables) as address:
        assert urllib.request.urlopen(f"{address}/healthz").status == 200
        kind = {"Content-Type": "image/jpeg"}
        request = urllib.request.Request(f"{address}/predict", PORTRAIT.read_bytes(), kind)
        (image,) = json.load(urllib.request.urlopen(request))["images"]
    assert f" > {image['faces'][0]['label']} " in predicted(command)


def test_at_last_nothing_was_written(folder, home):
    assert not [*folder.iterdir(), *home.iterdir()]
