"""What the data room's tests share: random faces of any size."""

from collections.abc import Callable

import numpy as np
import pytest

from hierarchy.data.dataset import Faces, Split
from hierarchy.taxonomy import FER7


@pytest.fixture
def random_faces() -> Callable[..., Faces]:
    def make(count: int, seed: int = 0) -> Faces:
        generator = np.random.default_rng(seed)
        return Faces(
            pixels=generator.integers(0, 256, (count, 48, 48), dtype=np.uint8),
            label=generator.integers(0, len(FER7), count).astype(np.int8),
            split=generator.integers(0, len(Split), count).astype(np.int8),
            row=np.arange(count, dtype=np.int32),
            source="random",
        )

    return make
