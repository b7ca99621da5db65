"""Weights ported from Keras give the same logits, and come back unchanged."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from hierarchy import runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.config.schema import PartsConfig, Recipe, VGGConfig
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.models import keras_setup
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE, Tree

pytest.importorskip("torch", reason="pip install -r requirements-torch.txt")

import safetensors.torch  # noqa: E402
import torch  # noqa: E402

from pt_files import port_weights, serialization  # noqa: E402
from pt_files.build import build as mirrored  # noqa: E402
from pt_files.build import macs, parameters  # noqa: E402
from pt_files.torch_backend import TORCH_BACKEND  # noqa: E402
from pt_files.vgg import VGG  # noqa: E402

keras_setup.start()

NETS = {
    "pooled": VGGConfig(stages=((4, 4), (8,)), spatial_dropout=0.1),
    "dense": VGGConfig(stages=((4,), (8,)), dense=(8, 5), head="flatten"),
    "plain": VGGConfig(stages=((4,), (8,)), padding="valid", crop=48, batch_norm=False, dense=(8,)),
    "parts": PartsConfig(((4,), (6,)), dense=(5,), part_stages=((3, 3), (4,))),
    "parts only": PartsConfig(((4,),), head="flatten", part_stages=((3,), (4,)), input="parts"),
}
PIXELS = sketch_faces(20).pixels
ONE_LEAF = Tree({"mouth": ("happy", "surprise", "sad"), "neutral": ("neutral",)})


def keras_net(net, tree=VALENCE, node=FLAT):
    """A Keras net with weights and running statistics other than the initial ones."""
    from hierarchy.models import build

    built = build.build(tree, node, net)
    draw = np.random.default_rng(0)
    built.set_weights([value + draw.uniform(0.1, 0.3, value.shape) for value in built.get_weights()])
    return built


def logits(net):
    with torch.inference_mode():
        return net.eval()(torch.from_numpy(PIXELS)).numpy()


@pytest.mark.parametrize("name", NETS)
def test_ported_weights_give_the_same_logits_and_come_back_unchanged(name):
    from hierarchy.models import build

    source, target = keras_net(NETS[name]), mirrored(VALENCE, FLAT, NETS[name])
    port_weights.from_keras(source, target)
    expected = np.asarray(source(PIXELS))
    np.testing.assert_allclose(logits(target), expected, atol=1e-4 * np.abs(expected).max())
    back = build.build(VALENCE, FLAT, NETS[name])
    port_weights.to_keras(target, back)
    for ours, theirs in zip(back.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", NETS)
def test_a_keras_file_is_ported_without_keras(name, tmp_path):
    from hierarchy.models import serialization as keras_store

    (tmp_path / "net.keras").write_bytes(keras_store.to_bytes(keras_net(NETS[name])))
    target = mirrored(VALENCE, FLAT, NETS[name])
    port_weights.from_archive(tmp_path / "net.keras", target)
    expected = np.asarray(keras_store.load(tmp_path / "net.keras")(PIXELS))
    np.testing.assert_allclose(logits(target), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", NETS)
def test_both_frameworks_have_the_same_sizes(name):
    from hierarchy.models import build

    net, mirror = build.build(VALENCE, ROUTER, NETS[name]), mirrored(VALENCE, ROUTER, NETS[name])
    assert (net.count_params(), build.macs(net)) == (parameters(mirror), macs(mirror))


def test_a_file_of_another_recipe_or_a_damaged_one_is_refused(tmp_path):
    from hierarchy.models import serialization as keras_store

    whole = keras_store.to_bytes(keras_net(NETS["pooled"]))
    (tmp_path / "net.keras").write_bytes(whole)
    with pytest.raises(InputError, match=r"net\.keras: "):
        port_weights.from_archive(tmp_path / "net.keras", VGG(VALENCE, FLAT, NETS["dense"]))
    for data in (b"", whole[:500]):
        (tmp_path / "net.keras").write_bytes(data)
        with pytest.raises(InputError, match=r"net\.keras: "):
            port_weights.from_archive(tmp_path / "net.keras", VGG(VALENCE, FLAT, NETS["pooled"]))


def test_a_run_of_keras_nets_has_the_same_probabilities_in_the_mirror(tiny_run):
    ours = HierarchicalClassifier.load("tiny", TORCH_BACKEND).predict_proba(PIXELS)
    np.testing.assert_allclose(ours, HierarchicalClassifier.load("tiny").predict_proba(PIXELS), atol=1e-4)


def test_ported_weights_of_another_tree_give_the_same_logits(other_tree):
    for node in other_tree.nets:
        source, target = keras_net(NETS["pooled"], other_tree, node), VGG(other_tree, node, NETS["pooled"])
        port_weights.from_keras(source, target)
        expected = np.asarray(source(PIXELS))
        assert expected.shape == (len(PIXELS), len(other_tree.classes_of(node)))
        np.testing.assert_allclose(logits(target), expected, atol=1e-4 * np.abs(expected).max())


def test_a_keras_run_of_another_tree_is_ported(own_home):
    from hierarchy.models import serialization as keras_store

    run = runs.run("other")
    recipe = Recipe("tiny", net=NETS["pooled"], tree=ONE_LEAF)
    for node in ONE_LEAF.nodes:
        net = keras_net(NETS["pooled"], ONE_LEAF, node)
        run.add_net(
            node, keras_store.to_bytes(net), {"backend": "tensorflow"}, {"recipe": recipe.as_dict()}, ONE_LEAF
        )
    ours = HierarchicalClassifier.load("other", TORCH_BACKEND)
    theirs = HierarchicalClassifier.load("other")
    assert ours.tree_ == theirs.tree_ == ONE_LEAF
    np.testing.assert_allclose(ours.predict_proba(PIXELS), theirs.predict_proba(PIXELS), atol=1e-4)


def test_a_safetensors_file_holds_node_layers_and_weights(tmp_path):
    net = VGG(VALENCE, "negative", NETS["dense"])
    path = tmp_path / "negative.safetensors"
    path.write_bytes(serialization.to_bytes(net))
    loaded = serialization.load(path)
    assert loaded.node == "negative" and loaded.net == NETS["dense"] and loaded.tree == VALENCE
    np.testing.assert_allclose(logits(loaded), logits(net), atol=1e-2)  # float16 on disk
    assert serialization.to_bytes(loaded) == path.read_bytes()


@pytest.mark.parametrize(
    "about",
    [
        None,
        {},
        [],
        {"node": "negative", "tree": VALENCE.to_dict()},
        {"node": "sideways", "tree": VALENCE.to_dict(), "net": asdict(NETS["pooled"])},
        {"node": ["negative"], "tree": VALENCE.to_dict(), "net": asdict(NETS["pooled"])},
        {"node": "negative", "tree": {"up": ["happy"]}, "net": asdict(NETS["pooled"])},
        {"node": "negative", "tree": VALENCE.to_dict(), "net": {"stages": 3}},
        {"node": "negative", "tree": VALENCE.to_dict(), "net": asdict(NETS["dense"])},
        {"node": ROUTER, "tree": VALENCE.to_dict(), "net": asdict(NETS["pooled"])},
    ],
)
def test_a_safetensors_file_with_other_metadata_is_refused(about, tmp_path):
    state = VGG(VALENCE, "negative", NETS["pooled"]).state_dict()
    weights = {name: value.contiguous() for name, value in state.items()}
    metadata = {} if about is None else {serialization.ABOUT: json.dumps(about)}
    path = tmp_path / "negative.safetensors"
    path.write_bytes(safetensors.torch.save(weights, metadata))
    with pytest.raises(InputError, match=r"negative\.safetensors: "):
        serialization.load(path)


def test_a_damaged_or_missing_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "negative.safetensors"
    path.write_bytes(serialization.to_bytes(VGG(VALENCE, "negative", NETS["pooled"]))[:200])
    for file in (path, tmp_path / "none.safetensors"):
        with pytest.raises(InputError, match=rf"{file.name}: "):
            serialization.load(file)


def test_a_safetensors_file_keeps_its_tree(other_tree, tmp_path):
    for node in other_tree.nets:
        net = VGG(other_tree, node, NETS["pooled"])
        path = tmp_path / f"{node}.safetensors"
        path.write_bytes(serialization.to_bytes(net))
        loaded = serialization.load(path)
        assert (loaded.tree, loaded.node) == (other_tree, node)
        assert logits(loaded).shape == (len(PIXELS), len(other_tree.classes_of(node)))


def stored(tree: Tree) -> runs.Run:
    """A run with the mirror's nets of a tree, with random weights."""
    run = runs.run("mirrored")
    recipe = Recipe("tiny", net=NETS["pooled"], tree=tree)
    torch.manual_seed(0)
    for node in tree.nets:
        data = serialization.to_bytes(VGG(tree, node, NETS["pooled"]))
        about = {"backend": "pytorch"}
        run.add_net(node, data, about, {"recipe": recipe.as_dict()}, tree, ".safetensors")
    return run


def test_a_mirrored_run_of_another_tree_predicts_its_leaves(other_tree, own_home):
    stored(other_tree)
    classifier = HierarchicalClassifier.load("mirrored", TORCH_BACKEND, tree=other_tree)
    probability = classifier.predictions(PIXELS).joint
    assert probability.shape == (len(PIXELS), len(other_tree.leaves))
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert set(classifier.predict(PIXELS)) <= set(other_tree.leaves)
    assert np.array_equal(classifier.lazy(PIXELS)[0], probability.argmax(axis=1))
    with pytest.raises(InputError, match="^run 'mirrored'") as error:
        HierarchicalClassifier.load("mirrored", TORCH_BACKEND, tree=VALENCE)
    assert str(other_tree) in str(error.value) and str(VALENCE) in str(error.value)


def test_a_net_of_another_tree_than_its_runs_is_refused(other_tree, own_home):
    run = stored(VALENCE)
    path = run.net(ROUTER)
    path.write_bytes(serialization.to_bytes(VGG(other_tree, ROUTER, NETS["pooled"])))
    with pytest.raises(InputError, match=r"router\.safetensors: ") as error:
        serialization.load(path)
    assert str(other_tree) in str(error.value) and str(VALENCE) in str(error.value)


def test_keras_names_the_command_for_the_mirrors_files(tmp_path):
    from hierarchy.models.keras_backend import KERAS_BACKEND

    with pytest.raises(InputError, match="python -m pt_files"):
        KERAS_BACKEND.open(runs.run("x").folder / "router.safetensors")
