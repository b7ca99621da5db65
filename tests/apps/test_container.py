"""The container runs the service without rights, on a read-only root, from the wheel."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import hierarchy

ROOT = Path(hierarchy.__file__).parents[1]
LINES = (ROOT / "Dockerfile").read_text().splitlines()


def test_the_image_runs_the_service_without_rights():
    starts = [line.split()[0] for line in LINES if line and line[0].isupper()]
    assert starts.count("RUN") == 1 and {"USER", "HEALTHCHECK", "ENTRYPOINT"} <= set(starts)
    (user,) = [line.split()[1] for line in LINES if line.startswith("USER")]
    assert user.split(":")[0].isdecimal() and int(user.split(":")[0]) > 0
    assert all("slim" in line for line in LINES if line.startswith("FROM"))


def test_compose_takes_all_rights_away():
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_hadolint_finds_nothing():
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if not linter:
        pytest.skip("needs hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
