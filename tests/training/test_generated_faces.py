"""Generated faces fill the gaps between the leaves of Training, and a run remembers who made them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hierarchy.config import overrides, recipes
from hierarchy.data import loading
from hierarchy.data.dataset import FaceDataset, Origin, Split
from hierarchy.errors import InputError
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import FLAT, ROUTER, VALENCE
from hierarchy.training import generated_faces
from hierarchy.training.generators import generator
from hierarchy.training.sampler import EpochSampler
from hierarchy.training.targets import check_recipe, node_dataset
from pt_files.torch_backend import TORCH_BACKEND

LEAVES = VALENCE.leaves
HALF = overrides.with_settings(recipes.SKETCH, ["fit.generated_share=0.5", "warm_start.generated_share=1"])


class Drawing:
    """A backend whose generator draws a class as its code."""

    name = KERAS_BACKEND.name

    def __init__(self):
        self.drawn = 0

    def sample(self, path, classes, label, seed):
        self.drawn += len(label)
        return np.tile(label.astype(np.uint8)[:, None, None], (1, 48, 48))


@pytest.fixture
def faces():
    """The first leaf has 10 Training faces, the others 4; and one PublicTest face of each."""
    label = np.concatenate(
        [np.repeat(np.arange(len(LEAVES)), [10, *[4] * (len(LEAVES) - 1)]), np.arange(len(LEAVES))]
    )
    split = np.where(np.arange(len(label)) < len(label) - len(LEAVES), Split.Training, Split.PublicTest)
    pixels = np.full((len(label), 48, 48), 200, np.uint8)
    row = np.arange(len(label), dtype=np.int32)
    return FaceDataset(pixels, label.astype(np.int8), split.astype(np.int8), row, source="made", names=LEAVES)


@pytest.fixture
def made(faces):
    """Makes a stored generator of classes, as if it had learned `faces`."""

    def make(name="gan", classes=LEAVES, data=None, **values):
        record = {
            "classes": list(classes),
            "seed": 0,
            "data": {"fingerprint": data or loading.fingerprint(faces)},
            "history": [{"loss": 1.0, "seconds": 1.0}],
            "finished": True,
            "backend": "tensorflow",
            "precision": "float32",
            "parameters": 1,
            "macs": 1,
            "versions": {},
        }
        place = generator(name)
        place.write(name.encode(), record | values)
        return place

    return make


def identity(place, faces):
    about = {"data": loading.describe(faces, VALENCE), "labels": "fer2013"}
    return about | generated_faces.recorded(place.name, Drawing())


def test_each_share_fills_its_part_of_every_gap(faces, made):
    training, backend = faces.of(Split.Training), Drawing()
    who = identity(made(), faces)
    pool = generated_faces.pool(who, training, HALF, backend)
    for share, added in ((0.0, 0), (0.5, 3), (1.0, 6)):
        mixed = generated_faces.mixed(training, pool, VALENCE, share)
        assert mixed.source == faces.source and mixed.counts() == {
            "Training": dict(zip(LEAVES, [10, *[4 + added] * (len(LEAVES) - 1)], strict=True))
        }
        extra = mixed.take(mixed.generated)
        assert (extra.pixels[:, 0, 0] == extra.label).all()
        assert (mixed.take(~mixed.generated).pixels == 200).all()
    generated_faces.pool(who, training, HALF, backend)
    assert backend.drawn == len(pool) == 6 * (len(LEAVES) - 1)  # kept in the cache


def test_votes_stay_those_of_people_and_epochs_as_long_as_before(faces, made):
    training = replace(faces.of(Split.Training), votes=None)
    voted = replace(training, votes=np.ones((len(training), 10), np.float32))
    pool = generated_faces.pool(identity(made(), faces), training, HALF, Drawing())
    mixed = generated_faces.mixed(voted, pool, VALENCE, 1.0)
    assert not mixed.votes[mixed.generated].any() and mixed.votes[~mixed.generated].all()
    fit = replace(recipes.SKETCH.fit, batch_size=1)
    for node in (FLAT, ROUTER):
        dataset = node_dataset(mixed, VALENCE, node, fit)
        sampler = EpochSampler(dataset, fit, recipes.SKETCH.augment, 0)
        assert len(sampler.order) == len(training) and len(dataset) == 10 * len(LEAVES)
        bare = EpochSampler(node_dataset(training, VALENCE, node, fit), fit, recipes.SKETCH.augment, 0)
        assert len(sampler) == len(bare)
    only = node_dataset(pool, VALENCE, FLAT, fit)  # a set of generated faces alone
    assert only.epoch == len(pool)


def test_the_manifest_counts_them(faces):
    about = generated_faces.described(faces, HALF)
    assert about["origins"] == {"real": len(faces), "generated": 6 * (len(LEAVES) - 1)}
    assert about | {"origins": faces.origins()} == loading.describe(faces, VALENCE)
    assert generated_faces.described(faces, recipes.SKETCH) == loading.describe(faces, VALENCE)


def test_what_a_generator_lacks_or_has_become_is_refused(faces, made, logged):
    who = identity(made(), faces)
    generated_faces.check(who, faces, HALF)
    assert not logged.messages
    made(data="other")
    generated_faces.check(who, faces, HALF)
    assert any("'gan'" in line and "different dataset" in line for line in logged.messages)
    made("few", LEAVES[:-1])
    with pytest.raises(InputError, match=f"'few'.*{LEAVES[-1]!r}"):
        generated_faces.check(identity(generator("few"), faces), faces, HALF)
    place = generator("gan")
    place.write(b"another net", {})
    with pytest.raises(InputError, match="'gan'.*changed"):
        generated_faces.check(who, faces, HALF)


def test_missing_damaged_and_unfinished_generators_are_refused(faces, made):
    with pytest.raises(InputError, match="'nobody'.*none yet"):
        generated_faces.recorded("nobody", Drawing())
    with pytest.raises(InputError, match=r"'\.\./x'"):
        generated_faces.recorded("../x", Drawing())
    with pytest.raises(InputError, match="PyTorch.*tf_model.py"):
        generated_faces.recorded("gan", TORCH_BACKEND)
    place = made("half", finished=False)
    with pytest.raises(InputError, match="'half'.*--resume"):
        generated_faces.recorded("half", Drawing())
    (place.folder / "generator.keras").write_bytes(b"damaged")
    with pytest.raises(InputError, match="generator.keras: damaged"):
        generated_faces.recorded("half", Drawing())
    record = place.folder / "generator.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(InputError, match="generator.json: damaged"):
        place.record()


@pytest.mark.parametrize(
    ("settings", "named", "there"),
    [
        (["fit.generated_share=0.5"], "--generated", False),
        (["warm_start.generated_share=0.5"], "--generated", False),
        ([], "fit.generated_share", True),
        (["fit.generated_share=0.5", "fit.samples_per_class=9"], "fit.samples_per_class", True),
    ],
)
def test_share_and_generator_need_each_other(settings, named, there):
    recipe = overrides.with_settings(recipes.SKETCH, settings)
    with pytest.raises(InputError, match=named):
        check_recipe(recipe, False, there)


@pytest.mark.parametrize("value", ["1.01", "-0.1", "NaN", "much"])
def test_a_share_is_from_0_to_1(value):
    with pytest.raises(InputError, match="fit.generated_share"):
        overrides.with_settings(recipes.SKETCH, [f"fit.generated_share={value}"])


def test_a_recipe_says_so_only_where_it_has_a_share():
    assert "generated_share" not in str(recipes.SKETCH.as_dict())
    assert Counter(str(HALF.as_dict()).split("'"))["generated_share"] == 2
    assert overrides.from_dict(HALF.as_dict(), "x") == HALF
    plain = overrides.with_settings(HALF, ["fit.generated_share=0", "warm_start.generated_share=0"])
    assert plain == recipes.SKETCH and Origin.generated.name not in str(plain.as_dict())
