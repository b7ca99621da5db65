"""A photograph: the public-domain portrait that matplotlib ships."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from hierarchy.data import images


@pytest.fixture(scope="session")
def photograph() -> Path:
    return Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="session")
def portrait(photograph) -> np.ndarray:
    return images.read(photograph)
