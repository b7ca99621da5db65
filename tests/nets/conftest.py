"""What the nets' tests share: keras on its default backend, and a seeded generator."""

import numpy as np
import pytest

from hierarchy.nets import backend

backend.start()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
