"""Pretrained nets of the transformers library as bodies: built, frozen, stored, opened, refused."""

from dataclasses import replace

import numpy as np
import pytest

from hierarchy import fileio, runs
from hierarchy.config import recipes
from hierarchy.config.schema import PretrainedConfig
from hierarchy.data.dataset import Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, VALENCE
from hierarchy.training.backend import TrainTask

pytest.importorskip("transformers", reason="pip install -r requirements-torch.txt")

import torch  # noqa: E402

from pt_files import serialization, trainer  # noqa: E402
from pt_files.build import build, macs, parameters  # noqa: E402
from pt_files.pretrained import BUILDERS  # noqa: E402

FACES = sketch_faces(200)
SMALL = PretrainedConfig("resnet18", side=48)
SIZES = {"resnet18": (11_189_190, 0.0979), "vit_b16": (86_000_000, 1.45), "clip_vit_b32": (87_000_000, 0.43)}


@pytest.mark.parametrize("name", BUILDERS)
def test_a_pretrained_net_has_its_published_size(name):
    net = build(VALENCE, "positive", PretrainedConfig(name, side=64 if "vit" in name else 48)).eval()
    with torch.inference_mode():
        logits = net(torch.from_numpy(FACES.pixels[:2]))
    assert logits.shape == (2, 3) and logits.isfinite().all()
    weights, multiplications = SIZES[name]
    assert parameters(net) == pytest.approx(weights, rel=0.02)
    assert macs(net) / 1e9 == pytest.approx(multiplications, rel=0.02)


def test_training_with_a_frozen_body_changes_only_the_head():
    """Running statistics do not change either."""
    recipe = replace(recipes.named("resnet18-features"), net=SMALL)
    recipe = replace(recipe, fit=replace(recipe.fit, epochs=1, learning_rate=0.1))
    roles = [FACES.of(Split.Training), FACES.of(Split.PublicTest).for_node(VALENCE, FLAT)]
    task = TrainTask(FLAT, recipe, recipe.fit, 0, runs.run("x"), *roles, {"recipe": recipe.as_dict()})
    torch.manual_seed(task.rng_seed)
    before = build(VALENCE, FLAT, SMALL).state_dict()
    trainer.fit_node(task)
    after = serialization.load(runs.run("x").net(FLAT)).state_dict()
    same = {name: torch.allclose(after[name], before[name], atol=2e-3) for name in before}  # float16 on disk
    assert [name for name, unchanged in same.items() if not unchanged] == ["logits.weight", "logits.bias"]
    assert serialization.Lazy(runs.run("x").net(FLAT))(FACES.pixels[:3]).shape == (3, 6)


def test_a_folder_with_weights_of_another_net_is_refused(tmp_path):
    import transformers

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    transformers.ViTModel(transformers.ViTConfig(image_size=32, **small)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"net.weights={tmp_path}: "):
        build(VALENCE, FLAT, replace(SMALL, weights=str(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match=f"net.weights={tmp_path}: "):
        build(VALENCE, FLAT, replace(SMALL, weights=str(tmp_path)))


@pytest.mark.parametrize("weights", ["hub", "/nowhere"])
def test_missing_weights_are_named(weights, monkeypatch):
    import transformers

    def offline(source, **about):
        raise OSError("no network\nand a long story")

    monkeypatch.setattr(transformers.ResNetModel, "from_pretrained", offline)
    with pytest.raises(InputError, match=rf"net.weights={weights}: .*no network"):
        build(VALENCE, FLAT, replace(SMALL, weights=weights))


def test_weights_are_read_from_a_folder(tmp_path):
    first = build(VALENCE, FLAT, SMALL)
    first.body.save_pretrained(tmp_path)
    second = build(VALENCE, FLAT, replace(SMALL, weights=str(tmp_path)))
    for ours, theirs in zip(second.body.parameters(), first.body.parameters(), strict=True):
        np.testing.assert_array_equal(ours.detach(), theirs.detach())


def test_only_the_vgg_family_is_ported(tmp_path):
    manifest = {
        "tree": VALENCE.to_dict(),
        "nets": {FLAT: {"file": "flat.keras", "sha256": ""}},
        "recipe": {"net": {"backbone": "vgg16"}},
    }
    fileio.write_json(tmp_path / runs.MANIFEST, manifest)
    with pytest.raises(InputError, match=r"flat\.keras: "):
        serialization.load(tmp_path / "flat.keras")
