"""`generate` trains, samples and evaluates on drawn faces, and `train --generated` takes what it makes."""

import json

import numpy as np
import pytest
from commands import Result

from hierarchy import runs
from hierarchy.data import loading
from hierarchy.data.formats import registry
from hierarchy.models import generator_trainer
from hierarchy.taxonomy import FLAT

QUICK = ("--recipe", "sketch", "--node", "flat", "--set", "net.stages=[[4]]", "--set", "fit.epochs=1")


def refused(result: Result, *parts: str) -> None:
    assert result.code == 2 and result.out == ""
    line = result.err.splitlines()[-1]
    assert line.startswith("error: ") and all(part in line for part in parts), line


@pytest.fixture
def trained(command, tiny_run, tiny_generator):
    """A generator called faces, of the drawn faces of the run called tiny."""
    result = command("generate", "train", "--data", "sketch", "--epochs", 1)
    assert result.code == 0, result.err
    return runs.home() / "results" / "generators" / "faces"


def test_from_drawn_faces_to_a_run_that_says_whose_faces_it_saw(command, trained, tmp_path):
    out = tmp_path / "new" / "some.parquet"
    out.parent.mkdir()
    assert command("generate", "sample", "--per-class", 2, "--out", out).code == 0
    faces, real = registry.read(out), loading.labelled_faces("sketch")
    assert faces.counts() == {"Training": dict.fromkeys(real.names, 2)}
    assert faces.origins() == {"generated": len(faces)}
    refused(command("generate", "sample", "--out", out), f"{out}: ")
    refused(command("data", "export", tmp_path / "csv", "--layout", "csv", "--data", out), "parquet")
    registry.export(faces, tmp_path / "again", "parquet")
    assert registry.read(tmp_path / "again").origins() == faces.origins()

    refused(
        command("generate", "sample", "--classes", "happy,bored", "--out", tmp_path / "b.parquet"), "'bored'"
    )
    other = registry.export(real.take(np.arange(5, 60)), tmp_path / "other", "csv")
    refused(command("generate", "evaluate", "--features", "tiny", "--data", other), "'faces'")
    result = command("generate", "evaluate", "--features", "tiny", "--faces", 20, "--data", "sketch")
    assert result.code == 0 and str(trained / "REPORT.md") in result.out, result.err
    scores = json.loads((trained / "scores.json").read_text())
    assert set(scores["sets"]) == {"generated", "PublicTest"} and (trained / "faces.png").is_file()

    words = ("train", "--data", "sketch", *QUICK, "--run", "more", "--set", "fit.generated_share=1")
    result = command(*words, "--generated", "faces")
    assert result.code == 0, result.err
    manifest = runs.run("more").manifest()
    assert manifest.generated == {"faces": json.loads((trained / "generator.json").read_text())["sha256"]}
    assert manifest.data["origins"]["generated"] > 0 and FLAT in manifest.nets
    assert command("train", "--run", "more", "--resume").code == 0
    refused(
        command(*words, "--generated", "faces", "--resume", "--set", "fit.generated_share=0.5"),
        "generated_share",
    )
    (trained / "generator.keras").write_bytes(b"damaged")
    refused(command("generate", "sample", "--out", tmp_path / "x.parquet"), "generator.keras: damaged")
    refused(command("generate", "evaluate", "--features", "tiny"), "generator.keras: damaged")


@pytest.mark.long
def test_ctrl_c_leaves_the_command_to_resume(command, trained, monkeypatch):
    refused(command("generate", "train", "--data", "sketch"), "'faces'", "--resume")
    refused(command("generate", "train", "--seed", 1, "--resume"), "seed 0, not 1")
    begin = generator_trainer.Flows.begin

    def stop(self, epoch):
        if epoch:
            raise KeyboardInterrupt
        begin(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(generator_trainer.Flows, "begin", stop)
        result = command("generate", "train", "--resume", "--epochs", 2)
    assert result.code == 130 and "generate train --run faces --resume" in result.err
    assert command("generate", "train", "--resume").code == 0
    assert len(json.loads((trained / "generator.json").read_text())["history"]) == 2


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("generate train --run ../x", ["'../x'"]),
        ("generate train --minutes nan", ["--minutes"]),
        ("generate train --epochs 0", ["--epochs"]),
        ("generate train --data nowhere", ["nowhere"]),
        ("generate sample --out a.csv", ["--out a.csv", ".parquet"]),
        ("generate sample --run nobody --out a.parquet", ["'nobody'"]),
        ("generate evaluate --run nobody", ["'nobody'"]),
        ("train --generated nobody --set fit.generated_share=1", ["'nobody'"]),
        ("train --set fit.generated_share=1", ["--generated"]),
        ("train --set fit.generated_share=1.5 --generated nobody", ["fit.generated_share"]),
    ],
)
def test_bad_input_is_one_line(command, own_home, words, parts):
    refused(command(*words.split()), *parts)
    assert not list(own_home.glob("logs/**/.lock"))
