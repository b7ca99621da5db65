"""Action units from features: known on drawn faces, expected of real ones, and reported by part."""

import re

import numpy as np
import pytest

from hierarchy import fileio
from hierarchy.data.synthetic import sketch
from hierarchy.data.synthetic.action_units import MAX_NOISE, MIN_SHARE, REGIONS, STRENGTHS, Unit, expected
from hierarchy.errors import InputError
from hierarchy.evaluation import action_units
from hierarchy.inference.explanation import PARTS
from hierarchy.taxonomy import FLAT


def test_activations_are_those_of_the_drawn_faces() -> None:
    faces = sketch.sketch_faces(40, seed=3)
    acts = sketch.activations(faces.label, seed=3)
    assert acts.shape == (40, len(Unit))
    for act, code in zip(acts, faces.label, strict=True):
        strengths = STRENGTHS[faces.names[code].lower()]
        for unit, value in zip(Unit, act, strict=True):
            if strength := strengths.get(unit, 0):
                assert MIN_SHARE * strength <= value <= strength
            else:
                assert value <= MAX_NOISE or value >= MIN_SHARE  # at rest, or a unit that acts sometimes


def test_the_expected_activation_is_the_mean_of_the_drawn() -> None:
    faces = sketch.sketch_faces(3000, seed=1)
    acts = sketch.activations(faces.label, seed=1)
    for code, name in enumerate(faces.names):
        mean = acts[faces.label == code].mean(axis=0)
        assert np.allclose(mean, expected(name.lower()), atol=0.15)


def test_every_unit_has_a_part_that_is_covered() -> None:
    assert set(REGIONS) == set(Unit) and set(REGIONS.values()) <= set(PARTS)


def test_a_report_is_written(tiny_run, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(action_units, "DRAWN", 300)
    text = action_units.write(tiny_run.name, "sketch", tmp_path / "out")
    page = (tmp_path / "out" / action_units.REPORT).read_text()
    assert page.splitlines()[2] == text.splitlines()[0]
    assert len(re.findall(r"^\| \d+ ", page, re.MULTILINE)) == len(Unit)
    tables = [part.splitlines() for part in page.split("\n\n") if part.startswith("| ")]
    assert [len({line.count("|") for line in lines}) for lines in tables] == [1, 1]
    scores = fileio.read_json(tmp_path / "out" / action_units.FILE)
    assert list(scores["heads"]) == ["drawn", "prototypes", "both"]
    assert all(0 <= auc <= 1 for auc in scores["heads"]["both"]["auc"]["drawn"].values())
    assert scores["heads"]["drawn"]["drops"]["LIP_CORNER_PULLER"].keys() == set(PARTS)


def test_a_run_without_a_flat_net_is_refused(tiny_run, tmp_path) -> None:
    tiny_run.net(FLAT).unlink()
    with pytest.raises(InputError, match=FLAT):
        action_units.write(tiny_run.name, "sketch", tmp_path / "out")


def test_other_faces_need_a_folder_of_their_own(tiny_run, monkeypatch) -> None:
    other = sketch.sketch_faces(60, seed=9)
    monkeypatch.setattr(action_units.loading, "labelled_faces", lambda data: other)
    with pytest.raises(InputError, match="--out"):
        action_units.write(tiny_run.name, "faces.csv", None)


def test_strengths_are_compared_within_expressions() -> None:
    label = np.repeat([0, 1], 50)
    truth = np.random.default_rng(0).random((100, len(Unit))) + 5 * label[:, None]
    shifted = truth - 20 * label[:, None]  # the expressions are confused, the strengths are not
    assert np.allclose(list(action_units._strength(shifted, truth, label).values()), 1)


def test_faces_without_prototypes_are_refused(tiny_run, monkeypatch, tmp_path) -> None:
    faces = sketch.sketch_faces(60)
    nameless = faces.take(faces.label == 0)
    object.__setattr__(nameless, "names", ("calm", *faces.names[1:]))
    monkeypatch.setattr(action_units.loading, "labelled_faces", lambda data: nameless)
    with pytest.raises(InputError, match="expected Training and PublicTest faces of two or more of angry"):
        action_units.write(tiny_run.name, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()
