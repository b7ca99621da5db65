"""Pretrained backbones of Keras in a node's net: built, trained, stored, opened, frozen, refused."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from hierarchy.config.schema import PretrainedConfig
from hierarchy.data import loading
from hierarchy.data.dataset import Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.models import build, pretrained, serialization
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.training import train as training

FACES = sketch_faces(6).pixels


@pytest.fixture
def few(few_sketches, monkeypatch):
    """`sketch` stands for few faces."""
    monkeypatch.setattr(loading, "SKETCHES", len(few_sketches))


def small(name):
    """A backbone for images as small as it can take."""
    return PretrainedConfig(name, side=80 if name == "facenet" else 32)


@pytest.fixture(scope="module")
def built():
    """Every backbone, small and with random weights."""
    return {name: build.build(VALENCE, "positive", small(name)) for name in pretrained.BUILDERS}


@pytest.mark.long
@pytest.mark.parametrize("name", pretrained.BUILDERS)
def test_a_published_net_answers_and_survives_its_file(name, built, tmp_path):
    net = built[name]
    logits = np.asarray(net(FACES, training=False))
    assert logits.shape == (len(FACES), len(VALENCE.children["positive"])) and np.isfinite(logits).all()
    (tmp_path / "net.keras").write_bytes(serialization.to_bytes(net))
    np.testing.assert_allclose(
        serialization.Lazy(tmp_path / "net.keras")(FACES), logits, atol=0.05
    )  # float16 on disk


def test_pictures_come_to_it_in_the_colours_that_it_knows(built):
    net = built["densenet121"]
    white = np.full((1, 48, 48), 255, np.uint8)
    scaled = net.get_layer("scale").output
    shown = np.asarray(pretrained.keras.Model(net.input, scaled)(white))[0, 0, 0]
    np.testing.assert_allclose(
        shown, [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rtol=1e-5
    )


def test_a_picture_too_small_for_the_net_is_named():
    with pytest.raises(InputError, match="net.side=32: facenet"):
        build.build(VALENCE, FLAT, PretrainedConfig("facenet", side=32))


@pytest.mark.long
def test_facenets_weights_come_by_the_names_of_its_layers(built, tmp_path):
    first, path = built["facenet"], tmp_path / "facenet.h5"
    with h5py.File(path, "w") as file:
        for layer in first.layers:
            if layer.weights and layer.name != "logits":
                group = file.create_group(f"model_weights/{layer.name}")
                names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
                group.attrs["weight_names"] = names
                for name, value in zip(names, layer.get_weights(), strict=True):
                    group[name] = value
    second = build.build(VALENCE, "positive", replace(small("facenet"), weights=str(path)))
    for ours, theirs in zip(second.get_weights()[:-2], first.get_weights(), strict=False):
        np.testing.assert_array_equal(ours, theirs)
    with h5py.File(path, "a") as file:
        del file["model_weights/Block8_6_Conv2d_1x1"]
    with pytest.raises(InputError, match="facenet.h5.*Block8_6_Conv2d_1x1"):
        build.build(VALENCE, "positive", replace(small("facenet"), weights=str(path)))


@pytest.mark.parametrize("weights", ["hub", "/nowhere/weights.h5"])
def test_weights_that_are_not_there_are_named(weights, monkeypatch):
    def offline(**about):
        raise OSError("no network\nand a long story")

    monkeypatch.setitem(pretrained.BUILDERS, "vgg16", offline)
    with pytest.raises(InputError, match=rf"net.weights={weights}: .*vgg16 \(no network\)"):
        build.build(VALENCE, FLAT, PretrainedConfig("vgg16", weights=weights))


def test_weights_come_from_a_file_of_ones_own(built, tmp_path):
    first = built["vgg16"]
    body = pretrained.keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    body.set_weights(first.get_weights()[:-2])
    body.save_weights(tmp_path / "vgg.weights.h5")
    second = build.build(
        VALENCE, "positive", PretrainedConfig("vgg16", side=32, weights=str(tmp_path / "vgg.weights.h5"))
    )
    for ours, theirs in zip(second.get_weights()[:-2], first.get_weights(), strict=False):
        np.testing.assert_array_equal(ours, theirs)


def train(recipe, *settings, node=None):
    """A run of few drawn faces."""
    return training.run(
        data="sketch",
        recipe=recipe,
        settings=settings,
        node=node,
        name="x",
        seed=0,
        resume=False,
        deterministic=False,
        backend=KERAS_BACKEND,
    )


def test_a_published_net_is_the_body_of_a_node_of_the_tree(few, few_sketches):
    run = train("vgg16-features", "net.side=32", "net.weights=random", "fit.epochs=1", node="positive")
    manifest = run.manifest()
    assert manifest.recipe["net"]["backbone"] == "vgg16" and manifest.nets["positive"].macs > 1e6
    valid = few_sketches.of(Split.PublicTest).for_node(VALENCE, "positive")
    logits = serialization.Lazy(run.net("positive"))(valid.pixels)
    accuracy = (logits.argmax(axis=1) == valid.target(VALENCE, "positive")).mean()  # trained on features
    assert accuracy == pytest.approx(manifest.nets["positive"].public_test_accuracy, abs=1e-6)


@pytest.fixture
def vgg16_file(built, tmp_path):
    """A file of weights for a small VGG16."""
    body = pretrained.keras.Model(built["vgg16"].input, built["vgg16"].get_layer("drop").input)
    body.save_weights(tmp_path / "vgg.weights.h5")
    return tmp_path / "vgg.weights.h5"


def test_a_backbone_is_trained_from_a_layer_on(few, few_sketches, built, vgg16_file):
    settings = ("net.side=32", f"net.weights={vgg16_file}", "net.freeze_to=block4_pool", "fit.epochs=1")
    run = train("vgg16-features", *settings, "fit.freeze_backbone=false", node="positive")
    valid = few_sketches.of(Split.PublicTest).for_node(VALENCE, "positive")
    logits = serialization.Lazy(run.net("positive"))(valid.pixels)
    accuracy = (logits.argmax(axis=1) == valid.target(VALENCE, "positive")).mean()  # trained on features
    assert accuracy == pytest.approx(run.manifest().nets["positive"].public_test_accuracy, abs=1e-6)
    changed = []
    for layer in serialization.load(run.net("positive")).layers:
        if "conv" in layer.name:
            before = built["vgg16"].get_layer(layer.name).kernel
            same = np.allclose(layer.kernel, before, rtol=1e-3, atol=1e-6)  # float16 on disk
            changed += [] if same else [layer.name]
    assert changed == ["block5_conv1", "block5_conv2", "block5_conv3"]


@pytest.mark.parametrize(
    "last, reason",
    [("conv2_block1_1_conv", "pass it by"), ("block4_pool", "no layer.*such as"), ("logits", "no layer")],
)
def test_a_layer_that_training_cannot_begin_after_is_named(built, last, reason):
    with pytest.raises(InputError, match=f"net.freeze_to={last}: .*{reason}"):
        build.freeze(built["densenet121"], last)


def test_a_net_of_the_other_library_names_its_door(few):
    with pytest.raises(InputError, match="vit_b16.*python -m pt_files"):
        train("vit_b16")
