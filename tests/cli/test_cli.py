"""The command line: exit codes, results on stdout, one line without a traceback on stderr for bad input."""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from commands import Result
from PIL import Image

import tf_model
from hierarchy import runtimes
from hierarchy.apps.batch import local
from hierarchy.cli import options
from hierarchy.config.recipes import RECIPES
from hierarchy.data import download, loading
from hierarchy.data.dataset import Split
from hierarchy.data.formats import registry
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.inference.predictor import columns
from hierarchy.runs import DEFAULT_RUN
from hierarchy.taxonomy import VALENCE

MAIN = Path(tf_model.__file__)
LEAVES = VALENCE.leaves
SLOW = ("tensorflow", "keras", "torch", "jax", "pandas", "sklearn", "imblearn", "matplotlib", "scipy")


@pytest.fixture
def pictures(tmp_path, few_sketches) -> list[Path]:
    """Two crops and one colour image of another size."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    files = [folder / name for name in ("a.png", "b.png", "c.jpg")]
    for file, pixels in zip(files, few_sketches.pixels, strict=False):
        picture = Image.fromarray(pixels)
        (picture.convert("RGB").resize((100, 60)) if file.suffix == ".jpg" else picture).save(file)
    return files


@pytest.fixture
def foreign(tmp_path) -> Path:
    """A dataset that no run was trained on."""
    return registry.export(sketch_faces(30, seed=1), tmp_path / "foreign", "csv")


UNITS_EXCLUDE = (
    "--tta single",
    "--split PublicTest",
    "--robustness",
    "--min-confidence 0.5",
    "--ensemble a,b",
    "--engine onnx",
)


def refused(result: Result, *parts: str) -> None:
    """One line of error with all parts in it, and nothing else."""
    assert result.code == 2 and result.out == ""
    (line,) = errors_of(result)
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


def errors_of(result: Result) -> list[str]:
    """Lines on stderr without those on the data."""
    return [line for line in result.err.splitlines() if not line.startswith(("SKETCH: run tiny", "left out"))]


def branch_weights(shares: dict[str, float]) -> dict[str, float]:
    return {branch: sum(shares[leaf] for leaf in leaves) for branch, leaves in VALENCE.children.items()}


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--bogus", "--bogus"),
        ("paint", "'paint'"),
        ("data", ""),
        ("data paint", "'paint'"),
        ("predict", "paths"),
        ("predict a.png --colour", "--colour"),
        ("predict a.png --min-confidence 2", "--min-confidence"),
        ("predict a.png --run", "--run"),
        ("evaluate now", "now"),
        ("train --set", "--set"),
        ("data export", "--layout"),
    ],
)
def test_a_usage_error_is_one_line(command, words, part):
    refused(command(*words.split()), part, "--help")


@pytest.mark.parametrize("name", options.RENAMED)
def test_old_option_names_are_accepted_and_hidden(command, tiny_run, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = {
        "train": "train --data nowhere --start a --labels fer2013",
        "evaluate": "evaluate --run nowhere --view=single --corrupted --ensemble a,b --vote",
        "predict": "predict nowhere.png --faces whole --view flip --labels-only --run tiny",
        "batch": "batch nowhere --out o --faces whole --part 5 --nets=auto --engine local --run tiny",
        "video": "video nowhere.mp4 --faces=haar --every 2",
        "detector": "detector score --data sketch --backgrounds nowhere",
    }[name].split()
    assert all(any(word.split("=")[0] == old for word in words) for old in options.RENAMED[name])
    refused(command(*words), "" if name in ("train", "evaluate") else "nowhere")
    sub = ["score"] if name == "detector" else []
    text = command(name, *sub, "--help").out.split()
    assert set(options.RENAMED[name].values()) <= set(text)
    assert not set(options.RENAMED[name]) - {"--engine"} & set(text)


def test_old_command_names_are_accepted(command, tiny_run, foreign):
    assert command("evaluate", "--run", "list") == command("evaluate", "--run=list") == (0, "tiny\n", "")
    assert command("data", "check", "--data", foreign) == command("data", "audit", "--data", foreign)


@pytest.mark.parametrize(
    ("words", "executor", "engine"),
    [
        ("--engine local --nets onnx", "local", "onnx"),
        ("--engine=ray --nets=onnx-int8", "ray", "onnx-int8"),
        ("--engine ray", "ray", "auto"),
        ("--engine onnx", "local", "onnx"),
        ("--executor ray --engine onnx", "ray", "onnx"),
    ],
)
def test_engine_local_or_ray_of_batch_is_the_executor(command, monkeypatch, words, executor, engine):
    calls = []

    def batch(source, job, *, executor, **_):
        calls.append((executor, job.engine))
        return dict.fromkeys(("pictures", "faces", "errors"), 0)

    monkeypatch.setattr(local, "batch", batch)
    assert command("batch", "faces", "--out", "o", *words.split()).code == 0
    assert calls == [(executor, engine)]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--seed x", "--seed"),
        ("--seed 0,1", "seed"),
        ("--recipe sketch,shrt --data sketch", "'shrt'"),
        ("--data sketch --label-source ferplus", "FER+"),
        ("--data sketch --label-source mine", "'mine'"),
        ("--data sketch --set fit.distillation_weight=0.5 --teacher nobody", "'nobody'"),
        ("--data sketch --recipe sketch --set fit.distillation_weight=0.5", "--teacher"),
    ],
)
def test_train_refuses(command, words, part):
    refused(command("train", *words.split()), part)


def test_data_export_needs_a_folder(command):
    refused(command("data", "export", "--layout", "csv", "--data", "sketch"), "data export")


def test_json_and_csv_exclude_each_other(command, tmp_path):
    refused(command("predict", "a.png", "--json", "--csv", tmp_path / "a.csv"), "--json", "--csv")


def test_without_arguments_the_help_is_shown(command):
    for words in ((), ("--help",)):
        result = command(*words)
        assert result.code == 0 and result.err == ""
        assert all(word in result.out for word in ("train", "predict", "evaluate", "compare", "data"))


def test_the_lists(command, tiny_run):
    recipes = command("train", "--recipe", "list")
    assert recipes.code == 0 and [line.split()[0] for line in recipes.out.splitlines()] == list(RECIPES)
    assert command("runs", "list") == (0, "tiny\n", "")
    written = command("data", "export", "x", "--layout", "list")
    assert written == (0, "csv\nicml\nchallenge\nparquet\nfolders\nferplus\n", "")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("video nowhere.mp4", ["nowhere.mp4: "]),
        ("video 99 --run tiny", ["camera 99: "]),
        ("video a.mp4 --out a.gif", ["a.gif: "]),
        ("video a.mp4 --frame-step 0", ["--frame-step"]),
        ("app --run nope", ["'nope'"]),
        ("batch nowhere --out answers --run tiny", ["nowhere: "]),
        ("batch nowhere --out answers --run nope", ["'nope'"]),
        ("batch nowhere --out answers --executor dask", ["--executor dask: ", "local", "ray"]),
        ("tune --node leaf", ["leaf", "router"]),
        ("detector score --data nowhere", ["nowhere"]),
        ("train --data sketch --devices 2", ["KERAS_BACKEND=jax"]),
        ("train --data sketch --hosts a:1,b:2", ["KERAS_BACKEND=jax"]),
    ],
)
def test_other_commands_refuse_in_one_line(command, tiny_run, own_home, monkeypatch, words, parts):
    monkeypatch.chdir(own_home)
    before = sorted(own_home.iterdir())
    refused(command(*words.split()), *parts)
    assert sorted(own_home.iterdir()) == before


@pytest.mark.parametrize("content", [None, b"", b"hello, this is text\n", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_not_an_image_is_refused_by_name(command, tiny_run, tmp_path, content):
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    refused(command("predict", path, "--run", "tiny"), f"{path}: ")


def test_a_folder_without_images_is_refused(command, tiny_run, tmp_path):
    (tmp_path / "notes.txt").touch()
    refused(command("predict", tmp_path, "--run", "tiny"), f"{tmp_path}: ")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--run nope", ["'nope'", "tiny"]),
        ("--run ../tiny", ["run name '../tiny'"]),
        (f"--run {'x' * 300}", ["run name"]),
        ("", [repr(DEFAULT_RUN)]),
        ("--run tiny --routing firm", ["routing 'firm'", "soft, hard"]),
        ("--run tiny --tta both", ["view 'both'", "single, flip, crops, ten-crop"]),
        ("--run tiny --engine onyx", ["engine 'onyx'", "auto, keras, onnx"]),
        ("--run tiny --engine onnx", ["onnx", "python tf_model.py export --run tiny"]),
        ("--run tiny --detector mtcnn", ["--detector mtcnn: ", "auto, whole"]),
        ("--run tiny --top1-only --routing hard", ["--top1-only"]),
        ("--run tiny --top1-only --min-confidence 0.5", ["--min-confidence"]),
        ("--run tiny --top1-only --coverage 0.5", ["--coverage"]),
        ("--run tiny --coverage 0.9", ["'tiny'", "evaluate --run tiny"]),
        ("--run tiny --coverage nine", ["--coverage"]),
    ],
)
def test_predict_refuses(command, tiny_run, pictures, words, parts):
    refused(command("predict", pictures[0], *words.split()), *parts)


def test_weights_with_a_flipped_byte_are_refused(command, tiny_run, pictures):
    file = tiny_run.net(VALENCE.branches[0])
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    refused(command("predict", pictures[0], "--run", "tiny"), f"{file}: ")
    refused(command("evaluate", "--run", "tiny"), f"{file}: ")


def test_faces_that_are_not_aligned_for_windows_are_said(command, tiny_run, pictures):
    recipe = tiny_run.manifest().recipe
    words = ("predict", pictures[0], "--run", "tiny", "--detector", "whole")
    assert "windows" not in command(*words).err
    tiny_run.amend({"recipe": recipe | {"net": recipe["net"] | {"windows": [[4, 4, 44, 28]]}}})
    assert "--detector whole" in command(*words).err
    assert "windows" not in command(*words[:4]).err


def test_predictions_follow_the_tree_of_the_run(
    command, manifest_run, other_tree, pictures, tmp_path, monkeypatch
):
    manifest_run("other", other_tree)

    def nets(run, backend, engine):
        sizes = {node: len(other_tree.classes_of(node)) for node in other_tree.nets}
        return "test", {
            node: lambda pixels, size=size: np.zeros((len(pixels), size)) for node, size in sizes.items()
        }

    monkeypatch.setattr(runtimes, "nets", nets)
    words = ("predict", pictures[0], "--run", "other")
    values = json.loads(command(*words, "--json").out)
    assert tuple(values["probabilities"]) == other_tree.leaves
    assert values["branch"] == other_tree.branch_of(values["label"])
    assert f"{values['branch']} > {values['label']}" in command(*words).out
    assert json.loads(command(*words, "--json", "--top1-only").out)["label"] == values["label"]
    assert command(*words, "--csv", tmp_path / "a.csv", "--save", tmp_path, "--explain").code == 0
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == ",".join(columns(other_tree))


def test_json_is_one_object_per_line(command, tiny_run, pictures):
    result = command("predict", pictures[0].parent, "--run", "tiny", "--json", "--detector", "whole")
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 0 and errors_of(result) == []
    assert [answer["path"] for answer in answers] == list(map(str, pictures))
    assert [answer["face"] for answer in answers] == [[0, 0, 48, 48], [0, 0, 48, 48], [0, 0, 100, 60]]
    for answer in answers:
        assert list(answer) == ["path", "face", "score", "branch", "label", "confidence", "probabilities"]
        shares = answer["probabilities"]
        assert list(shares) == list(LEAVES) and abs(sum(shares.values()) - 1) < 1e-9
        assert answer["label"] == max(shares, key=shares.get)
        assert answer["branch"] == VALENCE.branch_of(answer["label"])
        assert answer["confidence"] == shares[answer["label"]]


def test_json_below_the_minimum_confidence_has_no_label(command, tiny_run, pictures):
    result = command("predict", pictures[0], "--run", "tiny", "--json", "--min-confidence", 1)
    answer = json.loads(result.out)
    weight = branch_weights(answer["probabilities"])
    assert result.code == 0 and answer["label"] is None
    assert answer["branch"] == max(weight, key=weight.get)
    assert answer["confidence"] == pytest.approx(weight[answer["branch"]], abs=1e-12)


def test_hard_routing_stays_in_the_likelier_branch(command, tiny_run, pictures):
    words = ("--run", "tiny", "--json", "--detector", "whole", "--routing", "hard", "--tta", "ten-crop")
    result = command("predict", *pictures, *words)
    for answer in map(json.loads, result.out.splitlines()):
        shares = answer["probabilities"]
        weight = branch_weights(shares)
        assert answer["branch"] == max(weight, key=weight.get)
        assert answer["label"] == max(VALENCE.children[answer["branch"]], key=shares.get)
    assert result.code == 0 and result.out.count("\n") == len(pictures)


def test_top1_labels_are_those_of_soft_routing(command, tiny_run, pictures, tmp_path):
    words = ("predict", *pictures, "--run", "tiny", "--json", "--detector", "whole")
    whole, alone = (
        [json.loads(line) for line in command(*words, *more).out.splitlines()]
        for more in ((), ("--top1-only",))
    )
    assert len(alone) == len(pictures)
    for ours, theirs in zip(alone, whole, strict=True):
        assert ours == theirs | {"confidence": None, "probabilities": {}}
    text = command(*words[:-3], "--detector", "whole", "--top1-only").out.splitlines()
    assert text == [f"{each['path']}  {each['branch']} > {each['label']}" for each in whole]
    target = tmp_path / "labels.csv"
    words = ("predict", *pictures, "--run", "tiny", "--detector", "whole")
    assert command(*words, "--top1-only", "--csv", target).code == 0
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [each["label"] for each in whole]
    assert {row[leaf] for row in rows for leaf in LEAVES} == {""}


def test_an_image_without_a_face_is_valid_input(command, tiny_run, tmp_path):
    wall = tmp_path / "wall.png"
    Image.new("L", (300, 200), 90).save(wall)
    result = command("predict", wall, "--run", "tiny")
    assert (result.code, result.out, errors_of(result)) == (0, f"{wall}  no face of 30 pixels or more\n", [])
    answer = json.loads(command("predict", wall, "--run", "tiny", "--json", "--save", tmp_path / "drawn").out)
    assert answer["face"] is answer["label"] is answer["branch"] is None
    assert (tmp_path / "drawn" / "wall.png").is_file()


def test_csv_is_written_whole(command, tiny_run, pictures, tmp_path):
    target = tmp_path / "new" / "answers.csv"
    result = command("predict", *pictures, "--run", "tiny", "--detector", "whole", "--csv", target)
    assert (result.code, result.out, errors_of(result)) == (0, f"{target}\n", [])
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == columns(VALENCE) and [row["path"] for row in rows] == list(map(str, pictures))
    for row in rows:
        assert row["label"] in VALENCE.children[row["branch"]]
        assert abs(sum(float(row[leaf]) for leaf in LEAVES) - 1) < 1e-9


def test_csv_that_cannot_be_written_is_refused(command, tiny_run, pictures):
    refused(
        command("predict", pictures[0], "--run", "tiny", "--csv", pictures[1] / "x.csv"), "cannot be written"
    )


def test_a_bad_image_is_reported_and_the_others_predicted(command, tiny_run, pictures, tmp_path):
    bad = pictures[0].with_name("aa.png")
    bad.write_bytes(pictures[0].read_bytes()[:60])
    missing = tmp_path / "missing.png"
    result = command("predict", missing, pictures[0].parent, "--run", "tiny")
    assert result.code == 2
    assert [line.split("  ")[0] for line in result.out.splitlines()] == list(map(str, pictures))
    errors = errors_of(result)
    assert len(errors) == 2 and all(line.startswith("error: ") for line in errors)
    assert any(str(bad) in line for line in errors) and any(str(missing) in line for line in errors)


def test_bad_images_are_reported_even_if_the_output_cannot_be_written(command, tiny_run, pictures):
    result = command("predict", "nowhere.png", pictures[0], "--run", "tiny", "--save", pictures[0].parent)
    assert result.code == 2 and [line.split(": ")[1] for line in errors_of(result)] == [
        "nowhere.png",
        str(pictures[0]),
    ]


def test_a_file_name_may_be_invalid_utf8(command, tiny_run, pictures, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    shutil.copy(pictures[0], name)
    target = tmp_path / "answers.csv"
    assert json.loads(command("predict", name, "--run", "tiny", "--json").out)["path"] == name
    assert command("predict", name, "--run", "tiny", "--csv", target).code == 0
    assert b"/\xff.png," in target.read_bytes()


def test_evaluate_writes_the_report_and_refuses_other_faces(command, tiny_run, foreign):
    result = command("evaluate", "--run", "tiny")
    assert result.code == 0 and result.err == ""
    assert "SKETCH" in result.out and "six of seven classes" in result.out
    assert result.out.splitlines()[-1] == str(tiny_run.folder / "REPORT.md")
    before = {file.name: file.read_bytes() for file in tiny_run.folder.iterdir()}
    assert {"scores.json", "REPORT.md", "predictions.npz"} <= before.keys()
    refused(command("evaluate", "--run", "tiny", "--data", foreign), "'tiny'", "--out")
    assert {file.name: file.read_bytes() for file in tiny_run.folder.iterdir()} == before


def test_an_exported_engine_is_scored_beside_the_own_report(command, tiny_run):
    pytest.importorskip("tf2onnx", reason="pip install -r requirements-export.txt")
    result = command("export", "--run", "tiny")
    assert result.code == 0 and result.out.count("logits within") == len(VALENCE.nodes)
    result = command("evaluate", "--run", "tiny", "--engine", "onnx")
    assert result.out.splitlines()[-1] == str(tiny_run.folder / "PrivateTest-single-onnx" / "REPORT.md")
    assert not (tiny_run.folder / "REPORT.md").exists()
    refused(command("evaluate", "--ensemble", "tiny,tiny", "--engine", "onnx"), "--ensemble", "--engine")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--run nope", ["'nope'"]),
        ("--run nope --engine onnx", ["'nope'"]),
        ("--run tiny --engine litert", ["litert"]),
        ("--run tiny --split Training", ["split 'Training'", "PublicTest, PrivateTest"]),
        ("--run tiny --tta both", ["view 'both'", "single"]),
        ("--run tiny --data /nowhere/at/all", ["/nowhere/at/all: "]),
        *((f"--run tiny --action-units {more}", ["--action-units", "only"]) for more in UNITS_EXCLUDE),
    ],
)
def test_evaluate_refuses(command, tiny_run, words, parts):
    refused(command("evaluate", *words.split()), *parts)


def test_faces_without_the_split_are_refused(command, tiny_run, tmp_path):
    faces = sketch_faces(20)
    faces.split[:] = 0
    place = registry.export(faces, tmp_path / "unsplit", "csv")
    refused(
        command("evaluate", "--run", "tiny", "--data", place, "--out", tmp_path / "out"),
        "sketch.csv",
        "PrivateTest",
    )
    assert not (tmp_path / "out").exists()


def test_ctrl_c_while_a_library_in_c_is_imported_is_ctrl_c(command, pictures, tiny_run, monkeypatch):
    def interrupted(*_, **__):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise ImportError("initialization failed")  # as pybind11 does

    monkeypatch.setattr(runtimes, "nets", interrupted)
    assert command("predict", pictures[0], "--run", "tiny") == Result(130, "", "")


def test_libraries_do_not_repeat_a_message():
    script = "import logging, tf_model; tf_model.main(); logging.warning('theirs'); tf_model.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "nonsense"],
        capture_output=True,
        text=True,
        cwd=MAIN.parent,
    )
    first, second = done.stderr.splitlines()
    assert first == second and "nonsense" in first


def test_a_report_replaces_an_earlier_report_only(command, tiny_run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "REPORT.md").write_text("mine")
    where = ("evaluate", "--run", "tiny", "--split", "PublicTest", "--out", out)
    refused(command(*where), "out: not empty")
    (out / "scores.json").write_text("{}")
    refused(command(*where), "out: not empty")
    assert (out / "REPORT.md").read_text() == "mine"
    for path in out.iterdir():
        path.unlink()
    assert [command(*where).code for _ in range(2)] == [0, 0]


@pytest.fixture
def read_only(monkeypatch, own_home) -> None:
    """No file can be made in results/ and logs/, as on a read-only disk (root may write anywhere else)."""
    make = Path.touch

    def refuse(path, **options):
        if own_home in path.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        make(path, **options)

    monkeypatch.setattr(Path, "touch", refuse)


def test_read_only_results_are_one_line(command, tiny_run, read_only):
    before = sorted(file.name for file in tiny_run.folder.iterdir())
    refused(command("evaluate", "--run", "tiny"), "results/tiny/", "Read-only file system")
    assert sorted(file.name for file in tiny_run.folder.iterdir()) == before
    refused(command("train", "--data", "sketch", "--run", "new"), "results/new/", "Read-only file system")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--recipe quick", ["'quick'", "sketch"]),
        ("--set fit.epoch=1", ["'fit.epoch'", "epochs"]),
        ("--set fit.epochs", ["fit.epochs"]),
        ("--set fit.epochs=many", ["fit.epochs", "'many'"]),
        ("--set fit.batch_size=0", ["fit.batch_size"]),
        ("--run a/b", ["run name 'a/b'"]),
    ],
)
def test_train_refuses_before_writing_anything(command, own_home, monkeypatch, words, parts):
    monkeypatch.setattr(loading, "SKETCHES", 20)
    refused(command("train", "--data", "sketch", *words.split()), *parts)
    assert not list(own_home.iterdir())


def test_an_unknown_node_is_refused(command, monkeypatch):
    monkeypatch.setattr(loading, "SKETCHES", 20)
    refused(command("train", "--data", "sketch", "--node", "sideways"), "'sideways'")


def test_a_run_is_not_trained_over(command, tiny_run):
    refused(command("train", "--data", "sketch", "--run", "tiny"), "'tiny'", "--resume")


def test_data_audit_does_not_write_over_the_data(command, tmp_path):
    data = tmp_path / "faces.csv"
    data.write_text("emotion,pixels\n3," + " ".join(["0"] * 48**2) + "\n")
    (tmp_path / "link.csv").symlink_to(data)
    before = data.read_bytes()
    for out in (data, tmp_path / "link.csv", tmp_path / "faces.txt"):
        refused(command("data", "audit", "--data", data, "--out", out), "--out", out.name)
    assert data.read_bytes() == before


def test_data_audit_takes_drawn_faces(command, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "SKETCHES", 30)
    result = command("data", "audit", "--data", "sketch", "--out", tmp_path / "findings.csv")
    assert result.code == 0 and (tmp_path / "findings.csv").is_file()


def test_data_audit_writes_every_finding(command, foreign, own_home):
    result = command("data", "audit", "--data", foreign)
    target = own_home / "logs" / "data-audit.csv"
    assert result.code == 0 and result.err == "" and "| Training |" in result.out
    assert result.out.splitlines()[-1].endswith(str(target)) and target.is_file()


@pytest.mark.parametrize("words", ["audit", "export x --layout csv"])
def test_data_commands_need_data(command, words):
    refused(command("data", *words.split()), "--data", "$FER2013_DIR")


def test_data_export_fills_a_new_folder_only(command, foreign, tmp_path):
    target = tmp_path / "exported"
    assert command("data", "export", target, "--layout", "icml", "--data", foreign) == (0, f"{target}\n", "")
    assert np.array_equal(registry.read(target).pixels, registry.read(foreign).pixels)
    refused(command("data", "export", target, "--layout", "csv", "--data", foreign), f"{target}: ")
    other = tmp_path / "other"
    refused(command("data", "export", other, "--layout", "tape", "--data", foreign), "'tape'")
    assert not other.exists() and os.listdir(target) == ["icml_face_data.csv"]
    odd = tmp_path / "odd\x1b[31m"
    shown = f"{tmp_path}/odd\\x1b[31m\n"
    assert command("data", "export", odd, "--layout", "icml", "--data", foreign) == (0, shown, "")


def test_data_export_writes_the_ferplus_images(command, foreign, tmp_path):
    faces = registry.read(foreign)
    votes = tmp_path / "fer2013new.csv"
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    rows = [f"{Split(split).name},fer{row}.png,9,0,0,0,1,0,0,0,0,0" for row, split in enumerate(faces.split)]
    votes.write_text("\n".join([header, *rows]) + "\n")
    words = ("data", "export", tmp_path / "fer+", "--layout", "ferplus", "--data", foreign)
    refused(command(*words), "fer2013new.csv")
    assert command(*words, "--ferplus", votes).code == 0
    assert sum(1 for _ in (tmp_path / "fer+").rglob("*.png")) == len(faces)


def test_a_damaged_data_set_is_refused_with_its_line(command, foreign):
    file = foreign / "sketch.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:4], lines[4].replace(" ", " x", 1), *lines[5:]]))
    refused(command("data", "audit", "--data", foreign), f"{file}: line 5: ")


def test_data_get_prints_the_folder_or_the_reason(command, own_home, monkeypatch):
    monkeypatch.setattr(download, "get", lambda target: target)
    assert command("data", "get") == (0, f"{own_home / 'data'}\n", "")

    def offline(target):
        raise InputError(f"{target}: no connection")

    monkeypatch.setattr(download, "get", offline)
    refused(command("data", "get"), "no connection")


def test_ctrl_c_has_its_own_exit_code(command, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "get", interrupt)
    result = command("data", "get")
    assert result.code == 130 and "Traceback" not in result.err


def python(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def test_a_new_process_predicts_and_is_quiet(tiny_run, pictures):
    done = python(MAIN, "predict", *pictures, "--run", "tiny", "--json")
    # a run of sketches says so; TensorFlow's own notes do not come through
    assert (
        done.returncode == 0 and done.stderr.startswith("SKETCH: run tiny") and done.stderr.count("\n") == 1
    )
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == list(map(str, pictures))


def test_characters_that_the_terminal_lacks_are_escaped(tiny_run, pictures):
    odd = pictures[0].rename(pictures[0].with_name("日本.png"))
    done = python(MAIN, "predict", odd, "--run", "tiny", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0 and r"\u65e5\u672c.png" in done.stdout


def test_a_new_process_refuses_in_one_line():
    done = python(MAIN, "predict", "nowhere.png", "--no-such-flag")
    refused(Result(done.returncode, done.stdout, done.stderr), "--no-such-flag")


@pytest.mark.parametrize(
    "start",
    [
        "import hierarchy",
        "import hierarchy.classifier, hierarchy.cli.predict, hierarchy.data.formats.registry",
        f"import runpy; sys.argv = ['tf_model.py', '--help']; runpy.run_path({str(MAIN)!r})['main']()",
        f"import runpy; sys.argv = ['tf_model.py', 'predict', 'no']; runpy.run_path({str(MAIN)!r})['main']()",
    ],
)
def test_starting_is_cheap(start):
    code = f"import sys; {start}; print('loaded:', *(set(sys.modules) & set({SLOW!r})))"
    done = python("-c", code, PYTHONPATH=str(MAIN.parent))
    assert done.stdout.splitlines()[-1] == "loaded:", done.stderr


def test_an_image_is_never_overwritten(command, tiny_run, pictures):
    before = [path.read_bytes() for path in pictures]
    picture = pictures[0]
    refused(command("predict", picture, "--run", "tiny", "--csv", picture), f"--csv {picture}: ")
    result = command("predict", picture, "--run", "tiny", "--save", picture.parent)
    assert result.code == 2 and result.out.startswith(str(picture)) and f"error: {picture}: " in result.err
    assert [path.read_bytes() for path in pictures] == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_a_full_disk_behind_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, MAIN, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
