"""What all tests share: a home of their own, a tiny run to ask, and the real faces where there are some.

Nothing is written into the repository. A test marked `real_data` runs only where FER2013_DIR names a folder
with FER-2013 and FER+; all others do not see that variable.
"""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from hierarchy import runs
from hierarchy.config.schema import Recipe, VGGConfig
from hierarchy.data.dataset import FaceDataset
from hierarchy.taxonomy import FLAT, NODES, ROUTER, classes_of

FER2013_DIR = os.environ.get("FER2013_DIR")
FEW = 70  # sketches: every expression in every split

UNTRAINED = {  # what a run's card says of a net, had it been trained for an epoch
    "finished": True,
    "seed": 0,
    "backend": "tensorflow",
    "epochs": 1,
    "best_epoch": 0,
    "public_test_accuracy": 0.2,
    "minutes": 0.1,
    "images_per_second": 100.0,
    "warm_start": False,
    "balanced": True,
}

# A busy machine is no fault, and a law that failed once must fail again.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_data: needs FER-2013 and FER+ in $FER2013_DIR")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The package's log messages of the test, in `messages`."""
    caplog.set_level(logging.INFO, "hierarchy")
    return caplog


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same ones in every test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the real faces, once parsed, are kept for the session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_home(
    request: pytest.FixtureRequest,
    shared_cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An empty folder for results/, logs/, data/ and cache/, different for every test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HIERARCHY_HOME", str(home))
    monkeypatch.setenv("FER2013_CACHE", str(home / "cache"))
    if request.node.get_closest_marker("real_data") is None:
        monkeypatch.delenv("FER2013_DIR", raising=False)
    elif FER2013_DIR:
        monkeypatch.setenv("FER2013_CACHE", str(shared_cache))
    else:
        pytest.skip("FER2013_DIR does not point at FER-2013 and FER+")
    return home


@pytest.fixture(scope="session")
def fer2013(shared_cache: Path) -> FaceDataset:
    """FER-2013 with FER+'s votes, read once; for tests marked real_data."""
    from hierarchy.data.formats import registry

    if not FER2013_DIR:
        pytest.skip("FER2013_DIR does not point at FER-2013 and FER+")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER2013_CACHE", str(shared_cache))
        return registry.read(FER2013_DIR)


@pytest.fixture(scope="session")
def few_sketches() -> FaceDataset:
    """FEW drawn faces."""
    from hierarchy.data.synthetic.sketch import sketch_faces

    return sketch_faces(FEW)


@pytest.fixture(scope="session")
def stored_run(few_sketches: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    """The run that `tiny_run` copies; not to be changed."""
    from hierarchy.models import keras_setup

    keras_setup.start()
    import keras

    from hierarchy.data import loading
    from hierarchy.models import serialization, vgg

    root = tmp_path_factory.mktemp("stored")
    run = runs.Run("tiny", root / "results" / "tiny", root / "logs" / "tiny")
    recipe = Recipe("tiny", net=VGGConfig(stages=((4,),)))
    keras.utils.set_random_seed(0)
    for node in (FLAT, *NODES):
        net = vgg.build(node, recipe.net)
        about = UNTRAINED | {"classes": list(classes_of(node)), "parameters": net.count_params()}
        identity = {"recipe": recipe.as_dict(), "seed": 0, "data": loading.describe(few_sketches)}
        run.add_net(node, serialization.to_bytes(net), about, identity)
    run.amend({"calibration": {ROUTER: {"offset": [0.5, 0.0], "temperature": 2.0}}})
    return run


@pytest.fixture
def tiny_run(stored_run: runs.Run, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> runs.Run:
    """A run called tiny in the test's own home: tree and flat net of four channels, random weights.

    Its data are `few_sketches`, and the word sketch means these in a test that asks for the run.
    """
    from hierarchy.data import loading

    monkeypatch.setattr(loading, "SKETCHES", FEW)
    shutil.copytree(stored_run.folder, own_home / "results" / stored_run.name)
    return runs.run(stored_run.name)
