"""Training in PyTorch: it learns, resumes after a kill, and has every option of a recipe."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from hierarchy import runs
from hierarchy.config import recipes
from hierarchy.config.overrides import from_dict
from hierarchy.config.schema import AugmentConfig, TrainConfig, VGGConfig
from hierarchy.data.dataset import Split
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE, Tree
from hierarchy.training.backend import TrainTask
from hierarchy.training.progress import Progress

pytest.importorskip("torch", reason="pip install -r requirements-torch.txt")

import torch  # noqa: E402

from pt_files import trainer  # noqa: E402
from pt_files.augmentation import augmented  # noqa: E402

NET = VGGConfig(stages=((8,), (16,)), dropout=0.1)
FACES = sketch_faces(600)
ONE_LEAF = Tree({"mouth": ("happy", "surprise", "sad"), "neutral": ("neutral",)})


def task(run="mirror", node=FLAT, tree=VALENCE, **changes):
    recipe = replace(recipes.SKETCH, net=NET, tree=tree)
    recipe = replace(recipe, fit=replace(recipe.fit, **({"epochs": 3} | changes)))
    training, validation = FACES.of(Split.Training), FACES.of(Split.PublicTest).for_node(tree, node)
    return TrainTask(
        node, recipe, recipe.fit, 0, runs.run(run), training, validation, {"recipe": recipe.as_dict()}
    )


@pytest.mark.slow
def test_a_net_learns_and_is_stored_with_its_record(own_home):
    easy = replace(recipes.SKETCH, fit=replace(recipes.SKETCH.fit, epochs=10, batch_size=16))
    trainer.fit_node(replace(task(), recipe=easy, fit=easy.fit))
    record = runs.run("mirror").manifest().nets[FLAT]
    assert (record.file, record.backend, record.epochs) == ("flat.safetensors", "pytorch", 10)
    losses = [float(row["loss"]) for row in runs.run("mirror").history()]
    assert losses[-1] < losses[0] and record.public_test_accuracy > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}])
def test_a_killed_run_resumes_to_the_same_weights(own_home, changes):
    trainer.fit_node(task("whole", **changes))
    begun = task("stopped", **changes)
    checkpoints = begun.checkpoints(trainer.SUFFIX)
    torch.manual_seed(begun.rng_seed)
    fitting = trainer.Fitting(begun)
    with Progress(FLAT, begun.fit) as progress:
        row = fitting.epoch([], progress)
    checkpoints.write_raw(fitting.to_bytes())
    checkpoints.add(row, trainer._saved(fitting.evaluated.state_dict()))
    checkpoints.write_raw(b"half a file")  # killed while writing the second epoch
    trainer.fit_node(begun)
    whole, stopped = (runs.run(name).net(FLAT).read_bytes() for name in ("whole", "stopped"))
    assert whole == stopped


@pytest.mark.parametrize(
    "moments",
    [
        {0: {"momentum_buffer": torch.zeros(3)}},
        {0: {"momentum_buffer": []}},
        {0: {"exp_avg": torch.zeros(4, 1, 3, 3)}},
        {0: 10**30},
        {99: {"momentum_buffer": torch.zeros(3)}},
        [],
    ],
)
def test_a_checkpoint_with_moments_of_another_net_is_named(own_home, moments):
    begun = task("stopped")
    checkpoints, fitting = begun.checkpoints(trainer.SUFFIX), trainer.Fitting(begun)
    with Progress(FLAT, begun.fit) as progress:
        row = fitting.epoch([], progress)
    state = torch.load(io.BytesIO(fitting.to_bytes()), weights_only=True)
    state["optimizer"] |= {"state": moments, "param_groups": None}  # the latter are the recipe's
    checkpoints.write_raw(trainer._saved(state))
    checkpoints.add(row, trainer._saved(fitting.evaluated.state_dict()))
    with pytest.raises(InputError, match="epoch-000.pt: cannot be resumed from"):
        trainer.fit_node(begun)


def test_a_checkpoint_that_unpacks_to_too_much_is_not_read(own_home):
    begun = task("stopped")
    checkpoints, fitting = begun.checkpoints(trainer.SUFFIX), trainer.Fitting(begun)
    with Progress(FLAT, begun.fit) as progress:
        row = fitting.epoch([], progress)
    checkpoints.write_raw(fitting.to_bytes())
    checkpoints.add(row, trainer._saved(fitting.evaluated.state_dict()))
    with (
        zipfile.ZipFile(checkpoints.weights, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("bomb", "w", force_zip64=True) as file,
    ):
        for _ in range(1025):
            file.write(bytes(1 << 20))
    with pytest.raises(InputError, match="epoch-000.pt: unpacks to more than"):
        trainer.fit_node(begun)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "focal"},
        {"optimizer": "adam", "schedule": "constant"},
        {"l2": 0.1},
        {"clip_norm": 1.0},
        {"class_weights": True},
        {"precision": "bfloat16"},
    ],
)
def test_every_option_gives_a_step_that_changes_the_weights(own_home, changes):
    fitting = trainer.Fitting(task(**changes))
    before = [value.clone() for value in fitting.net.parameters()]
    loss, _ = fitting._step(0.1, *fitting.epochs[0])
    assert np.isfinite(loss)
    assert any((new != old).any() for new, old in zip(fitting.net.parameters(), before, strict=True))


@pytest.mark.parametrize("loss", ["cross-entropy", "focal"])
def test_the_loss_is_that_of_keras(loss):
    from hierarchy.models import keras_setup

    keras_setup.start()
    from hierarchy.models import trainer as keras_trainer

    draw = np.random.default_rng(0)
    logits = draw.normal(size=(20, 6)).astype(np.float32)
    wanted = np.float32(draw.dirichlet(np.ones(6), 20))
    fit = TrainConfig(loss=loss, label_smoothing=0.1)
    ours = trainer.loss_of(fit, torch.from_numpy(logits), torch.from_numpy(wanted)).mean().item()
    assert ours == pytest.approx(float(keras_trainer.loss_of(fit)(wanted, logits)), rel=1e-5)


def test_weight_decay_shrinks_kernels_as_in_keras(own_home):
    fitting = trainer.Fitting(task(weight_decay=0.01, schedule="constant", learning_rate=0.1))
    before = {name: value.detach().clone() for name, value in fitting.net.named_parameters()}
    for value in fitting.net.parameters():
        value.grad = torch.zeros_like(value)
    for _ in range(200):  # with momentum, the decay of a step acts on many later ones
        fitting.optimizer.step()
    for name, value in fitting.net.named_parameters():
        shrunk = (1 - 0.1 * 0.01 / (1 - 0.9)) ** 200 if value.ndim > 1 else 1.0
        torch.testing.assert_close(value.detach(), before[name] * shrunk, rtol=0.1, atol=1e-6)


def test_a_warm_started_router_outputs_means_of_the_flat_nets_logits(own_home):
    from pt_files.vgg import VGG

    flat, router = VGG(VALENCE, FLAT, NET).eval(), VGG(VALENCE, ROUTER, NET).eval()
    trainer.warm_start(router, flat)
    with torch.inference_mode():
        pixels = torch.from_numpy(FACES.pixels[:5])
        six, two = flat(pixels), router(pixels)
    torch.testing.assert_close(two, torch.stack([six[:, :3].mean(1), six[:, 3:].mean(1)], dim=1))


@pytest.mark.slow
@pytest.mark.parametrize("node", [ROUTER, "mouth"])
def test_a_net_of_another_tree_is_warm_started_and_trained(node, own_home):
    trainer.fit_node(task(tree=ONE_LEAF, epochs=1))
    start = runs.run("mirror").net(FLAT)
    warm = replace(task(node=node, tree=ONE_LEAF, epochs=1), start=(start,))
    net, flat = trainer.Fitting(warm).net.eval().cpu(), trainer.serialization.load(start)
    with torch.inference_mode():
        pixels = torch.from_numpy(FACES.pixels[:5])
        ours, leaves = net(pixels), flat(pixels)
    means = torch.stack([leaves[:, group].mean(1) for group in ONE_LEAF.members(node)], dim=1)
    torch.testing.assert_close(ours, means, rtol=1e-4, atol=1e-4)
    trainer.fit_node(warm)
    manifest = runs.run("mirror").manifest()
    assert manifest.tree == ONE_LEAF and manifest.nets[node].classes == ONE_LEAF.classes_of(node)
    assert trainer.serialization.load(runs.run("mirror").net(node)).tree == ONE_LEAF


def test_a_run_starts_from_a_keras_flat_net(tiny_run):
    net = from_dict(tiny_run.manifest().recipe, "tiny").net
    start = tiny_run.net(FLAT)
    for node in (FLAT, "negative"):
        begun = replace(task(node=node), start=(start,))
        begun = replace(begun, recipe=replace(begun.recipe, net=net))
        ours, theirs = trainer.Fitting(begun).net.state_dict(), trainer.serialization.load(start).state_dict()
        same = [torch.equal(ours[name], theirs[name]) for name in ours if not name.startswith("logits")]
        assert all(same) and len(same) > 3


def test_augmentation_off_changes_nothing_and_on_stays_in_range():
    pixels = torch.from_numpy(FACES.pixels[:8])
    off = AugmentConfig(flip=False, rotation=0.0, scale=0.0, shift=0.0)
    torch.testing.assert_close(augmented(pixels, off), pixels)
    strong = recipes.FULL.augment
    changed = augmented(pixels, strong)
    assert changed.dtype == torch.uint8 and changed.shape == pixels.shape and (changed != pixels).any()


@pytest.mark.parametrize("name", ["rotation", "scale", "shift"])
def test_each_move_is_as_strong_as_in_keras(name, monkeypatch):
    """With every random number at its upper end, both give the same image."""
    from hierarchy.models import augmentation, keras_setup

    keras_setup.start()
    strengths = AugmentConfig(**{"flip": False, "rotation": 0.0, "scale": 0.0, "shift": 0.0, name: 0.2})
    if name == "rotation":
        strengths = replace(strengths, rotation=20.0)
    layer = augmentation.Augmentation(strengths)
    monkeypatch.setattr(
        layer, "_uniform", lambda image, low, high: np.full((len(image), 1, 1), high, "float32")
    )
    monkeypatch.setattr(
        "pt_files.augmentation._uniform", lambda image, low, high: torch.full((len(image), 1, 1), float(high))
    )
    theirs = np.asarray(layer(FACES.pixels[:4], training=True)).astype(float)
    ours = augmented(torch.from_numpy(FACES.pixels[:4]), strengths).numpy().astype(float)
    inner = slice(12, 36)  # at the border, a clipped position and a repeated border differ by rounding
    assert np.abs(theirs - ours)[:, inner, inner].max() <= 1
