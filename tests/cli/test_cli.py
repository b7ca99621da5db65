"""The door: exit code 0 or 2, results on stdout, one line and no traceback on stderr for a user's mistake."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import tf_model
from hierarchy import fileio, runs
from hierarchy.config.recipes import RECIPES
from hierarchy.data import download, loading
from hierarchy.data.dataset import Split
from hierarchy.data.formats import registry
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.inference.predictor import COLUMNS
from hierarchy.runs import DEFAULT_RUN
from hierarchy.taxonomy import BRANCHES, LEAVES, NODES, TREE, branch_of, describe

DOOR = Path(tf_model.__file__)
SLOW = ("tensorflow", "keras", "torch", "jax", "pandas", "sklearn", "imblearn", "matplotlib", "scipy")


class Said(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Door = Callable[..., Said]


@pytest.fixture
def door(monkeypatch, capsys) -> Door:
    def command(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["tf_model.py", *map(str, words)])
        code = tf_model.main()
        return Said(code, *capsys.readouterr())

    return command


@pytest.fixture
def pictures(tmp_path, few_sketches) -> list[Path]:
    """Two ready crops and one colour photograph of another size."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    files = [folder / name for name in ("a.png", "b.png", "c.jpg")]
    for file, pixels in zip(files, few_sketches.pixels, strict=False):
        picture = Image.fromarray(pixels)
        (picture.convert("RGB").resize((100, 60)) if file.suffix == ".jpg" else picture).save(file)
    return files


@pytest.fixture
def foreign(tmp_path) -> Path:
    """A data set that no run was trained on."""
    return registry.export(sketch_faces(30, seed=1), tmp_path / "foreign", "csv")


def refused(said: Said, *parts: str) -> None:
    """One line of error that has all parts in it, and nothing else."""
    assert said.code == 2 and said.out == ""
    (line,) = errors_of(said)
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


def errors_of(said: Said) -> list[str]:
    """Lines on stderr but the one that says what the tiny run has learned from."""
    return [line for line in said.err.splitlines() if not line.startswith("SKETCH: run tiny")]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--bogus", "No such option: --bogus"),
        ("paint", "No such command 'paint'"),
        ("data", "Missing command"),
        ("data paint", "No such command 'paint'"),
        ("predict", "Missing argument"),
        ("predict a.png --colour", "No such option: --colour"),
        ("predict a.png --min-confidence 2", "--min-confidence"),
        ("predict a.png --run", "--run"),
        ("evaluate now", "unexpected extra argument"),
        ("train --set", "--set"),
        ("data export", "Missing option '--layout'"),
    ],
)
def test_a_wrong_word_is_one_line(door, words, part):
    refused(door(*words.split()), part, "--help says what there is")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--seed x", "--seed 'x': allowed are whole numbers from 0"),
        ("--seed 0,1", "several seeds: give --recipe or --run"),
        ("--recipe sketch,shrt --data sketch", "unknown recipe 'shrt'"),
        ("--data sketch --label-source ferplus", "no FER+ votes"),
        ("--data sketch --label-source mine", "labels 'mine': allowed are fer2013, ferplus"),
        ("--data sketch --set fit.distillation_weight=0.5 --teacher nobody", "'nobody' has not been trained"),
        ("--data sketch --recipe sketch --set fit.distillation_weight=0.5", "--teacher RUN,RUN"),
    ],
)
def test_train_refuses(door, words, part):
    refused(door("train", *words.split()), part)


def test_an_export_needs_a_place(door):
    refused(door("data", "export", "--layout", "csv", "--data", "sketch"), "name a new folder")


def test_json_and_csv_are_not_both_written(door, tmp_path):
    refused(door("predict", "a.png", "--json", "--csv", tmp_path / "a.csv"), "--json and --csv: choose one")


def test_no_word_at_all_is_a_call_for_help(door):
    for words in ((), ("--help",)):
        said = door(*words)
        assert said.code == 0 and said.err == ""
        assert all(word in said.out for word in ("train", "predict", "evaluate", "compare", "data"))


def test_the_lists(door, tiny_run):
    recipes = door("train", "--recipe", "list")
    assert recipes.code == 0 and [line.split()[0] for line in recipes.out.splitlines()] == list(RECIPES)
    assert door("runs", "list") == (0, "tiny\n", "")
    written = door("data", "export", "x", "--layout", "list")
    assert written == (0, "csv\nicml\nchallenge\nparquet\nfolders\nferplus\n", "")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("video nowhere.mp4", ["nowhere.mp4: no such file; allowed are video files"]),
        ("video 99 --run tiny", ["camera 99: not there"]),
        ("video a.mp4 --out a.gif", ["a.gif: a video's name ends in .mp4"]),
        ("video a.mp4 --frame-step 0", ["--frame-step"]),
        ("app --run nope", ["'nope' has not been trained"]),
        ("batch nowhere --out answers --run tiny", ["nowhere: nothing there; allowed are a folder"]),
        ("batch nowhere --out answers --run nope", ["'nope' has not been trained"]),
        ("batch nowhere --out answers --executor dask", ["--executor dask: allowed are local, ray"]),
        ("tune --node leaf", ["--node leaf: allowed are router"]),
        ("detector score --data nowhere", ["nowhere"]),
        ("train --data sketch --devices 2", ["KERAS_BACKEND=jax"]),
        ("train --data sketch --hosts a:1,b:2", ["KERAS_BACKEND=jax"]),
    ],
)
def test_the_other_commands_refuse_in_one_line(door, tiny_run, own_home, monkeypatch, words, parts):
    monkeypatch.chdir(own_home)
    before = sorted(own_home.iterdir())
    refused(door(*words.split()), *parts)
    assert sorted(own_home.iterdir()) == before


@pytest.mark.parametrize("content", [None, b"", b"hello, this is text\n", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused_by_name(door, tiny_run, tmp_path, content):
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    refused(door("predict", path, "--run", "tiny"), f"{path}: ", "allowed are")


def test_a_folder_without_pictures_is_refused(door, tiny_run, tmp_path):
    (tmp_path / "notes.txt").touch()
    refused(door("predict", tmp_path, "--run", "tiny"), f"{tmp_path}: no picture in this folder")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--run nope", ["'nope' has not been trained: there are tiny"]),
        ("--run ../tiny", ["run name '../tiny'"]),
        (f"--run {'x' * 300}", ["at most 100 letters"]),
        ("", [f"{DEFAULT_RUN!r} has not been trained"]),
        ("--run tiny --routing firm", ["routing 'firm': allowed are soft, hard"]),
        ("--run tiny --tta both", ["view 'both': allowed are single, flip, ten-crop"]),
        ("--run tiny --engine onyx", ["engine 'onyx': allowed are auto, keras, onnx"]),
        ("--run tiny --engine onnx", ["was not exported to onnx: python tf_model.py export --run tiny"]),
        (
            "--run tiny --detector mtcnn",
            ["--detector mtcnn: no such detector or file; allowed are auto, whole"],
        ),
        ("--run tiny --explain", ["--explain draws on what --save DIR writes: give both"]),
        ("--run tiny --top1-only --routing hard", ["--top1-only"]),
        ("--run tiny --top1-only --min-confidence 0.5", ["--min-confidence"]),
    ],
)
def test_predict_refuses(door, tiny_run, pictures, words, parts):
    refused(door("predict", pictures[0], *words.split()), *parts)


def test_weights_with_a_flipped_byte_are_refused(door, tiny_run, pictures):
    file = tiny_run.net("positive")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    refused(door("predict", pictures[0], "--run", "tiny"), f"{file}: damaged")
    refused(door("evaluate", "--run", "tiny"), f"{file}: damaged")


def test_weights_of_another_tree_are_refused_with_both_trees(door, tiny_run, pictures):
    other = {branch: list(reversed(leaves)) for branch, leaves in TREE.items()}
    fileio.write_json(tiny_run.folder / runs.MANIFEST, tiny_run.card() | {"tree": other})
    for words in (("predict", pictures[0]), ("evaluate",)):
        refused(door(*words, "--run", "tiny"), str(tiny_run.folder), describe(other), describe())


def test_json_is_an_object_a_line(door, tiny_run, pictures):
    said = door("predict", pictures[0].parent, "--run", "tiny", "--json", "--detector", "whole")
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 0 and errors_of(said) == []
    assert [answer["path"] for answer in answers] == list(map(str, pictures))
    assert [answer["face"] for answer in answers] == [[0, 0, 48, 48], [0, 0, 48, 48], [0, 0, 100, 60]]
    for answer in answers:
        assert list(answer) == ["path", "face", "score", "branch", "label", "confidence", "probabilities"]
        shares = answer["probabilities"]
        assert list(shares) == list(LEAVES) and abs(sum(shares.values()) - 1) < 1e-9
        assert answer["label"] == max(shares, key=shares.get)
        assert answer["branch"] == branch_of(answer["label"])
        assert answer["confidence"] == shares[answer["label"]]


def test_json_stopped_at_the_branch_has_no_label(door, tiny_run, pictures):
    said = door("predict", pictures[0], "--run", "tiny", "--json", "--min-confidence", 1)
    answer = json.loads(said.out)
    weight = {name: sum(answer["probabilities"][leaf] for leaf in TREE[name]) for name in BRANCHES}
    assert said.code == 0 and answer["label"] is None
    assert answer["branch"] == max(weight, key=weight.get)
    assert answer["confidence"] == pytest.approx(weight[answer["branch"]], abs=1e-12)


def test_hard_routing_stays_in_the_likelier_branch(door, tiny_run, pictures):
    words = ("--run", "tiny", "--json", "--detector", "whole", "--routing", "hard", "--tta", "ten-crop")
    said = door("predict", *pictures, *words)
    for answer in map(json.loads, said.out.splitlines()):
        shares = answer["probabilities"]
        assert answer["branch"] == max(BRANCHES, key=lambda name: sum(shares[leaf] for leaf in TREE[name]))
        assert answer["label"] == max(TREE[answer["branch"]], key=shares.get)
    assert said.code == 0 and said.out.count("\n") == len(pictures)


def test_labels_alone_are_those_of_soft_routing(door, tiny_run, pictures, tmp_path):
    words = ("predict", *pictures, "--run", "tiny", "--json", "--detector", "whole")
    whole, alone = (
        [json.loads(line) for line in door(*words, *more).out.splitlines()] for more in ((), ("--top1-only",))
    )
    assert len(alone) == len(pictures)
    for ours, theirs in zip(alone, whole, strict=True):
        assert ours == theirs | {"confidence": None, "probabilities": {}}
    text = door(*words[:-3], "--detector", "whole", "--top1-only").out.splitlines()
    assert text == [f"{each['path']}  {each['branch']} > {each['label']}" for each in whole]
    target = tmp_path / "labels.csv"
    words = ("predict", *pictures, "--run", "tiny", "--detector", "whole")
    assert door(*words, "--top1-only", "--csv", target).code == 0
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [each["label"] for each in whole]
    assert {row[leaf] for row in rows for leaf in LEAVES} == {""}


def test_a_picture_without_a_face_says_so_and_is_no_mistake(door, tiny_run, tmp_path):
    wall = tmp_path / "wall.png"
    Image.new("L", (300, 200), 90).save(wall)
    said = door("predict", wall, "--run", "tiny")
    assert (said.code, said.out, errors_of(said)) == (0, f"{wall}  no face\n", [])
    answer = json.loads(door("predict", wall, "--run", "tiny", "--json", "--save", tmp_path / "drawn").out)
    assert answer["face"] is answer["label"] is answer["branch"] is None
    assert (tmp_path / "drawn" / "wall.png").is_file()


def test_csv_is_a_whole_file(door, tiny_run, pictures, tmp_path):
    target = tmp_path / "new" / "answers.csv"
    said = door("predict", *pictures, "--run", "tiny", "--detector", "whole", "--csv", target)
    assert (said.code, said.out, errors_of(said)) == (0, f"{target}\n", [])
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and [row["path"] for row in rows] == list(map(str, pictures))
    for row in rows:
        assert row["label"] in TREE[row["branch"]]
        assert abs(sum(float(row[leaf]) for leaf in LEAVES) - 1) < 1e-9


def test_csv_that_cannot_be_written_is_refused(door, tiny_run, pictures):
    refused(
        door("predict", pictures[0], "--run", "tiny", "--csv", pictures[1] / "x.csv"), "cannot be written"
    )


def test_a_bad_picture_among_many_is_reported_and_the_others_answered(door, tiny_run, pictures, tmp_path):
    bad = pictures[0].with_name("aa.png")
    bad.write_bytes(pictures[0].read_bytes()[:60])
    missing = tmp_path / "missing.png"
    said = door("predict", missing, pictures[0].parent, "--run", "tiny")
    assert said.code == 2
    assert [line.split("  ")[0] for line in said.out.splitlines()] == list(map(str, pictures))
    errors = errors_of(said)
    assert len(errors) == 2 and all(line.startswith("error: ") for line in errors)
    assert any(str(bad) in line for line in errors) and any(str(missing) in line for line in errors)


def test_what_is_bad_is_said_though_the_answers_cannot_be_written(door, tiny_run, pictures):
    said = door("predict", "nowhere.png", pictures[0], "--run", "tiny", "--save", pictures[0].parent)
    assert said.code == 2 and [line.split(": ")[1] for line in errors_of(said)] == [
        "nowhere.png",
        str(pictures[0]),
    ]


def test_a_file_may_have_a_name_that_is_no_text(door, tiny_run, pictures, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    shutil.copy(pictures[0], name)
    target = tmp_path / "answers.csv"
    assert json.loads(door("predict", name, "--run", "tiny", "--json").out)["path"] == name
    assert door("predict", name, "--run", "tiny", "--csv", target).code == 0
    assert b"/\xff.png," in target.read_bytes()


def test_evaluate_writes_the_report_and_keeps_foreign_faces_off_it(door, tiny_run, foreign):
    said = door("evaluate", "--run", "tiny")
    assert said.code == 0 and said.err == ""
    assert "SKETCH" in said.out and "six of seven classes" in said.out
    assert said.out.splitlines()[-1] == str(tiny_run.folder / "REPORT.md")
    before = {file.name: file.read_bytes() for file in tiny_run.folder.iterdir()}
    assert {"scores.json", "REPORT.md", "predictions.npz"} <= before.keys()
    refused(door("evaluate", "--run", "tiny", "--data", foreign), "not the faces of run 'tiny'", "--out DIR")
    assert {file.name: file.read_bytes() for file in tiny_run.folder.iterdir()} == before


def test_a_run_is_exported_and_its_engine_scored_beside_its_own_report(door, tiny_run):
    pytest.importorskip("tf2onnx", reason="pip install -r requirements-export.txt")
    said = door("export", "--run", "tiny")
    assert said.code == 0 and said.out.count("logits within") == len(NODES)
    said = door("evaluate", "--run", "tiny", "--engine", "onnx")
    assert said.out.splitlines()[-1] == str(tiny_run.folder / "PrivateTest-single-onnx" / "REPORT.md")
    assert not (tiny_run.folder / "REPORT.md").exists()
    refused(door("evaluate", "--ensemble", "tiny,tiny", "--engine", "onnx"), "goes without --run")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--run nope", ["'nope' has not been trained"]),
        ("--run nope --engine onnx", ["'nope' has not been trained"]),
        ("--run tiny --engine litert", ["was not exported to litert"]),
        ("--run tiny --split Training", ["split 'Training': allowed are PublicTest, PrivateTest"]),
        ("--run tiny --tta both", ["view 'both': allowed are single"]),
        ("--run tiny --data /nowhere/at/all", ["/nowhere/at/all: no such file or folder"]),
    ],
)
def test_evaluate_refuses(door, tiny_run, words, parts):
    refused(door("evaluate", *words.split()), *parts)


def test_faces_without_the_split_are_refused(door, tiny_run, tmp_path):
    faces = sketch_faces(20)
    faces.split[:] = 0
    place = registry.export(faces, tmp_path / "unsplit", "csv")
    refused(
        door("evaluate", "--run", "tiny", "--data", place, "--out", tmp_path / "out"),
        "sketch.csv: no face in split PrivateTest",
    )
    assert not (tmp_path / "out").exists()


@pytest.fixture
def read_only(monkeypatch, own_home) -> None:
    """No file can be made in results/ and logs/, as on a read-only disk (root may write anywhere else)."""
    make = Path.touch

    def refuse(path, **options):
        if own_home in path.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        make(path, **options)

    monkeypatch.setattr(Path, "touch", refuse)


def test_read_only_results_are_one_line(door, tiny_run, read_only):
    before = sorted(file.name for file in tiny_run.folder.iterdir())
    refused(door("evaluate", "--run", "tiny"), "results/tiny/", "cannot be written (Read-only file system)")
    assert sorted(file.name for file in tiny_run.folder.iterdir()) == before
    refused(door("train", "--data", "sketch", "--run", "new"), "results/new/", "Read-only file system")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--recipe quick", ["unknown recipe 'quick': allowed are sketch"]),
        ("--set fit.epoch=1", ["unknown recipe key 'fit.epoch': allowed here are epochs"]),
        ("--set fit.epochs", ["write key=value"]),
        ("--set fit.epochs=many", ["'many' is not of type int"]),
        ("--set fit.batch_size=0", ["not at least 1"]),
        ("--run a/b", ["run name 'a/b'"]),
    ],
)
def test_train_refuses_and_begins_nothing(door, own_home, monkeypatch, words, parts):
    monkeypatch.setattr(loading, "SKETCHES", 20)
    refused(door("train", "--data", "sketch", *words.split()), *parts)
    assert not list(own_home.iterdir())


def test_an_unknown_node_is_refused(door, monkeypatch):
    monkeypatch.setattr(loading, "SKETCHES", 20)
    refused(door("train", "--data", "sketch", "--node", "sideways"), "unknown node 'sideways': allowed are")


def test_a_run_is_not_trained_over(door, tiny_run):
    refused(door("train", "--data", "sketch", "--run", "tiny"), "'tiny' is there already", "--resume")


def test_data_check_writes_every_finding(door, foreign, own_home):
    said = door("data", "audit", "--data", foreign)
    target = own_home / "logs" / "data-audit.csv"
    assert said.code == 0 and said.err == "" and "| Training |" in said.out
    assert said.out.splitlines()[-1].endswith(str(target)) and target.is_file()


@pytest.mark.parametrize("words", ["check", "export x --layout csv"])
def test_without_data_there_is_nothing_to_check_or_export(door, words):
    refused(door("data", *words.split()), "no data: give --data PATH, set $FER2013_DIR")


def test_export_fills_a_new_folder_and_no_other(door, foreign, tmp_path):
    target = tmp_path / "exported"
    assert door("data", "export", target, "--layout", "icml", "--data", foreign) == (0, f"{target}\n", "")
    assert np.array_equal(registry.read(target).pixels, registry.read(foreign).pixels)
    refused(door("data", "export", target, "--layout", "csv", "--data", foreign), f"{target}: already there")
    other = tmp_path / "other"
    refused(door("data", "export", other, "--layout", "tape", "--data", foreign), "unknown layout 'tape'")
    assert not other.exists() and os.listdir(target) == ["icml_face_data.csv"]


def test_export_replaces_the_ferplus_script(door, foreign, tmp_path):
    faces = registry.read(foreign)
    votes = tmp_path / "fer2013new.csv"
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    rows = [f"{Split(split).name},fer{row}.png,9,0,0,0,1,0,0,0,0,0" for row, split in enumerate(faces.split)]
    votes.write_text("\n".join([header, *rows]) + "\n")
    words = ("data", "export", tmp_path / "fer+", "--layout", "ferplus", "--data", foreign)
    refused(door(*words), "layout ferplus needs fer2013new.csv")
    assert door(*words, "--ferplus", votes).code == 0
    assert sum(1 for _ in (tmp_path / "fer+").rglob("*.png")) == len(faces)


def test_a_damaged_data_set_is_refused_with_its_line(door, foreign):
    file = foreign / "sketch.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:4], lines[4].replace(" ", " x", 1), *lines[5:]]))
    refused(door("data", "audit", "--data", foreign), f"{file}: line 5: pixel")


def test_data_get_says_where_or_why_not(door, own_home, monkeypatch):
    monkeypatch.setattr(download, "get", lambda target: target)
    assert door("data", "get") == (0, f"{own_home / 'data'}\n", "")

    def offline(target):
        raise InputError(f"{target}: no connection")

    monkeypatch.setattr(download, "get", offline)
    refused(door("data", "get"), "no connection")


def test_ctrl_c_is_no_fault(door, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "get", interrupt)
    said = door("data", "get")
    assert said.code == 130 and "Traceback" not in said.err


def python(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def test_a_process_of_its_own_answers_and_is_quiet(tiny_run, pictures):
    done = python(DOOR, "predict", *pictures, "--run", "tiny", "--json")
    # a run of sketches says so; TensorFlow's own notes do not come through
    assert (
        done.returncode == 0 and done.stderr.startswith("SKETCH: run tiny") and done.stderr.count("\n") == 1
    )
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == list(map(str, pictures))


def test_letters_that_the_terminal_lacks_are_spelled_out(tiny_run, pictures):
    odd = pictures[0].rename(pictures[0].with_name("日本.png"))
    done = python(DOOR, "predict", odd, "--run", "tiny", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0 and r"\u65e5\u672c.png" in done.stdout


def test_a_process_of_its_own_refuses_in_one_line():
    done = python(DOOR, "predict", "nowhere.png", "--no-such-flag")
    refused(Said(done.returncode, done.stdout, done.stderr), "No such option: --no-such-flag")


@pytest.mark.parametrize(
    "start",
    [
        "import hierarchy",
        "import hierarchy.classifier, hierarchy.cli.predict, hierarchy.data.formats.registry",
        f"import runpy; sys.argv = ['tf_model.py', '--help']; runpy.run_path({str(DOOR)!r})['main']()",
        f"import runpy; sys.argv = ['tf_model.py', 'predict', 'no']; runpy.run_path({str(DOOR)!r})['main']()",
    ],
)
def test_a_start_is_cheap(start):
    code = f"import sys; {start}; print('loaded:', *(set(sys.modules) & set({SLOW!r})))"
    done = python("-c", code, PYTHONPATH=str(DOOR.parent))
    assert done.stdout.splitlines()[-1] == "loaded:", done.stderr


def test_a_picture_is_never_written_over(door, tiny_run, pictures):
    before = [path.read_bytes() for path in pictures]
    picture = pictures[0]
    refused(door("predict", picture, "--run", "tiny", "--csv", picture), f"{picture}: is one of the pictures")
    refused(door("predict", picture, "--run", "tiny", "--save", picture.parent), "was not drawn by --save")
    assert [path.read_bytes() for path in pictures] == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_a_full_disk_behind_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, DOOR, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
