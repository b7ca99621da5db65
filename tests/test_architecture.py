"""The layers hold, classes are named by trees only, every file says its purpose, and none is a catch-all."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hierarchy
from hierarchy.data.formats import FER2013_NAMES, FERPLUS_NAMES
from hierarchy.taxonomy import TREES

HOUSE = Path(hierarchy.__file__).parent
ROOT = HOUSE.parent
ROOMS = [ROOT / "tf_model.py", *sorted(HOUSE.rglob("*.py"))]
FILES = [*ROOMS, *sorted((ROOT / "tests").rglob("*.py"))]
CLASSES = {*FER2013_NAMES, *FERPLUS_NAMES, *(name for tree in TREES.values() for name in tree.branches)}
NAMING = ("hierarchy/taxonomy.py", "hierarchy/data/formats/", "hierarchy/data/synthetic/")

each_room = pytest.mark.parametrize("file", ROOMS, ids=lambda file: str(file.relative_to(ROOT)))


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def test_a_room_imports_only_rooms_below_it():
    linter = Path(sys.executable).with_name(
        "lint-imports"
    )  # a process of its own: it changes stdout for good
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@each_room
def test_a_file_opens_with_its_purpose(file):
    text = ast.get_docstring(parsed(file)) or ""
    assert len(text.split()) >= 5 and text.splitlines()[0][-1] in ".,:;", f"{file}: {text!r}"


def test_no_file_is_a_catch_all():
    assert not {file.stem for file in FILES} & {"utils", "util", "helpers", "helper", "common", "misc"}


@each_room
def test_classes_are_named_by_trees_only(file):
    """File formats and drawn faces are of certain expressions; everything else takes names from a tree."""
    if str(file.relative_to(ROOT)).startswith(NAMING):
        return
    written = [node.value for node in ast.walk(parsed(file)) if isinstance(node, ast.Constant)]
    assert not [word for word in written if isinstance(word, str) and word in CLASSES]


@each_room
def test_nothing_is_probed_for_attributes(file):
    names = {node.id for node in ast.walk(parsed(file)) if isinstance(node, ast.Name)}
    assert "hasattr" not in names
