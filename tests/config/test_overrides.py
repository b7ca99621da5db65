"""`--set` changes one value of the right type or nothing; damaged recipes are refused."""

import json
from dataclasses import asdict, fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hierarchy.config.overrides import RENAMED, from_dict, translated, with_settings
from hierarchy.config.recipes import RECIPES, named
from hierarchy.config.schema import Recipe
from hierarchy.errors import InputError
from hierarchy.taxonomy import VALENCE, Tree


@pytest.mark.parametrize("name", RECIPES)
def test_every_value_can_be_set_to_itself(name):
    recipe = named(name)
    for part in fields(recipe):
        value = getattr(recipe, part.name)
        for key in fields(value) if is_dataclass(value) and part.name != "tree" else ():
            text = json.dumps(getattr(value, key.name), default=asdict)
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
        ("warm_start.epochs=1", "warm_start", {"epochs": 1}),
        ("warm.epochs=1", "warm_start", {"epochs": 1}),
        ("fit.votes=0.5", "fit", {"soft_label_weight": 0.5}),
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
    ("setting", "expected"),
    [
        ("fit.epochs", "'fit.epochs'"),
        ("", "''"),
        ("fit\nepochs", "--set"),
        ("=3", "''"),
        ("epochs=3", "'epochs'.*name, net"),
        ("fit.epoch=3", "'fit.epoch'.*epochs"),
        ("fit=3", "'fit'"),
        ("fit.epochs.most=3", "'fit.epochs.most'"),
        ("warm=3", "'warm_start'"),
        ('fit={"epochs": 3}', "'fit'"),
        ("tree=3", "'tree'"),
        ("tree.children=3", "'tree.children'"),
        ("fit.epochs=", "'fit.epochs'.*''"),
        ("fit.epochs=many", "'fit.epochs'.*'many'"),
        ("fit.epochs=2.5", "'fit.epochs'.*2.5"),
        ("fit.epochs=true", "'fit.epochs'.*True"),
        ("fit.epochs=1,2", r"'fit.epochs'.*\[1, 2\]"),
        ("fit.oversample=1", "'fit.oversample'.*1"),
        ("fit.oversample=no", "'fit.oversample'.*'no'"),
        ("fit.loss=3", "'fit.loss'.*3"),
        ("fit.momentum=null", "'fit.momentum'.*None"),
        ("net.dense=256,wide", "'net.dense'.*'256,wide'"),
        ("net.stages=[16],[32]", "'net.stages'"),
        ("fit.epochs=0", "'fit.epochs'.*0"),
        ("fit.batch_size=-1", "'fit.batch_size'.*-1"),
        ("net.crop=50", "'net.crop'.*50"),
        ("net.stages=[[0]]", "'net.stages'.*0"),
        ("net.dropout=1", "'net.dropout'.*1"),
        ("augment.rotation=-5", "'augment.rotation'.*-5"),
        ("fit.learning_rate=NaN", "'fit.learning_rate'.*nan"),
        ('fit.learning_rate="0.1"', "'fit.learning_rate'.*'0.1'"),
        ("fit.l2=true", "'fit.l2'.*True"),
        ("fit.learning_rate=Infinity", "'fit.learning_rate'.*inf"),
        ("fit.clip_norm=1e-308", "'fit.clip_norm'.*0 or at least 1e-12, got 1e-308"),
        ("net.blur=1e-40", "'net.blur'.*1e-40"),
        ("fit.votes=1", "'fit.soft_label_weight'.*1"),
    ],
)
def test_what_cannot_be_set_is_refused_on_one_line(setting, expected):
    with pytest.raises(InputError, match=expected) as refusal:
        with_settings(named("short"), [setting])
    assert "\n" not in str(refusal.value)


def test_what_a_recipe_has_not_cannot_be_set():
    for setting in ("warm=3", "warm_start.epochs=3"):
        with pytest.raises(InputError, match="warm_start"):
            with_settings(Recipe("cold", warm_start=None), [setting])


@given(some.text(), some.sampled_from(["fit.", "net.dense", "fit.epochs", "warm"]), some.text())
def test_no_setting_is_a_fault_of_ours(key, prefix, value):
    try:
        with_settings(named("short"), [f"{prefix}{key}={value}"])
    except InputError as refusal:
        assert "\n" not in str(refusal)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": "x", "fit": {"epoch": 3}}, "old.json.*'fit.epoch'"),
        ({"name": "x", "speed": 3}, "old.json.*'speed'"),
        ({"name": "x", "fit": 3}, "old.json.*'fit'.*3"),
        ({"name": "x", "fit": None}, "old.json.*'fit'.*None"),
        ({"name": "x", "fit": {"epochs": "3"}}, "'3'"),
        ({"name": "x", "tree": {"up": ["happy"]}}, "old.json.*tree"),
        ({"name": "x", "tree": 3}, "old.json.*tree"),
        ({"name": "x", "fit": {"rows": 3, "samples_per_class": 3}}, "old.json.*'rows'"),
        ([], "old.json: "),
        ({}, "old.json.*'name'"),
        ({"name": "x", "net": {"side": 48}}, "old.json.*'net.side'"),
        ({"name": "x", "net": {"backbone": "vgg16", "side": 3}}, "old.json.*'net.side'.*3"),
        ({"name": "x", "net": {"backbone": "vgg"}}, "old.json.*'net.backbone'.*'vgg'"),
    ],
)
def test_a_damaged_file_is_refused(values, expected):
    with pytest.raises(InputError, match=expected):
        from_dict(values, "old.json")


def test_old_keys_are_translated_and_names_of_a_tree_are_not():
    tree = {name: [f"{name} low", f"{name} high"] for name in ("warm", "rows", "minutes")}
    values = {"name": "every", "warm": {"votes": 0.5, "decay": 0.9}, "fit": {"rows": 3}, "tree": tree}
    recipe = from_dict(values, "old.json")
    assert recipe.warm_start.soft_label_weight == 0.5 and recipe.warm_start.lr_decay == 0.9
    assert recipe.fit.samples_per_class == 3 and recipe.name == "every"
    assert recipe.tree.to_dict() == tree
    assert translated("warm.minutes=3", "--set") == "warm_start.max_minutes=3"
    assert len(set(RENAMED.values())) == len(RENAMED)


def test_a_recipe_keeps_its_tree(other_tree):
    recipe = replace(named("short"), tree=other_tree)
    assert from_dict(recipe.as_dict(), "recipe.json") == recipe != named("short")
    assert "tree" not in named("short").as_dict()
    aliases = {"spelling": other_tree.leaves[0]}
    other = replace(recipe, tree=Tree(other_tree.children, aliases))
    assert from_dict(other.as_dict(), "recipe.json").tree.aliases == aliases
    default = replace(recipe, tree=Tree(VALENCE.children, {"glad": "happy"}))
    assert from_dict(default.as_dict(), "recipe.json").tree.aliases == {"glad": "happy"}
