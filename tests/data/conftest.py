"""Shared fixtures of the data tests: random faces of any size and label names."""

from collections.abc import Callable

import numpy as np
import pytest

from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.formats import FER2013_NAMES


@pytest.fixture
def random_faces() -> Callable[..., FaceDataset]:
    def make(count: int, seed: int = 0, names: tuple[str, ...] = FER2013_NAMES) -> FaceDataset:
        generator = np.random.default_rng(seed)
        return FaceDataset(
            pixels=generator.integers(0, 256, (count, 48, 48), dtype=np.uint8),
            label=generator.integers(0, len(names), count).astype(np.int8),
            split=generator.integers(0, len(Split), count).astype(np.int8),
            row=np.arange(count, dtype=np.int32),
            source="random",
            names=names,
        )

    return make
