"""Shared fixtures: a home folder for each test, small runs, trees, and the real faces where available.

Nothing is written into the repository. A test marked `real_data` runs only where FER2013_DIR names a folder
with FER-2013 and FER+; all others do not see that variable.
"""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from hierarchy import runs
from hierarchy.config.schema import Recipe, VGGConfig
from hierarchy.data.dataset import FaceDataset
from hierarchy.taxonomy import ROUTER, VALENCE, Tree

FER2013_DIR = os.environ.get("FER2013_DIR")
FEW = 70  # sketches: every expression in every split

ROOT = Path(__file__).parent
SLOW_FIXTURES = {"stored_run", "tiny_run", "fer2013", "wheel"}
SLOW_PLACES = {
    *("apps", "cli", "install", "models", "pt_files"),
    *("test_detection.py", "test_notebooks.py", "test_readme.py", "test_shipped.py", "test_sklearn.py"),
    *("test_classifier.py", "test_runtimes.py", "test_tuning.py", "test_resume.py", "test_warm_start.py"),
}

UNTRAINED = {  # what a manifest records of a net, as if it had been trained for an epoch
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

OTHER_TREES = (  # of other shapes than the named ones, and a branch of one leaf
    Tree({"warm": ("happy", "surprise"), "cold": ("sad", "angry")}, name="2x2"),
    Tree({"mouth": ("happy", "surprise", "sad"), "neutral": ("neutral",)}, name="3+1"),
    Tree({name: (f"{name} low", f"{name} high") for name in ("alpha", "beta", "gamma", "delta")}, name="4x2"),
    Tree(
        {
            "pleasant": ("happy", "surprise", "neutral", "calm"),
            "unpleasant": ("angry", "disgust", "fear", "sad"),
        },
        name="2x4",
    ),
)

# no deadline, since machines may be busy; failures are reproducible
settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_data: needs FER-2013 and FER+ in $FER2013_DIR")
    config.addinivalue_line("markers", "long: slow, and left to `make test-all`")
    config.addinivalue_line("markers", "slow: trains or opens nets, starts programs, or takes long otherwise")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what is long, in a slow folder or asks for a slow fixture; `-m "not slow"` omits it."""
    for item in items:
        asked = SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ()))
        if (
            asked
            or item.get_closest_marker("long")
            or SLOW_PLACES.intersection(item.path.relative_to(ROOT).parts)
        ):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=OTHER_TREES, ids=lambda tree: tree.name)
def other_tree(request: pytest.FixtureRequest) -> Tree:
    """Each of OTHER_TREES."""
    tree: Tree = request.param
    return tree


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The package's log messages during the test, in `messages`."""
    caplog.set_level(logging.INFO, "hierarchy")
    return caplog


@pytest.fixture
def rng() -> np.random.Generator:
    """A random generator, seeded alike in every test."""
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
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return file


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
    """The run that `tiny_run` copies; read only."""
    from hierarchy.models import keras_setup

    keras_setup.start()
    import keras

    from hierarchy.data import loading
    from hierarchy.models import serialization, vgg

    root = tmp_path_factory.mktemp("stored")
    run = runs.Run("tiny", root / "results" / "tiny", root / "logs" / "tiny")
    recipe = Recipe("tiny", net=VGGConfig(stages=((4,),)))
    identity = {"recipe": recipe.as_dict(), "seed": 0, "data": loading.describe(few_sketches, VALENCE)}
    keras.utils.set_random_seed(0)
    for node in VALENCE.nets:
        net = vgg.build(VALENCE, node, recipe.net)
        about = UNTRAINED | {"classes": list(VALENCE.classes_of(node)), "parameters": net.count_params()}
        run.add_net(node, serialization.to_bytes(net), about, identity, VALENCE)
    run.amend({"calibration": {ROUTER: {"offset": [0.5, 0.0], "temperature": 2.0}}})
    return run


@pytest.fixture
def tiny_run(stored_run: runs.Run, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> runs.Run:
    """A run called tiny in the test's own home: tree and flat net of four channels, random weights.

    Its data are `few_sketches`, which `sketch` stands for in a test that requests the run.
    """
    from hierarchy.data import loading

    monkeypatch.setattr(loading, "SKETCHES", FEW)
    shutil.copytree(stored_run.folder, own_home / "results" / stored_run.name)
    return runs.run(stored_run.name)


@pytest.fixture
def manifest_run(own_home: Path) -> Callable[..., runs.Run]:
    """Makes a run with a whole manifest and placeholder files of nets; imports no Keras.

    Call it as `manifest_run(name="stored", tree=VALENCE, nodes=None, **values)`: `nodes` are the nets, all of
    the tree's by default, and `values` are put into the manifest.
    """

    def make(
        name: str = "stored", tree: Tree = VALENCE, nodes: tuple[str, ...] | None = None, **values: Any
    ) -> runs.Run:
        run = runs.run(name)
        recipe = Recipe("tiny", net=VGGConfig(stages=((4,),)), tree=tree)
        identity = {
            "recipe": recipe.as_dict(),
            "seed": 0,
            "data": {"source": "test", "fingerprint": "0" * 16},
        }
        for node in nodes or tree.nets:
            about = UNTRAINED | {"classes": list(tree.classes_of(node)), "parameters": 1, "macs": 1}
            run.add_net(node, f"{name} {node}".encode(), about, identity, tree)
        if values:
            run.amend(values)
        return run

    return make


@pytest.fixture
def tiny_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the nets of generators tiny, and their ways short."""
    from hierarchy.models import keras_setup

    keras_setup.start()
    from hierarchy.models import generator, generator_trainer

    monkeypatch.setattr(generator_trainer, "WARM_UP", 1)
    for name, value in {"WIDTHS": (8, 8, 8), "EMBEDDED": 8, "STEPS": 2, "CHUNK": 4}.items():
        monkeypatch.setattr(generator, name, value)
