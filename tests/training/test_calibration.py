import numpy as np
import pytest

from hierarchy import routing
from hierarchy.training.calibration import share, temperature


def test_the_temperature_that_spoiled_the_logits_is_found_again(rng):
    honest = rng.normal(scale=2, size=(20_000, 3))
    chance = routing.softmax(honest).cumsum(axis=1)
    truth = (rng.random((20_000, 1)) > chance).sum(axis=1).clip(max=2)
    for factor in (0.5, 1.0, 2.5):
        assert abs(temperature(honest * factor, truth) / factor - 1) < 0.05


@pytest.mark.parametrize("missing", [0.0, 0.4, 1.0])
def test_the_share_of_the_frequencies_that_is_missing_is_found(rng, missing):
    offset = np.log([0.7, 0.2, 0.1])
    honest = rng.normal(scale=2, size=(20_000, 3)) + offset
    chance = routing.softmax(honest).cumsum(axis=1)
    truth = (rng.random((20_000, 1)) > chance).sum(axis=1).clip(max=2)
    assert abs(share(2 * (honest - missing * offset), 2 * offset, truth) - missing) < 0.05
