"""Checkpoints count complete epochs only, whatever was being written when a run was killed."""

import os

import pytest

from hierarchy import runs
from hierarchy.config.schema import Recipe, TrainConfig
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.training import checkpoints
from hierarchy.training.backend import TrainTask
from hierarchy.training.checkpoints import write_history


def row(accuracy):
    return {"loss": 1.0, "val_accuracy": accuracy, "seconds": 1.0, "images_per_second": 9.0}


def manager(fit=None):
    fit = fit or TrainConfig(epochs=4)
    return TrainTask(FLAT, Recipe("x"), fit, 0, runs.run("x"), None, None, {}).checkpoints(".pt")


def filled(*accuracies, fit=None):
    written = manager(fit)
    for number, accuracy in enumerate(accuracies):
        written.write_raw(f"raw {number}".encode())
        written.add(row(accuracy), f"net {number}".encode())
    return written


def test_an_empty_one_begins_at_the_beginning():
    assert (manager().epoch, manager().weights, manager().best_weights, manager().done) == (
        0,
        None,
        None,
        False,
    )


def test_it_holds_the_last_raw_weights_and_the_best_net():
    filled(0.5, 0.7, 0.6)
    again = manager()
    assert again.epoch == 3 and again.best["epoch"] == 2
    assert again.weights.read_bytes() == b"raw 2" and again.best_weights.read_bytes() == b"net 1"
    assert len(list(again.weights.parent.glob("epoch-*"))) == 1  # the others are gone


def test_weights_that_are_a_pipe_are_named():
    weights = filled(0.5).weights
    weights.unlink()
    os.mkfifo(weights)
    with pytest.raises(InputError, match="epoch-000.pt: .*not a file"), manager().reading(weights):
        weights.read_bytes()


def test_an_epoch_that_was_not_added_does_not_count():
    filled(0.5).write_raw(b"killed here")
    assert manager().epoch == 1 and manager().weights.read_bytes() == b"raw 0"


def test_an_epoch_whose_net_was_not_written_does_not_count(monkeypatch):
    written = filled(0.5)

    def interrupted(*_):
        raise KeyboardInterrupt

    written.write_raw(b"raw 1")
    monkeypatch.setattr(checkpoints, "write_atomic", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written.add(row(0.7), b"net 1")
    assert written.epoch == 1 and written.best_weights.read_bytes() == b"net 0"


@pytest.mark.parametrize(
    ("accuracies", "patience", "done"),
    [((0.5, 0.4), 0, False), ((0.5, 0.4), 2, False), ((0.5, 0.4, 0.5), 2, True), ((0.1,) * 4, 0, True)],
)
def test_it_is_done_when_epochs_or_patience_run_out(accuracies, patience, done):
    assert filled(*accuracies, fit=TrainConfig(epochs=4, patience=patience)).done is done


def test_history_keeps_the_rows_of_a_net_whose_log_is_gone():
    run = runs.run("x")
    runs.write_history(run.folder, [{"node": "router", "loss": 2.0, "val_accuracy": 0.8}])
    filled(0.5)
    write_history(run, VALENCE, run.folder)
    assert [(line["node"], line["val_accuracy"]) for line in run.history()] == [
        ("flat", "0.5"),
        ("router", "0.8"),
    ]


def test_a_file_in_place_of_the_folder_is_named():
    folder = runs.run("x").log / FLAT
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("x")
    with pytest.raises(FileExistsError, match=str(folder)):
        manager()


def test_history_has_a_row_an_epoch():
    filled(0.5, 0.7)
    write_history(runs.run("x"), VALENCE, runs.run("x").folder)
    assert [line["val_accuracy"] for line in runs.run("x").history()] == ["0.5", "0.7"]


def test_history_follows_the_order_of_the_tree(other_tree):
    run = runs.run("x")
    rows = [{"node": node, "val_accuracy": 0.5} for node in reversed(other_tree.nets)]
    runs.write_history(run.folder, rows)
    write_history(run, other_tree, run.folder)
    assert [row["node"] for row in run.history()] == list(other_tree.nets)


@pytest.mark.parametrize(
    "state",
    [
        *("[]", "{}", '{"rows": 1}', '{"rows": [{"node": "flat"}]}', '{"rows": [], "best": "../x"}'),
        '{"rows": [{"node": "flat", "epoch": 1, "val_accuracy": 0.5}]}',  # no seconds
        *('{"rows": [{"node": "flat", "epoch": 2, "val_accuracy": 0.5}]}', "[" * 50_000),
        '{"rows": [{"node": "flat", "epoch": 1, "val_accuracy": 0.5, "seconds": 1, "images_per_second": 1, '
        '"loss": "\\ud800"}]}',
    ],
    ids=lambda text: text[:40],
)
def test_a_damaged_state_is_refused(state):
    filled(0.5)
    (runs.run("x").log / FLAT / checkpoints.STATE).write_text(state)
    with pytest.raises(InputError, match=checkpoints.STATE) as refusal:
        manager()
    assert "\n" not in str(refusal.value)
