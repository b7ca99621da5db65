"""The fixed blur before a net is a Gaussian, the same in Keras, PyTorch and on disk, and is never trained."""

from dataclasses import replace

import cv2
import keras
import numpy as np
import pytest

from hierarchy.config.schema import VGGConfig
from hierarchy.errors import InputError
from hierarchy.models import serialization, vgg
from hierarchy.models.preprocessing import gaussian
from hierarchy.taxonomy import FLAT, VALENCE

NET = VGGConfig(stages=((4,), (8,)), blur=0.4)
FACES = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)


@pytest.fixture(scope="module")
def blurred() -> keras.Model:
    keras.utils.set_random_seed(0)
    return vgg.build(VALENCE, FLAT, NET)


def test_the_kernel_sums_to_one_and_is_narrower_for_a_smaller_sigma():
    for sigma in (0.3, 0.4, 1.0):
        assert gaussian(sigma).sum() == pytest.approx(1, abs=1e-6)
    assert gaussian(0.3)[1, 1] > gaussian(0.4)[1, 1] > gaussian(1.0)[1, 1]
    assert np.count_nonzero(gaussian(1e-300)) == gaussian(1e-300)[1, 1] == 1


def test_the_net_sees_blurred_faces(blurred):
    plain = vgg.build(VALENCE, FLAT, replace(NET, blur=0.0))
    plain.set_weights([values for values in blurred.get_weights() if values.shape != (3, 3, 1, 1)])
    smooth = np.stack([cv2.filter2D(face.astype(np.float32), -1, gaussian(NET.blur)) for face in FACES])
    rest = keras.Model(plain.get_layer("scale").output, plain.output)
    expected = rest.predict_on_batch((smooth[:, 2:46, 2:46, None] / 127.5 - 1).astype(np.float32))
    np.testing.assert_allclose(blurred.predict_on_batch(FACES), expected, atol=1e-5)


def test_the_kernel_is_not_trained(blurred):
    assert "blur" not in {weight.path.split("/")[-2] for weight in blurred.trainable_variables}


def test_it_is_stored_with_the_net(blurred, tmp_path):
    (tmp_path / "net.keras").write_bytes(serialization.to_bytes(blurred))
    stored = serialization.Lazy(tmp_path / "net.keras")(FACES)
    np.testing.assert_allclose(stored, blurred.predict_on_batch(FACES), atol=0.01)


def test_pytorch_gives_the_same_logits(blurred):
    torch = pytest.importorskip("torch")
    from pt_files import port_weights
    from pt_files.vgg import VGG

    mirror = VGG(VALENCE, FLAT, NET).eval()
    port_weights.from_keras(blurred, mirror)
    with torch.inference_mode():
        logits = mirror(torch.from_numpy(FACES)).numpy()
    np.testing.assert_allclose(logits, blurred.predict_on_batch(FACES), atol=1e-5)


def test_a_crop_without_a_border_cannot_be_blurred():
    with pytest.raises(InputError, match=r"net\.blur"):
        vgg.build(VALENCE, FLAT, replace(NET, crop=48))
