from hierarchy import routing
from hierarchy.fitting.calibrate import temperature


def test_the_temperature_that_spoiled_the_logits_is_found_again(rng):
    honest = rng.normal(scale=2, size=(20_000, 3))
    chance = routing.softmax(honest).cumsum(axis=1)
    truth = (rng.random((20_000, 1)) > chance).sum(axis=1).clip(max=2)
    for factor in (0.5, 1.0, 2.5):
        assert abs(temperature(honest * factor, truth) / factor - 1) < 0.05
