import keras
import numpy as np
import pytest

from hierarchy.config.schema import VGGConfig
from hierarchy.errors import InputError
from hierarchy.models import serialization, vgg
from hierarchy.taxonomy import FLAT, VALENCE


@pytest.fixture(scope="module")
def net():
    return vgg.build(VALENCE, FLAT, VGGConfig(stages=((4,), (8, 8))))


@pytest.fixture(scope="module")
def path(net, tmp_path_factory):
    file = tmp_path_factory.mktemp("net") / "flat.keras"
    file.write_bytes(serialization.to_bytes(net))
    return file


@pytest.fixture
def faces(rng):
    return rng.integers(0, 256, (150, 48, 48), dtype=np.uint8)


def test_a_stored_net_says_what_the_net_says_to_half_precision(net, path, faces):
    np.testing.assert_allclose(serialization.Lazy(path)(faces), np.asarray(net(faces)), atol=0.02)


def test_plain_keras_opens_the_file(path, faces):
    plain = keras.saving.load_model(path)
    np.testing.assert_allclose(np.asarray(plain(faces)), serialization.Lazy(path)(faces), atol=1e-5)
    assert {variable.dtype for variable in plain.weights} == {"float32"}


def test_the_same_weights_give_the_same_bytes(net):
    assert serialization.to_bytes(net) == serialization.to_bytes(net)


def test_an_answer_does_not_depend_on_the_other_faces(path, faces):
    lazy = serialization.Lazy(path)
    together = lazy(faces)
    alone = np.concatenate([lazy(faces[row : row + 1]) for row in range(20)])
    np.testing.assert_allclose(alone, together[:20], atol=1e-6)
    np.testing.assert_allclose(lazy(faces[::-1])[::-1], together, atol=1e-6)


def test_damaged_files_are_refused_by_name(path, tmp_path):
    data = path.read_bytes()
    for damaged in (b"", b"not a net", data[: len(data) // 2]):
        bad = tmp_path / "bad.keras"
        bad.write_bytes(damaged)
        with pytest.raises(InputError, match="bad.keras"):
            serialization.load(bad)
