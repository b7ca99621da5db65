"""The house stands: floors, one tree, files that say what they achieve, and no drawer for odds and ends."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hierarchy
from hierarchy.taxonomy import BRANCHES, FER7, FERPLUS8, LEAVES

HOUSE = Path(hierarchy.__file__).parent
ROOT = HOUSE.parent
ROOMS = [ROOT / "tf_model.py", *sorted(HOUSE.rglob("*.py"))]
FILES = [*ROOMS, *sorted((ROOT / "tests").rglob("*.py"))]
CLASSES = {*FER7, *FERPLUS8, *BRANCHES}

each_room = pytest.mark.parametrize("file", ROOMS, ids=lambda file: str(file.relative_to(ROOT)))


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def dictionaries(tree: ast.Module) -> Iterator[list[object]]:
    """The constant keys of every dict written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield [key.value for key in node.keys if isinstance(key, ast.Constant)]


def test_a_room_imports_only_rooms_below_it():
    linter = Path(sys.executable).with_name(
        "lint-imports"
    )  # a process of its own: it changes stdout for good
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@each_room
def test_a_file_opens_with_what_it_achieves(file):
    text = ast.get_docstring(parsed(file)) or ""
    assert len(text.split()) >= 5 and text.splitlines()[0][-1] in ".,:;", f"{file}: {text!r}"


def test_no_file_is_a_drawer_for_odds_and_ends():
    assert not {file.stem for file in FILES} & {"utils", "util", "helpers", "helper", "common", "misc"}


@each_room
def test_classes_are_named_by_the_taxonomy_alone(file):
    """Elsewhere an expression or a branch is written only as the key of a table that has all leaves."""
    if file.name == "taxonomy.py":
        return
    tree = parsed(file)
    tables = [keys for keys in dictionaries(tree) if CLASSES & set(keys)]
    for keys in tables:
        assert set(LEAVES) <= set(keys), f"{file}: a table without {set(LEAVES) - set(keys)}"
    written = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    named = [word for word in written if isinstance(word, str) and word in CLASSES]
    assert len(named) == sum(len(CLASSES & set(keys)) for keys in tables), f"{file}: {named}"


@each_room
def test_nothing_is_asked_whether_it_has_an_attribute(file):
    names = {node.id for node in ast.walk(parsed(file)) if isinstance(node, ast.Name)}
    assert "hasattr" not in names
