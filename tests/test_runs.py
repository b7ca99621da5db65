"""Files appear whole or not at all, and a run gives out only the very nets it stored, and of this tree."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hierarchy import fileio, runs
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, ROUTER, TREE, describe

NET = b"the bytes of a net"
ON = {"backend": "tensorflow"}
RECIPE = {"recipe": {"name": "made"}}


@pytest.fixture
def made(own_home) -> runs.Run:
    """A run of one net that is no net."""
    run = runs.run("made")
    run.add_net(ROUTER, NET, {"epochs": 3, **ON}, RECIPE)
    return run


def fails_with(code: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_file_is_written_whole_with_its_folders(tmp_path):
    target = tmp_path / "new" / "folder" / "file"
    for data in (b"first", b"", b"second"):
        fileio.write_atomic(target, data)
        assert target.read_bytes() == data
    assert os.listdir(target.parent) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="who may read a file is said otherwise there")
def test_a_file_is_for_those_to_read_for_whom_the_user_writes(tmp_path):
    for number, mask in enumerate((0o022, 0o077)):
        before = os.umask(mask)
        try:
            fileio.write_atomic(tmp_path / str(number), b"data")
        finally:
            os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "01"] == [0o644, 0o600]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="devices in the file system are Unix's")
def test_a_device_stays_and_so_does_a_link(tmp_path):
    """Else `--csv /dev/null` would be the end of /dev/null."""
    pipe, link, file = (tmp_path / name for name in ("pipe", "link", "file"))
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"pipe: cannot be written \(not a file\)"):
        fileio.write_atomic(pipe, b"data")
    assert pipe.is_fifo()
    link.symlink_to(file)
    fileio.write_atomic(link, b"data")
    assert link.is_symlink() and file.read_bytes() == b"data"


@pytest.mark.parametrize(
    ("step", "code", "reason"),
    [
        ("Path.touch", errno.EACCES, "Permission denied"),
        ("Path.touch", errno.EROFS, "Read-only file system"),
        ("os.fsync", errno.ENOSPC, "No space left on device"),
        ("os.replace", errno.EACCES, "Permission denied"),
    ],
)
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, step, code, reason):
    target = tmp_path / "file"
    target.write_bytes(b"before")
    monkeypatch.setattr(f"hierarchy.fileio.{step}", fails_with(code))
    with pytest.raises(InputError) as refusal:
        fileio.write_atomic(target, b"after")
    assert str(refusal.value) == f"{target}: cannot be written ({reason})"
    assert target.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hierarchy.fileio.os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fileio.write_atomic(tmp_path / "file", b"data")
    assert not os.listdir(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "below", tmp_path):
        with pytest.raises(InputError, match="cannot be written"):
            fileio.write_atomic(target, b"data")
    assert os.listdir(tmp_path) == ["file"]


@settings(max_examples=30)
@given(some.recursive(some.none() | some.booleans() | some.floats(allow_nan=False) | some.text(), some.lists))
def test_json_comes_back_unrounded(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "value.json"
    fileio.write_json(file, value)
    assert fileio.read_json(file) == value


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_damaged_json_is_refused_on_one_line(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json: cannot be read as JSON") as refusal:
        fileio.read_json(tmp_path / "x.json")
    assert "\n" not in str(refusal.value)


def test_missing_json_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"x\.json: no such file"):
        fileio.read_json(tmp_path / "x.json")


def test_a_net_is_found_again(made):
    assert made.trained and made.net(ROUTER).read_bytes() == NET
    card = made.card()
    assert card["tree"] == {branch: list(leaves) for branch, leaves in TREE.items()}
    told = {"file": "router.keras", "sha256": fileio.sha256(NET), "epochs": 3}
    assert card["nets"][ROUTER].items() >= told.items()
    assert card["nets"][ROUTER]["versions"]["numpy"] and card["run"] == "made"


def test_a_second_net_joins_the_first(made):
    made.add_net(FLAT, b"another", ON, RECIPE)
    made.add_net(ROUTER, b"better", ON, RECIPE)
    assert set(made.card()["nets"]) == {ROUTER, FLAT}
    assert made.net(ROUTER).read_bytes() == b"better" and made.net(FLAT).read_bytes() == b"another"


def test_amending_keeps_the_rest(made):
    before = made.card()
    made.amend({"calibration": {"router": 1.5}})
    assert made.card() == before | {"calibration": {"router": 1.5}}


@settings(max_examples=30)
@given(some.integers(0, len(NET) * 8 - 1))
def test_any_flipped_bit_is_noticed(tmp_path_factory, bit):
    folder = tmp_path_factory.getbasetemp() / "flipped"
    run = runs.Run("flipped", folder, folder)
    damaged = bytearray(NET)
    damaged[bit // 8] ^= 1 << bit % 8
    run.add_net(ROUTER, NET, ON, RECIPE)
    (folder / "router.keras").write_bytes(damaged)
    with pytest.raises(InputError, match=r"router\.keras: damaged"):
        run.net(ROUTER)


def test_missing_nets_are_told(made):
    with pytest.raises(InputError, match="run 'made' has no flat net: it has router"):
        made.net(FLAT)
    (made.folder / "router.keras").unlink()
    with pytest.raises(InputError, match=r"router\.keras: no such file, though recipe\.json names it"):
        made.net(ROUTER)


def test_a_run_of_another_tree_is_refused_with_both_trees(made):
    other = {"warm": ["happy"], "cold": ["sad"]}
    card = json.loads((made.folder / runs.MANIFEST).read_text()) | {"tree": other}
    fileio.write_json(made.folder / runs.MANIFEST, card)
    for use in (made.card, lambda: made.net(ROUTER), lambda: made.amend({})):
        with pytest.raises(InputError) as refusal:
            use()
        assert describe(other) in str(refusal.value) and describe() in str(refusal.value)
        assert str(made.folder) in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("change", [{"tree": ["happy"]}, {"nets": None}, {"recipe": "short"}])
def test_a_damaged_card_is_refused(made, change):
    fileio.write_json(made.folder / runs.MANIFEST, made.card() | change)
    with pytest.raises(InputError, match=r"recipe\.json: not a run's recipe\.json"):
        made.card()


def test_a_card_that_is_no_object_is_refused(made):
    fileio.write_json(made.folder / runs.MANIFEST, [1, 2])
    with pytest.raises(InputError, match=r"not a run's recipe\.json"):
        made.card()


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"nets": {ROUTER: "router.keras"}}, "net needs its file and sha256"),
        ({"nets": {ROUTER: {"file": "router.keras"}}}, "net needs its file and sha256"),
        ({"exports": []}, "exported net needs its files and net"),
        ({"exports": {"onnx": "yes"}}, "exported net needs its files and net"),
        ({"exports": {"onnx": {ROUTER: {"files": {}}}}}, "exported net needs its files and net"),
    ],
)
def test_a_card_that_tells_too_little_is_refused(made, change, needed):
    fileio.write_json(made.folder / runs.MANIFEST, made.card() | change)
    with pytest.raises(InputError, match=rf"recipe\.json: every {needed}"):
        made.card()


def test_an_untrained_run_says_what_there_is(own_home):
    with pytest.raises(InputError, match="run 'first' has not been trained: there are no runs yet"):
        runs.run("first").card()
    runs.run("made").add_net(ROUTER, NET, ON, RECIPE)
    with pytest.raises(InputError, match="there are made"):
        runs.run("first").card()


def test_names_are_those_of_trained_runs(own_home, made):
    (own_home / "results" / "empty").mkdir()
    runs.run("also").add_net(ROUTER, NET, ON, RECIPE)
    assert runs.names() == ["also", "made"]


@pytest.mark.parametrize("name", ["first", "t1", "A.b_c-2", "x" * 100])
def test_a_run_lives_in_two_folders_of_home(own_home, name):
    run = runs.run(name)
    assert run.folder == own_home / "results" / name and run.log == own_home / "logs" / name


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "a\\b", "-x", "a b", "a\n", "é", "x" * 101])
def test_a_name_that_could_leave_the_folder_is_refused(name):
    with pytest.raises(InputError, match="allowed are at most 100 letters") as refusal:
        runs.run(name)
    assert "\n" not in str(refusal.value)


def test_home_is_the_repository_unless_told(monkeypatch, tmp_path):
    monkeypatch.delenv("HIERARCHY_HOME")
    assert runs.home() == Path(runs.__file__).parents[1]
    monkeypatch.setenv("HIERARCHY_HOME", str(tmp_path))
    assert runs.home() == tmp_path


def test_a_copy_is_a_run_of_its_own(made):
    (made.folder / "PublicTest-flip").mkdir()
    other = runs.run("other")
    runs.copy(made, other)
    assert other.card() == made.card() | {"run": "other"}
    assert other.net(ROUTER).read_bytes() == NET
    with pytest.raises(InputError, match="run 'other' is there already"):
        runs.copy(made, other)


def test_a_copy_that_breaks_off_makes_no_run(made, monkeypatch):
    monkeypatch.setattr("hierarchy.fileio.os.fsync", fails_with(errno.ENOSPC))
    with pytest.raises(InputError, match="No space left"):
        runs.copy(made, runs.run("other"))
    assert runs.names() == ["made"]
