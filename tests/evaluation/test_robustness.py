"""Errors under corruptions: measured once for a run's nets, reported wherever they are scored."""

import sys

import numpy as np
import pytest

from hierarchy import fileio
from hierarchy.data import corruptions
from hierarchy.errors import InputError
from hierarchy.evaluation import robustness, run_report
from hierarchy.evaluation.evaluate import evaluate
from hierarchy.reports import model_card


def scored(corrupted: bool) -> None:
    evaluate("tiny", None, split="PrivateTest", view="single", min_confidence=0.5, corruptions=corrupted)


@pytest.fixture
def drawn(monkeypatch):
    """Corruptions that cost nothing: the strength's share of the face is painted black."""

    def corrupted(pixels, name, strength, seed):
        assert name in corruptions.CORRUPTIONS
        return np.where(np.arange(48) < 8 * strength, 0, pixels).astype(np.uint8)

    monkeypatch.setattr(corruptions, "corrupted", corrupted)
    monkeypatch.setattr(corruptions, "library", lambda: None)


def test_errors_are_measured_stored_and_reported(tiny_run, drawn):
    scored(corrupted=True)
    measured = fileio.read_json(tiny_run.folder / robustness.FILE)
    assert list(measured["corruptions"]) == list(corruptions.CORRUPTIONS)
    assert all(len(errors) == 5 for errors in measured["corruptions"].values())
    clean = fileio.read_json(tiny_run.folder / run_report.SCORES)["tree"]["soft"]
    assert measured["n"] == clean["n"]  # so few faces that all are taken
    assert measured["clean"]["tree"] == pytest.approx(1 - clean["accuracy"])
    assert measured["resized"].keys() == measured["clean"].keys()
    (tiny_run.folder / run_report.REPORT).unlink()
    scored(corrupted=False)
    for name in (run_report.REPORT, model_card.FILE):
        text = (tiny_run.folder / name).read_text()
        assert (
            "all corruptions" in text and "only enlarged and reduced" in text and "jpeg compression" in text
        )


def test_errors_of_other_nets_are_not_reported(tiny_run, drawn):
    scored(corrupted=True)
    measured = fileio.read_json(tiny_run.folder / robustness.FILE)
    fileio.write_json(tiny_run.folder / robustness.FILE, measured | {"of": {}})
    scored(corrupted=False)
    assert "corruption" not in (tiny_run.folder / run_report.REPORT).read_text()


def test_without_the_package_the_error_names_it(tiny_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(InputError, match="imagecorruptions-imaug"):
        scored(corrupted=True)
    assert not (tiny_run.folder / run_report.REPORT).exists()
