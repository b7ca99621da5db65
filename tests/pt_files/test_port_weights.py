"""The mirror holds Keras' weights and gives Keras' numbers, there and back."""

import numpy as np
import pytest

from hierarchy import runs
from hierarchy.config.schema import VGGConfig
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.models import keras_setup

pytest.importorskip("torch", reason="pip install -r requirements-torch.txt")

import torch  # noqa: E402

from pt_files import port_weights, serialization  # noqa: E402
from pt_files.build import macs, parameters  # noqa: E402
from pt_files.vgg import VGG  # noqa: E402

keras_setup.start()

NETS = {
    "pooled": VGGConfig(stages=((4, 4), (8,)), spatial_dropout=0.1),
    "dense": VGGConfig(stages=((4,), (8,)), dense=(8, 5), head="flatten"),
    "plain": VGGConfig(stages=((4,), (8,)), padding="valid", crop=48, batch_norm=False, dense=(8,)),
}
PIXELS = sketch_faces(20).pixels


def keras_net(net, node="flat"):
    """A Keras net with running statistics that are not those it starts with."""
    from hierarchy.models import vgg

    built = vgg.build(node, net)
    draw = np.random.default_rng(0)
    built.set_weights([value + draw.uniform(0.1, 0.3, value.shape) for value in built.get_weights()])
    return built


def answers(net):
    with torch.inference_mode():
        return net.eval()(torch.from_numpy(PIXELS)).numpy()


@pytest.mark.parametrize("name", NETS)
def test_ported_weights_give_the_same_logits_and_come_back_unchanged(name):
    from hierarchy.models import vgg

    source, target = keras_net(NETS[name]), VGG("flat", NETS[name])
    port_weights.from_keras(source, target)
    expected = np.asarray(source(PIXELS))
    np.testing.assert_allclose(answers(target), expected, atol=1e-4 * np.abs(expected).max())
    back = vgg.build("flat", NETS[name])
    port_weights.to_keras(target, back)
    for ours, theirs in zip(back.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", NETS)
def test_a_keras_file_is_ported_without_keras(name, tmp_path):
    from hierarchy.models import serialization as keras_store

    (tmp_path / "net.keras").write_bytes(keras_store.to_bytes(keras_net(NETS[name])))
    target = VGG("flat", NETS[name])
    port_weights.from_archive(tmp_path / "net.keras", target)
    expected = np.asarray(keras_store.load(tmp_path / "net.keras")(PIXELS))
    np.testing.assert_allclose(answers(target), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", NETS)
def test_both_frameworks_count_alike(name):
    from hierarchy.models import build, vgg

    net, mirrored = vgg.build("router", NETS[name]), VGG("router", NETS[name])
    assert (net.count_params(), build.macs(net)) == (parameters(mirrored), macs(mirrored))


def test_a_file_of_another_recipe_or_a_damaged_one_is_refused(tmp_path):
    from hierarchy.models import serialization as keras_store

    whole = keras_store.to_bytes(keras_net(NETS["pooled"]))
    (tmp_path / "net.keras").write_bytes(whole)
    with pytest.raises(InputError, match=r"net\.keras: cannot be ported \(its layers are not those"):
        port_weights.from_archive(tmp_path / "net.keras", VGG("flat", NETS["dense"]))
    for data in (b"", whole[:500]):
        (tmp_path / "net.keras").write_bytes(data)
        with pytest.raises(InputError, match=r"net\.keras: cannot be ported"):
            port_weights.from_archive(tmp_path / "net.keras", VGG("flat", NETS["pooled"]))


def test_a_run_of_keras_nets_answers_the_same_in_the_mirror(tiny_run):
    from hierarchy.classifier import HierarchicalClassifier
    from pt_files.torch_backend import TORCH_BACKEND

    ours = HierarchicalClassifier.load("tiny", TORCH_BACKEND).predict_proba(PIXELS)
    np.testing.assert_allclose(ours, HierarchicalClassifier.load("tiny").predict_proba(PIXELS), atol=1e-4)


def test_the_mirrors_own_files_hold_the_net_and_are_checked(tmp_path, monkeypatch):
    net = VGG("negative", NETS["dense"])
    path = tmp_path / "negative.safetensors"
    path.write_bytes(serialization.to_bytes(net))
    again = serialization.load(path)
    assert again.node == "negative" and again.net == NETS["dense"]
    np.testing.assert_allclose(answers(again), answers(net), atol=1e-2)  # halved on disk
    path.write_bytes(serialization.to_bytes(net)[:200])
    with pytest.raises(InputError, match="cannot be read as a net of the mirror"):
        serialization.load(path)
    with pytest.raises(InputError, match="cannot be read as a net of the mirror"):
        serialization.load(tmp_path / "none.safetensors")
    monkeypatch.setattr(serialization, "TREE", {"up": ["happy"], "down": ["sad"]})
    path.write_bytes(serialization.to_bytes(net))
    with pytest.raises(InputError, match="made for another tree"):
        serialization.load(path)


def test_keras_says_whose_file_it_is(tmp_path):
    from hierarchy.models.keras_backend import KERAS_BACKEND

    with pytest.raises(InputError, match="python -m pt_files"):
        KERAS_BACKEND.open(runs.run("x").folder / "router.safetensors")
