import keras
import numpy as np
import pytest

from hierarchy.models.preprocessing import VIEWS, averaged, preprocess, views


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (5, 48, 48), dtype=np.uint8)


def test_grey_levels_become_minus_one_to_one(pixels):
    inputs = keras.Input((48, 48), dtype="uint8")
    net = keras.Model(inputs, preprocess(inputs, (2, 2, 46, 46)))
    scaled = np.asarray(net(pixels))
    assert scaled.shape == (5, 44, 44, 1)
    np.testing.assert_allclose(scaled[..., 0], pixels[:, 2:46, 2:46] / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(("view", "pictures"), [("single", 1), ("flip", 2), ("crops", 3), ("ten-crop", 10)])
def test_each_view_shows_its_number_of_whole_faces(pixels, view, pictures):
    shown = views(pixels, view)
    assert len(shown) == pictures
    assert all(picture.shape == pixels.shape and picture.dtype == np.uint8 for picture in shown)
    np.testing.assert_array_equal(shown[0], pixels[:, :, ::-1] if view == "crops" else pixels)


def test_crops_are_turned_to_either_side():
    bar = np.zeros((1, 48, 48), np.uint8)
    bar[:, :, 23:25] = 255
    left, right = (picture[0, 4].argmax() for picture in views(bar, "crops")[1:])
    assert sorted((left, right)) == [pytest.approx(22, abs=1), pytest.approx(25, abs=1)] and left != right


def test_ten_crop_shows_the_corners_and_their_mirror_images(pixels):
    centres = [picture[:, 2:46, 2:46] for picture in views(pixels, "ten-crop")]
    corners = [pixels[:, top : top + 44, left : left + 44] for top in (0, 4) for left in (0, 4)]
    for corner in corners:
        assert any(np.array_equal(corner, centre) for centre in centres)
    mirrored = pixels[:, :, ::-1]
    assert any(np.array_equal(mirrored[:, 4:, 4:], centre) for centre in centres)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_averages_what_the_net_says(pixels, view):
    brightness = averaged(lambda shown: {"net": shown.mean(axis=(1, 2))[:, None]}, pixels, view)["net"]
    expected = np.mean([shown.mean(axis=(1, 2)) for shown in views(pixels, view)], axis=0)
    np.testing.assert_allclose(brightness[:, 0], expected)
