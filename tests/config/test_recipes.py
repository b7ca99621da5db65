"""A recipe survives its file unchanged, has a name, and cannot be changed in place."""

import json

import pytest

from hierarchy.config import recipes
from hierarchy.config.overrides import from_dict
from hierarchy.config.recipes import RECIPES, named
from hierarchy.config.schema import TrainConfig, VGGConfig
from hierarchy.errors import InputError


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_comes_back_from_its_file(name):
    recipe = named(name)
    assert recipe.name == name
    assert from_dict(json.loads(json.dumps(recipe.as_dict())), "recipe.json") == recipe


def test_the_list_names_every_recipe():
    lines = recipes.listing().splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    assert all(len(line.split()) > 3 for line in lines)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(InputError, match="'quick'.*sketch, tiny, small"):
        named("quick")


def test_recipes_cannot_be_changed_in_place():
    for part in (named("short"), VGGConfig(), TrainConfig()):
        with pytest.raises(AttributeError):
            part.name = "other"
