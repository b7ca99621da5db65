"""The generator: its net, its batches, the way from noise to a face, and a training that is resumed."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from hierarchy.data.dataset import SIDE
from hierarchy.errors import InputError
from hierarchy.models import generator, generator_trainer, serialization
from hierarchy.training.generators import State
from hierarchy.training.generators import generator as named

ABOUT = {"classes": ["dark", "light"], "seed": 0, "data": {"source": "made"}}


def made(random_faces, count=150):
    return random_faces(count, names=("dark", "light"))


@pytest.fixture
def random_faces(rng):
    def make(count, names):
        label = np.arange(count) % len(names)
        tone = 60 + 100 * label[:, None, None]
        pixels = (tone + rng.integers(0, 30, (count, SIDE, SIDE))).astype(np.uint8)
        return SimpleNamespace(pixels=pixels, label=label, names=names)

    return make


def test_squares_become_channels_and_back(rng):
    pixels = keras.Input((SIDE, SIDE))
    folded = generator._folded(pixels)
    there = keras.Model(pixels, [folded, generator._unfolded(folded)])
    given = rng.random((2, SIDE, SIDE), dtype=np.float32)
    squares, back = map(keras.ops.convert_to_numpy, there(given))
    np.testing.assert_array_equal(back, given)
    np.testing.assert_array_equal(squares[:, 3, 5].reshape(2, 2, 2), given[:, 6:8, 10:12])


def test_a_net_is_stored_and_says_nothing_before_it_is_trained(tiny_generator, tmp_path):
    net = generator.build(3)
    (tmp_path / "net.keras").write_bytes(serialization.to_bytes(net))
    again = generator.load(tmp_path / "net.keras", 3)
    with pytest.raises(InputError, match="net.keras"):
        generator.load(tmp_path / "net.keras", 4)
    inputs = [np.ones((2, SIDE, SIDE), np.float32), generator.time_features(np.ones(2)), np.eye(2, 4)]
    assert not keras.ops.convert_to_numpy(again(inputs)).any()


class Straight:
    """A net that knows where each class goes: to a grey of its own."""

    inputs = (None, None, SimpleNamespace(shape=(None, 4)))
    greys = np.array([-1.0, 0.1, 0.5, 0.1])

    def compile(self, **_):
        pass

    def predict_on_batch(self, inputs):
        pixels, waves, label = inputs
        angle = np.arctan2(waves[:, :1], waves[:, generator.FREQUENCIES :][:, :1])  # of the longest wave
        time = angle[:, :, None] / (0.5 * np.pi)
        return ((label @ self.greys)[:, None, None] - pixels) / np.maximum(1 - time, 1e-6)


def test_the_velocity_is_followed_to_its_end():
    label = np.array([0, 1, 2, 1])
    faces = generator.sample(Straight(), label, 0, guidance=1.0)
    assert faces.dtype == np.uint8
    np.testing.assert_array_equal(faces, np.array([0, 140, 191, 140])[:, None, None] * np.ones((1, 48, 48)))


def test_a_face_follows_from_seed_class_and_place(tiny_generator):
    keras.utils.set_random_seed(1)
    net = generator.build(2)
    net.set_weights([0.1 + weight for weight in net.get_weights()])
    label = np.array([0, 1, 0, 1, 0])
    together = generator.sample(net, label, 3)
    alone = generator.sample(net, np.array([1, 1]), 3)
    assert together.shape == (5, SIDE, SIDE)
    assert (together[label == 1] == alone).mean() > 0.99  # the last bit may differ
    assert (together[0] != together[2]).mean() > 0.2
    assert (generator.sample(net, label, 4) != together).mean() > 0.2


def test_batches_follow_from_seed_epoch_and_step_and_lead_to_faces(random_faces):
    faces = made(random_faces)
    batches, same = (generator_trainer.Flows(faces.pixels, faces.label, 5) for _ in range(2))
    (x, waves, label), velocity = batches[1]
    np.testing.assert_array_equal(x, same[1][0][0])
    same.begin(1)
    assert (x != same[1][0][0]).any()
    angle = np.arctan2(waves[:, 0], waves[:, generator.FREQUENCIES])
    time = angle[:, None, None] / (0.5 * np.pi)
    grey = (x + (1 - time) * velocity + 1) * 127.5
    plain = faces.pixels[batches.order[1]]
    for face, original in zip(grey, plain, strict=True):
        assert min(abs(face - original).max(), abs(face - original[:, ::-1]).max()) < 0.1
    assert set(label.argmax(axis=1)) == {0, 1, 2} and (label.sum(axis=1) == 1).all()


def test_a_rare_class_is_shown_more_often_than_it_occurs(random_faces):
    faces = made(random_faces, 2000)
    label = (np.arange(2000) < 80).astype(int)  # 4 %
    batches = generator_trainer.Flows(faces.pixels, label, 0)
    assert 0.1 < label[batches.order].mean() < 0.25


def interrupted(monkeypatch):
    """Ctrl-C at the beginning of the second epoch."""
    begin = generator_trainer.Flows.begin

    def stop(self, epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch)

    monkeypatch.setattr(generator_trainer.Flows, "begin", stop)


@pytest.mark.long
def test_a_resumed_training_gives_the_same_net(tiny_generator, random_faces, monkeypatch):
    faces, state = made(random_faces), State("made", "0", 0, 2)
    whole, part = named("whole"), named("part")
    generator_trainer.fit(whole, state, faces, ABOUT)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted(patch)
        generator_trainer.fit(part, state, faces, ABOUT)
    assert not part.record().finished and len(part.record().history) == 1
    generator_trainer.fit(part, part.state(), faces, ABOUT)
    assert part.record().finished and len(list(part.log.glob("epoch-*"))) == 1
    ours, theirs = (generator.load(each.net(), 2).get_weights() for each in (part, whole))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
    losses = [[row.loss for row in each.record().history] for each in (part, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3) and losses[0][1] < losses[0][0]


def test_damaged_weights_are_refused_and_minutes_end_a_training(tiny_generator, random_faces):
    faces, place = made(random_faces), named("short")
    generator_trainer.fit(place, State("made", "0", 0, 9, minutes=1e-6), faces, ABOUT)
    assert place.record().finished and len(place.record().history) == 1
    (file,) = place.log.glob("epoch-*")
    file.write_bytes(b"damaged")
    with pytest.raises(InputError, match=file.name):
        generator_trainer.fit(
            place, State("made", "0", 0, 9, rows=place.state().rows, weights=file.name), faces, ABOUT
        )
