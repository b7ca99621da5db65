"""`--set` changes one value of the right type or nothing, and a damaged recipe is refused."""

import json
from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.config.overrides import from_dict, with_settings
from hierarchy.config.recipes import RECIPES, named
from hierarchy.config.schema import Recipe
from hierarchy.errors import InputError


@pytest.mark.parametrize("name", RECIPES)
def test_every_value_can_be_set_to_itself(name):
    recipe = named(name)
    for part in fields(recipe):
        value = getattr(recipe, part.name)
        for key in fields(value) if is_dataclass(value) else ():
            text = json.dumps(getattr(value, key.name))
            assert with_settings(recipe, [f"{part.name}.{key.name}={text}"]) == recipe


@pytest.mark.parametrize(
    ("setting", "part", "value"),
    [
        ("fit.epochs=20", "fit", {"epochs": 20}),
        (" fit.epochs = 20 ", "fit", {"epochs": 20}),
        ("fit.learning_rate=1", "fit", {"learning_rate": 1.0}),
        ("fit.learning_rate=1e-4", "fit", {"learning_rate": 1e-4}),
        ("fit.loss=focal", "fit", {"loss": "focal"}),
        ("augment.flip=false", "augment", {"flip": False}),
        ("net.dense=256", "net", {"dense": (256,)}),
        ("net.dense=256,128", "net", {"dense": (256, 128)}),
        ("net.dense=[]", "net", {"dense": ()}),
        ("net.stages=[[16], [32, 32]]", "net", {"stages": ((16,), (32, 32))}),
        ("net.stages=16,32", "net", {"stages": ((16,), (32,))}),
        ("warm_start.epochs=1", "warm", {"epochs": 1}),
    ],
)
def test_a_setting_changes_one_value(setting, part, value):
    before = named("short")
    expected = replace(before, **{part: replace(getattr(before, part), **value)})
    after = with_settings(before, [setting])
    assert after == expected
    (changed,) = value
    assert type(getattr(getattr(after, part), changed)) is type(value[changed])


def test_the_last_setting_counts():
    assert with_settings(named("short"), ["fit.epochs=2", "fit.epochs=3"]).fit.epochs == 3


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("fit.epochs", "write key=value"),
        ("", "write key=value"),
        ("fit\nepochs", "write key=value"),
        ("=3", "unknown recipe key ''"),
        ("epochs=3", "unknown recipe key 'epochs': allowed here are name, net"),
        ("fit.epoch=3", "unknown recipe key 'fit.epoch': allowed here are epochs"),
        ("fit=3", "'fit' is not a single value"),
        ("fit.epochs.most=3", "'fit.epochs.most' is not a single value"),
        ("warm=3", "'warm' is not a single value"),
        ("fit.epochs=", "'' is not of type int"),
        ("fit.epochs=many", "'many' is not of type int"),
        ("fit.epochs=2.5", "2.5 is not of type int"),
        ("fit.epochs=true", "True is not of type int"),
        ("fit.epochs=1,2", r"\[1, 2\] is not of type int"),
        ("fit.oversample=1", "1 is not of type bool"),
        ("fit.oversample=no", "'no' is not of type bool"),
        ("fit.loss=3", "3 is not of type str"),
        ("fit.momentum=null", "None is not of type float"),
        ("net.dense=256,wide", "'256,wide' is not of type int"),
        ("net.stages=[16],[32]", "is not of type int"),
        ("fit.epochs=0", "0 is not at least 1"),
        ("fit.batch_size=-1", "-1 is not at least 1"),
        ("net.stages=[[0]]", "0 is not at least 1"),
        ("net.dropout=1", "1.0 is not at least 0 and below 1"),
        ("augment.rotation=-5", "-5.0 is not at least 0"),
        ("fit.learning_rate=NaN", "nan is not at least 0"),
        ("fit.learning_rate=Infinity", "inf is not at least 0"),
    ],
)
def test_what_cannot_be_set_is_refused_on_one_line(setting, complaint):
    with pytest.raises(InputError, match=complaint) as refusal:
        with_settings(named("short"), [setting])
    assert "\n" not in str(refusal.value)


def test_what_a_recipe_has_not_cannot_be_set():
    for setting in ("warm=3", "warm_start.epochs=3"):
        with pytest.raises(InputError, match="is not a single value"):
            with_settings(Recipe("cold", warm_start=None), [setting])


@given(some.text(), some.sampled_from(["fit.", "net.dense", "fit.epochs", "warm"]), some.text())
def test_no_setting_is_a_fault_of_ours(key, prefix, value):
    try:
        with_settings(named("short"), [f"{prefix}{key}={value}"])
    except InputError as refusal:
        assert "\n" not in str(refusal)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"name": "x", "fit": {"epoch": 3}}, "old.json: unknown recipe key 'epoch'"),
        ({"name": "x", "speed": 3}, "old.json: unknown recipe key 'speed'"),
        ({"name": "x", "fit": 3}, "old.json: 3 where a recipe has an object of epochs"),
        ({"name": "x", "fit": None}, "old.json: None where a recipe has an object"),
        ({"name": "x", "fit": {"epochs": "3"}}, "'3' is not of type int"),
        ([], "old.json: "),
        ({}, "old.json: recipe key 'name' is missing"),
        ({"name": "x", "net": {"side": 48}}, "old.json: recipe key 'backbone' is missing"),
    ],
)
def test_a_damaged_file_is_refused(values, complaint):
    with pytest.raises(InputError, match=complaint):
        from_dict(values, "old.json")
