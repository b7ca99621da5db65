"""Several runs by one command: each is stored as it finishes, and none is trained twice or overwritten."""

from dataclasses import replace

import pytest

from hierarchy import runs
from hierarchy.config import overrides, recipes
from hierarchy.errors import InputError
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.training import sweep

QUICK = ("net.stages=[[4],[8]]", "fit.epochs=1", "warm_start.epochs=1")


def train(recipe="sketch", seed=None, name=None, resume=False, settings=QUICK, tree=None):
    return sweep.sweep(
        recipe=recipe,
        seed=seed,
        name=name,
        resume=resume,
        data="sketch",
        settings=settings,
        node="flat",
        deterministic=False,
        tree=tree,
        backend=KERAS_BACKEND,
    )


@pytest.mark.parametrize(
    ("recipe", "seed", "name", "called"),
    [
        ("short", None, None, [None]),  # one run, named by `run` itself
        ("short", "3", "mine", ["mine"]),
        ("short", "0,1", None, ["short-0", "short-1"]),
        ("short", "0,1", "mine", ["mine-0", "mine-1"]),
        ("short,half", None, None, ["short", "half"]),
        ("short,half", "0,2", "x", ["x-short-0", "x-short-2", "x-half-0", "x-half-2"]),
        (None, "4,5", "mine", ["mine-4", "mine-5"]),
    ],
)
def test_runs_are_named_by_what_tells_them_apart(recipe, seed, name, called):
    assert [one[2] for one in sweep._jobs(recipe, seed, name)] == called


def test_a_recipe_of_a_file_is_called_by_its_own_name(tmp_path):
    file = tmp_path / "sub" / "r.json"
    file.parent.mkdir()
    overrides.store(replace(recipes.named("sketch"), name="mine"), file)
    assert [one[2] for one in sweep._jobs(str(file), "0,1", None)] == ["mine-0", "mine-1"]


def test_each_run_is_there_when_it_is_given_and_is_not_trained_again(few_sketches, monkeypatch, logged):
    from hierarchy.data import loading

    monkeypatch.setattr(loading, "SKETCHES", len(few_sketches))
    begun = train(seed="0,1")
    assert next(begun).manifest().seed == 0
    assert runs.names() == ["sketch-0"]  # the second has not begun
    with pytest.raises(InputError, match="'sketch-0'"):
        next(train(seed="1,0"))
    seeds = [run.manifest().seed for run in train(seed="0,1", resume=True)]
    assert seeds == [0, 1]
    assert "run 'sketch-0' is finished" in logged.messages
    assert "run 'sketch-1' is finished" not in logged.messages


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"seed": "0,x"}, "--seed '0,x'"),
        ({"seed": "-1"}, "--seed '-1'"),
        ({"seed": "0,0"}, "--seed '0,0'"),
        ({"recipe": "sketch,"}, "--recipe 'sketch,'"),
        ({"recipe": "sketch,earlier", "settings": ("warm_start.epochs=2",)}, "warm"),
        ({"recipe": "sketch,shrt"}, "'shrt'"),
        ({"tree": "shrt"}, "'shrt'"),
        ({"recipe": None, "seed": "0,1"}, "--recipe or --run"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(wrong, complaint):
    with pytest.raises(InputError, match=complaint):
        next(train(**wrong))
    assert runs.names() == []
