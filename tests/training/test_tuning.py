"""A ten-trial study: resumed, chosen by PublicTest, plotted, and its recipe trained."""

import csv
import importlib.util
import os
import sqlite3
import sys
from contextlib import closing

import pytest

import tf_model
from hierarchy.config import overrides
from hierarchy.config.recipes import RECIPES, named
from hierarchy.config.schema import VGGConfig
from hierarchy.data import loading
from hierarchy.errors import InputError
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import FLAT
from hierarchy.training import tuning

needs_optuna = pytest.mark.skipif(not importlib.util.find_spec("optuna"), reason="optuna is not installed")
TRIALS = 10
QUICK = ["fit.epochs=2", "net.stages=[[4],[8],[8]]"]


@pytest.fixture
def study(monkeypatch, own_home, logged):
    """The command on a few drawn faces; returns its folder and log messages."""
    monkeypatch.setattr(loading, "SKETCHES", 210)

    def run(trials, node=FLAT, **more):
        logged.clear()
        options = {"recipe": "sketch", "settings": QUICK, "name": None, "storage": None, "seed": 0} | more
        folder = tuning.tune(node, trials, data="sketch", backend=KERAS_BACKEND, **options)
        return folder, list(logged.messages)

    return run


@pytest.mark.long
@needs_optuna
def test_ten_trials_are_run_resumed_and_written_down(study, own_home, monkeypatch):
    folder, said = study(4)
    assert sum(line.startswith("trial") for line in said) == 4
    folder, said = study(TRIALS)
    assert sum(line.startswith("trial") for line in said) == TRIALS - 4
    assert study(TRIALS)[1] == []
    assert folder == own_home / "results" / "tune" / "flat-sketch"
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == TRIALS and {row["state"] for row in rows} <= {"complete", "pruned"}
    assert {path.name for path in folder.iterdir()} >= {"recipe.json", "trials.csv", "history.png"}
    assert len({row["learning_rate"] for row in rows}) == TRIALS, "a study that goes on tries something new"
    whole = [row for row in rows if row["state"] == "complete"]
    best = max(whole, key=lambda row: float(row["public_test_accuracy"]))
    found = overrides.recipe_of(str(folder / "recipe.json"))
    assert found.fit.learning_rate == float(best["learning_rate"]) and found.name == "flat-sketch"
    assert found.fit.batch_size == int(best["batch_size"]) and found.fit.epochs == 2
    words = f"train --data sketch --recipe {folder / 'recipe.json'} --node {FLAT} --run tuned"
    monkeypatch.setattr(sys, "argv", ["tf_model.py", *words.split()])
    assert tf_model.main() == 0 and (own_home / "results" / "tuned" / "flat.keras").is_file()


@needs_optuna
def test_another_search_of_the_same_name_is_refused(study):
    study(1)
    with pytest.raises(InputError, match="'flat-sketch'.*recipe"):
        study(2, settings=[*QUICK, "net.dropout=0.5"])


@needs_optuna
def test_a_study_with_recipe_keys_of_before_goes_on(study, own_home):
    """Its journal says fit.votes, fit.rows and warm, as studies did before the keys were renamed."""
    study(1)
    journal = own_home / "logs" / "tune" / "flat-sketch.log"
    text = journal.read_text()
    for old, new in overrides.RENAMED.items():
        text = text.replace(f'"{new}":', f'"{old}":')
    assert '"votes":' in text
    journal.write_text(text)
    assert sum(line.startswith("trial") for line in study(2)[1]) == 1


@needs_optuna
def test_a_node_of_another_tree_is_tuned(study):
    folder, _ = study(1, node="negative", tree="valence7")
    assert overrides.recipe_of(str(folder / "recipe.json")).tree.name == "valence7"


@needs_optuna
def test_two_studies_may_share_a_database(study, tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"
    study(1, storage=storage, name="one")
    assert sum(line.startswith("trial") for line in study(2, storage=storage, name="one")[1]) == 1


@needs_optuna
@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"node": "leaf"}, "--node leaf"),
        ({"tree": "leaf"}, "'leaf'"),
        ({"tree": "valence7", "node": "neutral"}, "--node neutral"),
        ({"recipe": "vgg16", "settings": []}, "'vgg16'"),
        ({"recipe": "distilled", "settings": []}, "'distilled'"),
        ({"recipe": "nowhere.json"}, "nowhere.json"),
        ({"name": "../evil"}, "'../evil'"),
        ({"storage": "nosuch://place"}, "--storage nosuch://place"),
        ({"storage": "/proc/nowhere/a.log"}, "--storage /proc/nowhere/a.log"),
    ],
)
def test_what_cannot_be_searched_is_refused(study, more, named):
    with pytest.raises(InputError, match=named) as caught:
        study(1, **{"node": FLAT, **more})
    assert "\n" not in str(caught.value)


def test_without_optuna_the_install_line_is_named(study, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="requirements-scale.txt"):
        study(1)


class Asked:
    """A trial that answers with the largest value everywhere, and keeps what it was asked."""

    def __init__(self) -> None:
        self.names = set()

    def suggest_float(self, name, low, high, log=False):
        self.names.add(name)
        return high

    def suggest_categorical(self, name, choices):
        self.names.add(name)
        return choices[-1]


@pytest.mark.parametrize("name", [name for name in RECIPES if isinstance(named(name).net, VGGConfig)])
def test_every_proposal_is_a_recipe_that_can_be_stored(name, tmp_path):
    trial = Asked()
    recipe = tuning.proposed(trial, named(name))
    assert trial.names == {"width", "augmentation", "dropout", "learning_rate", "batch_size", "weight_decay"}
    overrides.store(recipe, tmp_path / "recipe.json")
    assert overrides.recipe_of(str(tmp_path / "recipe.json")) == recipe


@needs_optuna
@pytest.mark.parametrize("edited", ["value", "params"])
def test_a_study_whose_trials_were_edited_is_refused(tmp_path, edited):
    import optuna

    base = named("sketch")
    study = tuning._study("s", None, {"node": FLAT, "recipe": base.as_dict()})
    trial = study.ask()
    tuning.proposed(trial, base)
    study.tell(trial, 2.0 if edited == "value" else 0.5)
    if edited == "params":
        study.add_trial(optuna.trial.create_trial(value=0.5))
    with pytest.raises(InputError, match="study 's'"):
        tuning._check_trials(study, base, None)


@needs_optuna
def test_a_line_that_a_killed_process_left_incomplete_is_removed(tmp_path):
    """Otherwise the next line is added to it, and no process can read the journal again."""
    place, about = tmp_path / "study.log", {"node": FLAT, "recipe": named("sketch").as_dict(), "data": ""}
    tuning._study("s", str(place), about).ask()
    whole = place.read_bytes()
    place.write_bytes(whole + whole.splitlines()[-1][:-9])
    tuning._study("s", str(place), about).ask()
    assert place.read_bytes().startswith(whole)
    assert len(tuning._study("s", str(place), about).trials) == 2


@needs_optuna
@pytest.mark.parametrize("stored", [7, [], {}, {"recipe": []}])
def test_a_study_of_another_program_is_refused(tmp_path, stored):
    place, about = str(tmp_path / "study.log"), {"node": FLAT, "recipe": named("sketch").as_dict()}
    tuning._study("s", place, about).set_user_attr("about", stored)
    with pytest.raises(InputError, match=place):
        tuning._study("s", place, about)


@needs_optuna
@pytest.mark.parametrize("text", [b"no newline at all", b"a line\n", b"two\nlines", b'{"a": 1}', b"\0"])
def test_another_file_than_a_journal_stays_as_it_is(tmp_path, text):
    place = tmp_path / "one.txt"
    place.write_bytes(text)
    with pytest.raises(InputError, match="one.txt"):
        tuning._study("s", str(place), {})
    assert place.read_bytes() == text


@needs_optuna
def test_an_error_does_not_repeat_a_password():
    with pytest.raises(InputError, match=r"--storage nosuch://me:\*\*\*@here/db: ") as refusal:
        tuning._study("s", "nosuch://me:secret@here/db", {})
    assert "secret" not in str(refusal.value)


@needs_optuna
def test_a_journal_that_is_too_large_is_not_read(tmp_path):
    place = tmp_path / "study.log"
    place.write_bytes(tuning.BEGINNING)
    os.truncate(place, 10**10)  # sparse
    with pytest.raises(InputError, match="study.log: .*at most 256 MiB"):
        tuning._study("s", str(place), {})


@needs_optuna
@pytest.mark.parametrize(
    "table",
    ["TABLE contacts (name)", "TABLE studies (name)", "TABLE trials (name)", "VIEW studies AS SELECT 1"],
)
def test_a_database_of_another_program_stays_as_it_is(tmp_path, table):
    place = tmp_path / "contacts.db"
    with closing(sqlite3.connect(place)) as database:
        database.execute(f"CREATE {table}")
        database.commit()
    before = place.read_bytes()
    with pytest.raises(InputError, match="contacts.db: cannot be used .a database of another program"):
        tuning._study("s", f"sqlite:///{place}", {})
    assert place.read_bytes() == before


@needs_optuna
@pytest.mark.parametrize("device", ["/dev/zero", "fifo"])
def test_a_device_is_no_journal(tmp_path, device):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match=device):
        tuning._study("s", str(tmp_path / device), {})


@needs_optuna
@pytest.mark.parametrize("line", [b"7\n", b"{}\n", b"\xff\n", b"[" * 50_000 + b"\n", b'{"op_code": 99}\n'])
def test_a_damaged_journal_is_one_line(tmp_path, line):
    place = tmp_path / "study.log"
    place.write_bytes(line * 2)
    with pytest.raises(InputError, match="study.log") as refusal:
        tuning._study("s", str(place), {})
    assert "\n" not in str(refusal.value)
