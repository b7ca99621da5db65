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
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE
from hierarchy.training.backend import TrainTask

pytest.importorskip("transformers", reason="pip install -r requirements-torch.txt")

import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

from pt_files import pretrained, serialization, trainer  # noqa: E402
from pt_files.build import build, frozen, macs, parameters  # noqa: E402
from pt_files.pretrained import BUILDERS  # noqa: E402

FACES = sketch_faces(200)
SMALL = PretrainedConfig("resnet18", side=48)
CLIP = ("CLIPVisionModelWithProjection", "CLIPVisionConfig")
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


def task_of(recipe):
    roles = [FACES.of(Split.Training), FACES.of(Split.PublicTest).for_node(VALENCE, FLAT)]
    return TrainTask(FLAT, recipe, recipe.fit, 0, runs.run("x"), *roles, {"recipe": recipe.as_dict()})


def trained(recipe):
    """The run of a flat net, trained on FACES."""
    trainer.fit_node(task_of(recipe))
    return runs.run("x")


def test_training_with_a_frozen_body_changes_only_the_head():
    """Running statistics do not change either."""
    recipe = replace(recipes.named("resnet18-features"), net=SMALL)
    recipe = replace(recipe, fit=replace(recipe.fit, epochs=1, learning_rate=0.1))
    torch.manual_seed(task_of(recipe).rng_seed)
    before = build(VALENCE, FLAT, SMALL).state_dict()
    after = serialization.load(trained(recipe).net(FLAT)).state_dict()
    same = {name: torch.allclose(after[name], before[name], atol=2e-3) for name in before}  # float16 on disk
    assert [name for name, unchanged in same.items() if not unchanged] == ["logits.weight", "logits.bias"]
    assert serialization.Lazy(runs.run("x").net(FLAT))(FACES.pixels[:3]).shape == (3, 6)


def test_training_begins_after_a_module():
    """Of a frozen module, running statistics do not change either."""
    net = replace(SMALL, freeze_to="encoder.stages.2")
    recipe = replace(recipes.named("resnet18"), net=net)
    recipe = replace(recipe, fit=replace(recipe.fit, epochs=1, learning_rate=0.01))
    torch.manual_seed(task_of(recipe).rng_seed)
    before = build(VALENCE, FLAT, SMALL).state_dict()
    after = serialization.load(trained(recipe).net(FLAT)).state_dict()
    changed = {
        ".".join(name.split(".")[:4])
        for name in before
        if "tracked" not in name and not torch.allclose(after[name], before[name], atol=2e-3)
    }
    assert changed == {"body.encoder.stages.3", "logits.weight", "logits.bias"}
    with pytest.raises(InputError, match="net.freeze_to=block5: no module of the backbone, such as "):
        frozen(build(VALENCE, FLAT, SMALL), "block5")


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


@pytest.fixture
def tiny_clip(tmp_path, monkeypatch):
    """A folder with a small CLIP of random weights and a tokenizer, in transformers' own files."""
    import transformers

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    letters = sorted({letter for word in ("a", "face", *VALENCE.leaves) for letter in word})
    names = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokens = {name: number for number, name in enumerate(names)}
    small["projection_dim"] = 6
    text = small | {"vocab_size": len(tokens), "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.CLIPConfig(
        text_config=text, vision_config=small | {"image_size": 64}, projection_dim=6
    )
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    transformers.CLIPTokenizer(vocab=tokens, merges=[]).save_pretrained(tmp_path)
    monkeypatch.setitem(pretrained.PROMPTED, "clip_vit_b32", (*CLIP, small, 6))
    return tmp_path


def test_clip_answers_with_the_nearest_prompt(tiny_clip):
    import transformers

    net = PretrainedConfig("clip_vit_b32", side=64, weights=str(tiny_clip), prompt="a {} face")
    flat, router = (build(VALENCE, node, net).eval() for node in (FLAT, ROUTER))
    model = transformers.CLIPModel.from_pretrained(tiny_clip).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(tiny_clip)(
        [f"a {leaf} face" for leaf in VALENCE.leaves], padding=True, return_tensors="pt"
    )
    assert len(np.unique(tokens["input_ids"], axis=0)) == len(VALENCE.leaves)
    faces = torch.from_numpy(FACES.pixels[:5])
    grey = functional.interpolate(faces[:, None].float() / 255, (64, 64), mode="bilinear")
    with torch.inference_mode():
        expected = model(pixel_values=(grey - flat.mean) / flat.deviation, **tokens).logits_per_image
        logits, branches = flat(faces), router(faces)
    np.testing.assert_allclose(
        logits, expected * pretrained.SCALE / model.logit_scale.exp().item(), rtol=1e-3
    )
    means = [logits[:, VALENCE.leaf_slice(branch)].mean(dim=1) for branch in VALENCE.branches]
    np.testing.assert_allclose(branches, torch.stack(means, dim=1), rtol=1e-3)
    recipe = replace(recipes.named("clip_vit_b32-zero-shot"), net=net)
    stored = serialization.Lazy(trained(recipe).net(FLAT))(faces.numpy())
    np.testing.assert_allclose(stored, logits, rtol=0.01, atol=0.3)  # float16 on disk


def test_a_folder_without_a_tokenizer_is_refused(tiny_clip):
    for file in tiny_clip.glob("*token*"):
        file.unlink()
    with pytest.raises(InputError, match=f"net.weights={tiny_clip}: "):
        build(VALENCE, FLAT, PretrainedConfig("clip_vit_b32", 64, str(tiny_clip), prompt="a {} face"))


def test_only_the_vgg_family_is_ported(tmp_path):
    manifest = {
        "tree": VALENCE.to_dict(),
        "nets": {FLAT: {"file": "flat.keras", "sha256": ""}},
        "recipe": {"net": {"backbone": "vgg16"}},
    }
    fileio.write_json(tmp_path / runs.MANIFEST, manifest)
    with pytest.raises(InputError, match=r"flat\.keras: "):
        serialization.load(tmp_path / "flat.keras")
