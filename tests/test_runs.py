"""A run gives out only the very nets it stored, and its manifest is checked as it is read."""

import errno
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hierarchy import fileio, runs
from hierarchy.errors import DISTRIBUTION, InputError
from hierarchy.manifest import CHECKSUM, LEVELS, Calibration
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE, Tree

NET = b"the bytes of a net"
ON = {"backend": "tensorflow"}
RECIPE = {"recipe": {"name": "made"}}
OTHER = Tree({"up": ["bright", "calm"], "down": ["dull"]}, aliases={"grey": "dull"})
CALIBRATED = {"offset": [0.0], "temperature": 1.0}
SCORED = {"n": 9, "quantiles": [0.5] * LEVELS}
SCORES = dict.fromkeys(VALENCE.branches, SCORED)
WIDE = [1.5] * LEVELS


def add(run: runs.Run, node: str = ROUTER, data: bytes = NET, tree: Tree = VALENCE, **about) -> None:
    run.add_net(node, data, about | ON, RECIPE, tree)


@pytest.fixture
def made(own_home) -> runs.Run:
    """A run with one file in place of a net."""
    run = runs.run("made")
    add(run, epochs=3)
    return run


def stored(run: runs.Run) -> dict:
    return json.loads((run.folder / runs.MANIFEST).read_text())


def change(run: runs.Run, values: object) -> None:
    """Write other values into the manifest, without a checksum."""
    whole = stored(run) | {CHECKSUM: None} | values if isinstance(values, dict) else values
    if isinstance(whole, dict):
        del whole[CHECKSUM]
    fileio.write_json(run.folder / runs.MANIFEST, whole)


def test_a_net_is_found_again(made):
    assert made.trained and made.net(ROUTER).read_bytes() == NET
    manifest = made.manifest()
    assert manifest.tree is VALENCE and manifest.run == "made" and not manifest.complete
    net = manifest.nets[ROUTER]
    assert (net.file, net.sha256, net.epochs, net.size) == ("router.keras", fileio.sha256(NET), 3, len(NET))
    assert stored(made)["nets"][ROUTER]["versions"]["numpy"]
    assert stored(made)["tree_hash"] == VALENCE.hash == "8ad23beafa18"


def test_a_manifest_is_checked_once_until_it_changes(made):
    assert made.manifest() is made.manifest()
    made.amend({"seed": 4})
    assert made.manifest().seed == 4


def test_a_run_carries_its_own_tree(own_home):
    run = runs.run("mine")
    add(run, tree=OTHER)
    add(run, "up", tree=OTHER)
    assert run.manifest().tree == OTHER and run.manifest().complete
    assert run.manifest().tree.leaf_named("Grey") == "dull"


def test_a_second_net_joins_the_first(made):
    add(made, FLAT, b"another")
    add(made, ROUTER, b"better")
    assert set(made.manifest().nets) == {ROUTER, FLAT}
    assert made.net(ROUTER).read_bytes() == b"better" and made.net(FLAT).read_bytes() == b"another"


def test_amending_keeps_the_rest(made):
    before = stored(made)
    made.amend({"calibration": {ROUTER: {"offset": [0.5, 0], "temperature": 1.5}}})
    assert {**stored(made), **before}.keys() == stored(made).keys() == {*before, "calibration"}
    assert all(stored(made)[key] == before[key] for key in before if key != CHECKSUM)
    assert made.manifest().calibration == {ROUTER: Calibration((0.5, 0.0), 1.5)}


@pytest.mark.skipif(os.name == "nt", reason="folders are not locked on Windows")
def test_what_is_exported_at_once_is_all_listed(made):
    engines = {f"engine-{number}" for number in range(16)}
    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(lambda engine: made.add_export(engine, {}), engines))
    assert set(stored(made)["exports"]) == engines and made.manifest()


def test_a_net_of_another_run_is_copied_with_its_record(made):
    runs.write_history(made.folder, [{"node": ROUTER, "epoch": 1}, {"node": FLAT, "epoch": 1}])
    other = runs.run("other")
    runs.copy_net(made, other, ROUTER, RECIPE)
    assert other.net(ROUTER).read_bytes() == NET
    assert other.manifest().nets[ROUTER].copied_from == "made" and other.manifest().nets[ROUTER].epochs == 3
    assert [row["node"] for row in other.history()] == [ROUTER]


@settings(max_examples=30)
@given(some.integers(0, len(NET) * 8 - 1))
def test_any_flipped_bit_is_noticed(tmp_path_factory, bit):
    folder = tmp_path_factory.getbasetemp() / "flipped"
    run = runs.Run("flipped", folder, folder)
    damaged = bytearray(NET)
    damaged[bit // 8] ^= 1 << bit % 8
    add(run)
    (folder / "router.keras").write_bytes(damaged)
    with pytest.raises(InputError, match=r"router\.keras"):
        run.net(ROUTER)


def test_missing_nets_are_named(made):
    with pytest.raises(InputError, match="'made'.*flat.*router"):
        made.net(FLAT)
    (made.folder / "router.keras").unlink()
    with pytest.raises(InputError, match=r"router\.keras"):
        made.net(ROUTER)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        {"tree": ["happy"]},
        {"tree": {"up": ["x"]}},
        {"tree": {"up": ["x"], "down": []}},
        {"tree": {"up": ["x"], "down": ["x"]}},
        {"nets": None},
        {"recipe": "short"},
        {"seed": "0"},
        {"seed": True},
        {"settings": [1]},
        {"data": []},
        {"start": {"first": 3}},
        {"nets": {ROUTER: {"file": "x", "sha256": "x", "classes": [1]}}},
        {"nets": {ROUTER: "router.keras"}},
        {"nets": {ROUTER: {"file": "router.keras"}}},
        {"nets": {ROUTER: {"file": 3, "sha256": "x"}}},
        {"nets": {ROUTER: {"file": "x", "sha256": "x", "epochs": "many"}}},
        {"exports": []},
        {"exports": {"onnx": "yes"}},
        {"exports": {"onnx": {ROUTER: {"files": {}}}}},
        {"exports": {"onnx": {ROUTER: {"files": [], "net": ""}}}},
        {"calibration": {ROUTER: 1.5}},
        {"calibration": {ROUTER: {"offset": [0.0], "temperature": 0}}},
        {"calibration": {ROUTER: {"offset": [0.0], "temperature": -1}}},
        {"calibration": {ROUTER: {"offset": [float("nan")], "temperature": 1}}},
        {"calibration": {ROUTER: {"offset": [0.0], "temperature": float("inf")}}},
        {"calibration": {ROUTER: {"offset": [0.0], "temperature": 1e-320}}},
        {"calibration": {ROUTER: {"offset": [1e300], "temperature": 1}}},
        {"conformal": {"calibration": {}, "branches": {}}},
        {"conformal": {"calibration": {"none": CALIBRATED}, "branches": SCORES}},
        {"conformal": {"calibration": {}, "branches": {**SCORES, "none": SCORED}}},
        {"conformal": {"calibration": {}, "branches": dict.fromkeys(SCORES, SCORED | {"n": 0})}},
        {"conformal": {"calibration": {}, "branches": dict.fromkeys(SCORES, SCORED | {"quantiles": [0.5]})}},
        {"conformal": {"calibration": {}, "branches": dict.fromkeys(SCORES, SCORED | {"quantiles": WIDE})}},
        {"calibration": {ROUTER: {"offset": [0.0] * 5, "temperature": 1}}},
        {"calibration": {"x\ny": {"offset": [0.0], "temperature": 1}}},
        {"nets": {ROUTER: {"file": "../router.keras", "sha256": "x"}}},
        {"nets": {ROUTER: {"file": "x", "sha256": "x", "minutes": float("nan")}}},
        {"exports": {"onnx": {ROUTER: {"files": {}, "net": ""}}}},
        {"exports": {"onnx": {ROUTER: {"files": {"/etc/passwd": ""}, "net": ""}}}},
        {"recipe": {"net": []}},
        {"data": {"counts": {"Training": {"happy": "many"}}}},
    ],
    ids=str,
)
def test_a_damaged_manifest_is_refused_on_one_line(made, values):
    change(made, values)
    with pytest.raises(InputError, match=r"recipe\.json") as refusal:
        made.manifest()
    assert "\n" not in str(refusal.value)


def test_any_value_that_was_changed_in_a_manifest_is_noticed(made):
    made.amend({"calibration": {ROUTER: {"offset": [0.5, 0], "temperature": 1.5}}})
    whole = stored(made)
    whole["calibration"][ROUTER]["temperature"] = 1.4
    fileio.write_json(made.folder / runs.MANIFEST, whole)
    with pytest.raises(InputError, match=r"recipe\.json.*checksum"):
        made.manifest()
    del whole[CHECKSUM]  # as written by earlier versions
    fileio.write_json(made.folder / runs.MANIFEST, whole)
    assert made.manifest().calibration[ROUTER].temperature == 1.4


@pytest.mark.parametrize(
    "text", ["a\x00,b\n1", "node,epoch\nflat\n", "node\nflat,1\n", "x\n1\n", '"', "é" * 9**7]
)
def test_a_damaged_history_is_refused(made, text):
    (made.folder / runs.HISTORY).write_text(text)
    with pytest.raises(InputError, match=r"history\.csv"):
        made.history()


def test_an_untrained_run_lists_the_others(own_home):
    with pytest.raises(InputError, match="'first'"):
        runs.run("first").manifest()
    add(runs.run("made"))
    with pytest.raises(InputError, match="'first'.*made"):
        runs.run("first").manifest()


def test_names_are_those_of_trained_runs(own_home, made):
    (own_home / "results" / "empty").mkdir()
    add(runs.run("also"))
    assert runs.names() == ["also", "made"]


@pytest.mark.parametrize("name", ["first", "t1", "A.b_c-2", "x" * 100])
def test_a_run_lives_in_two_folders_of_home(own_home, name):
    run = runs.run(name)
    assert run.folder == own_home / "results" / name and run.log == own_home / "logs" / name


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "a\\b", "-x", "a b", "a\n", "é", "x" * 101])
def test_a_name_that_could_leave_the_folder_is_refused(name):
    with pytest.raises(InputError, match="run name") as refusal:
        runs.run(name)
    assert "\n" not in str(refusal.value)


@pytest.fixture
def shipped(made, tmp_path, monkeypatch) -> Path:
    """The folder of `made` among the runs of an installed package, and no longer at home."""
    monkeypatch.setattr(runs, "SHIPPED", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    return made.folder.rename(tmp_path / "weights" / made.name)


def test_shipped_runs_are_found_after_those_at_home(shipped):
    assert runs.run("made").folder == shipped and runs.run("made").shipped and runs.names() == ["made"]
    add(runs.Run("made", runs.home() / "results" / "made", runs.home() / "logs" / "made"))
    assert runs.run("made").folder != shipped and not runs.run("made").shipped and runs.names() == ["made"]


def test_a_run_that_is_nowhere_is_refused_with_the_places(shipped):
    with pytest.raises(InputError, match=f"'other'.*{runs.home()}.*{shipped.parent}.*made"):
        runs.run("other").manifest()


def test_a_net_that_is_not_shipped_is_refused_with_the_reason(shipped):
    (shipped / "router.keras").unlink()
    with pytest.raises(InputError, match=f"{shipped}/router.keras: .*{runs.REPOSITORY_ONLY}"):
        runs.run("made").net(ROUTER)


def test_home_is_the_variable_else_the_checkout_else_the_data_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("HIERARCHY_HOME")
    assert runs.home() == Path(runs.__file__).parents[1]
    monkeypatch.setattr(runs, "CHECKOUT", None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if sys.platform == "linux":
        assert runs.home() == tmp_path / "data" / DISTRIBUTION
    assert not (tmp_path / "data").exists()
    monkeypatch.setenv("HIERARCHY_HOME", str(tmp_path))
    assert runs.home() == tmp_path


def test_a_copy_is_a_run_of_its_own(made):
    (made.folder / "PublicTest-flip").mkdir()
    other = runs.run("other")
    runs.copy(made, other)
    checksum = {CHECKSUM: stored(other)[CHECKSUM]}
    assert stored(other) == stored(made) | {"run": "other"} | checksum != stored(made) | {"run": "other"}
    assert other.net(ROUTER).read_bytes() == NET
    with pytest.raises(InputError, match="'other'"):
        runs.copy(made, other)


def test_a_copy_that_breaks_off_makes_no_run(made, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("hierarchy.fileio.os.fsync", full)
    with pytest.raises(InputError, match="other"):
        runs.copy(made, runs.run("other"))
    assert runs.names() == ["made"]
