"""Options are checked before data are loaded, and a run is resumed with those it was begun with."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy import fileio, runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.config import overrides, recipes
from hierarchy.data import loading
from hierarchy.data.dataset import FaceDataset
from hierarchy.errors import InputError
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import FLAT, TREES, VALENCE
from hierarchy.training import train
from hierarchy.training.resume import plan_of

QUICK = ("net.stages=[[4],[8]]", "fit.epochs=1", "warm_start.epochs=1", "fit.learning_rate=0.01")
OPTIONS = {
    "data": None,
    "recipe": None,
    "settings": (),
    "node": None,
    "name": None,
    "seed": None,
    "resume": False,
    "deterministic": False,
    "backend": KERAS_BACKEND,
}


def run(**options):
    return train.run(**(OPTIONS | options))


def with_names(names, rows=6):
    """Random faces of every name in every split."""
    count = rows * len(names)
    draw = np.random.default_rng(0)
    return FaceDataset(
        draw.integers(0, 256, (count, 48, 48), dtype=np.uint8),
        np.repeat(np.arange(len(names)), rows).astype(np.int8),
        np.resize([0, 0, 0, 0, 1, 2], count).astype(np.int8),
        np.arange(count, dtype=np.int32),
        source="made",
        names=tuple(names),
    )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"recipe": "quick"}, "'quick'"),
        ({"settings": ("fit.epoch=3",)}, "'fit.epoch'"),
        ({"settings": ("fit.votes=3",)}, "'fit.soft_label_weight'"),
        ({"tree": "valence9"}, "'valence9'"),
        ({"tree": "nowhere.toml"}, "nowhere.toml"),
        ({"node": "leaf"}, "'leaf'"),
        ({"tree": "valence7", "node": "neutral"}, "'neutral'"),
        ({"labels": "mine"}, "'mine'"),
        ({"name": "../evil"}, "'../evil'"),
        ({"teacher": "nobody"}, "'nobody'"),
        ({"start": "nobody"}, "'nobody'"),
        ({"recipe": "distilled"}, "--teacher"),
        ({"recipe": "resnet18"}, "pt_files"),
        ({"data": "sketch", "node": "leaf"}, "'leaf'"),
    ],
)
def test_options_are_checked_before_data_are_loaded(options, named, monkeypatch):
    monkeypatch.setattr(loading, "training_faces", lambda _: pytest.fail("data were loaded"))
    with pytest.raises(InputError, match=named):
        run(**options)
    assert not runs.home().joinpath("logs").exists()


def test_a_run_that_exists_is_refused_before_data_are_loaded(manifest_run, monkeypatch):
    monkeypatch.setattr(loading, "training_faces", lambda _: pytest.fail("data were loaded"))
    manifest_run("there")
    with pytest.raises(InputError, match="'there'"):
        run(name="there")


@pytest.fixture
def begun(tiny_run):
    """The tiny run, stored as before recipe keys were renamed."""
    values = fileio.read_json(tiny_run.folder / runs.MANIFEST)
    old = {new: name for name, new in overrides.RENAMED.items()}
    recipe = {old.get(key, key): value for key, value in values["recipe"].items()}
    recipe["fit"] = {old.get(key, key): value for key, value in recipe["fit"].items()}
    assert {"warm"} < recipe.keys() and {"votes", "rows", "every"} < recipe["fit"].keys()
    calibration = {node: {"offset": [0.0], "temperature": 1.0} for node in VALENCE.nets}
    about = {"settings": ["fit.votes=0.0"], "deterministic": False, "framework": "Keras"}
    tiny_run.amend({"recipe": recipe, "calibration": calibration} | about)
    plan = {"recipe": recipe, "seed": 0, "asked": {"data": "sketch", "node": "all,flat"}} | about
    fileio.write_json(tiny_run.log / runs.MANIFEST, plan)
    return tiny_run


def test_a_run_stored_with_old_keys_is_resumed(begun, logged):
    run(name="tiny", resume=True)
    run(name="tiny", resume=True, settings=("fit.votes=0", "fit.max_minutes=0"))
    assert logged.messages.count("run 'tiny' is finished") == 2
    assert plan_of(begun)["settings"] == ["fit.soft_label_weight=0.0"]


@pytest.mark.parametrize("setting", ["fit.decay=0.5", "fit.lr_decay=0.5", "fit.every=3", "fit.minutes=5"])
def test_another_value_than_stored_under_an_old_key_is_refused(begun, setting):
    with pytest.raises(InputError, match=f"recipe.{overrides.translated(setting, '').partition('=')[0]}"):
        run(name="tiny", resume=True, settings=(setting,))


def test_a_recipe_without_a_section_or_a_newer_key_means_its_default(begun):
    values = fileio.read_json(begun.log / runs.MANIFEST)
    assert values["recipe"]["warm"] is None
    for settings in (("net.crop=40",), ("fit.clip_norm=1",)):
        del values["recipe"]["net"]["crop"]
        values["recipe"]["fit"].pop("clip_norm", None)
        fileio.write_json(begun.log / runs.MANIFEST, values)
        with pytest.raises(InputError, match=f"recipe.{settings[0].partition('=')[0]}"):
            run(name="tiny", resume=True, settings=settings)
        values["recipe"]["net"]["crop"] = 44
    layers = ("net.stages=[[4]]", "net.dropout=0.3")
    with pytest.raises(InputError, match="recipe"):
        run(name="tiny", resume=True, recipe="short", settings=layers)


def test_an_old_key_beside_its_new_name_is_refused(begun):
    values = fileio.read_json(begun.log / runs.MANIFEST)
    values["recipe"]["fit"]["soft_label_weight"] = 0.0
    fileio.write_json(begun.log / runs.MANIFEST, values)
    with pytest.raises(InputError, match="'votes'"):
        run(name="tiny", resume=True)


def test_another_tree_is_refused_on_resume_with_both_printed(begun, logged, tmp_path):
    run(name="tiny", resume=True, tree="valence")
    overrides.store(replace(recipes.SKETCH, tree=TREES["ferplus8"]), tmp_path / "recipe.json")
    for options in ({"tree": "ferplus8"}, {"recipe": str(tmp_path / "recipe.json")}):
        with pytest.raises(InputError, match="'tiny'") as error:
            run(name="tiny", resume=True, **options)
        assert str(TREES["ferplus8"]) in str(error.value) and str(VALENCE) in str(error.value)


@pytest.mark.long
@pytest.mark.slow
def test_every_tree_is_trained_resumed_and_loaded(other_tree, monkeypatch, tmp_path, logged):
    faces = with_names((*other_tree.leaves, "left out"))
    monkeypatch.setattr(loading, "training_faces", lambda _: faces)
    file = tmp_path / "tree.toml"
    branches = "\n".join(f"{branch!r} = {list(leaves)!r}" for branch, leaves in other_tree.children.items())
    file.write_text(f"[branches]\n{branches}\n")
    options = {"recipe": "sketch", "settings": QUICK, "name": "other"}
    run(**options, tree=str(file), node=FLAT)
    manifest = run(name="other", resume=True, node="all").manifest()  # with the run's own tree
    assert manifest.tree == other_tree and set(manifest.nets) == set(other_tree.nets)
    for node, net in manifest.nets.items():
        assert net.classes == other_tree.classes_of(node)
        assert len(manifest.calibration[node].offset) == len(net.classes)
    assert manifest.data["left_out"] == {"left out": int((faces.label == len(other_tree.leaves)).sum())}
    assert any("left out" in line for line in logged.messages)
    classifier = HierarchicalClassifier.load("other", tree=other_tree)
    assert classifier.classes_.tolist() == sorted(other_tree.leaves)
    probabilities = classifier.predictions(faces).joint
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    lazy, nets = classifier.lazy(faces)
    np.testing.assert_array_equal(lazy, probabilities.argmax(axis=1))
    assert nets.max() <= len(other_tree.nodes)
    with pytest.raises(InputError, match="'other'"):
        HierarchicalClassifier.load("other", tree=VALENCE)
    with pytest.raises(InputError):
        run(name="other", resume=True, tree="valence")
