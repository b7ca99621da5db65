import json
import os
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from hierarchy.config.schema import VGGConfig
from hierarchy.errors import InputError
from hierarchy.models import serialization, vgg
from hierarchy.taxonomy import FLAT, VALENCE


@pytest.fixture(scope="module")
def net():
    return vgg.build(VALENCE, FLAT, VGGConfig(stages=((4,), (8, 8))))


@pytest.fixture(scope="module")
def path(net, tmp_path_factory):
    file = tmp_path_factory.mktemp("net") / "flat.keras"
    file.write_bytes(serialization.to_bytes(net))
    return file


@pytest.fixture
def faces(rng):
    return rng.integers(0, 256, (150, 48, 48), dtype=np.uint8)


def test_a_stored_net_says_what_the_net_says_to_half_precision(net, path, faces):
    np.testing.assert_allclose(serialization.Lazy(path)(faces), np.asarray(net(faces)), atol=0.02)


def test_plain_keras_opens_the_file(path, faces):
    plain = keras.saving.load_model(path)
    np.testing.assert_allclose(np.asarray(plain(faces)), serialization.Lazy(path)(faces), atol=1e-5)
    assert {variable.dtype for variable in plain.weights} == {"float32"}


def test_the_same_weights_give_the_same_bytes(net):
    assert serialization.to_bytes(net) == serialization.to_bytes(net)


FULL = """
import resource
from hierarchy.config.schema import VGGConfig
from hierarchy.errors import InputError
from hierarchy.models import build, serialization
from hierarchy.taxonomy import FLAT, VALENCE

net = build.build(VALENCE, FLAT, VGGConfig(stages=((32,), (64,))))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for write in (serialization.to_bytes, serialization.weights_to_bytes):
    try:
        write(net)
    except InputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="room is reserved on Linux")
def test_a_temporary_folder_without_room_is_named(tmp_path):
    """Before HDF5 meets its end, which would end the process."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", FULL], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == 2 * [f"{tmp_path}: cannot be written (File too large)"], done.stderr
    assert done.returncode == 0 and "Error" not in done.stderr


def test_a_checkpoint_of_far_more_numbers_is_not_read(net, tmp_path):
    path = tmp_path / "epoch-000.weights.h5"
    path.write_bytes(serialization.weights_to_bytes(net))
    serialization.load_weights(net, path)
    with h5py.File(path, "a") as file:
        file.create_dataset("bomb", shape=(10**9,), dtype="float32", chunks=(10**6,), compression="gzip")
    with pytest.raises(ValueError, match="more than [0-9,]+ weights"):
        serialization.load_weights(net, path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="not a file"):
        serialization.load_weights(net, path)


def test_an_answer_does_not_depend_on_the_other_faces(path, faces):
    lazy = serialization.Lazy(path)
    together = lazy(faces)
    alone = np.concatenate([lazy(faces[row : row + 1]) for row in range(20)])
    np.testing.assert_allclose(alone, together[:20], atol=1e-6)
    np.testing.assert_allclose(lazy(faces[::-1])[::-1], together, atol=1e-6)


def test_damaged_files_are_refused_by_name(path, tmp_path):
    data = path.read_bytes()
    for damaged in (b"", b"not a net", data[: len(data) // 2]):
        bad = tmp_path / "bad.keras"
        bad.write_bytes(damaged)
        with pytest.raises(InputError, match="bad.keras"):
            serialization.load(bad)


def forged(source, target, change):
    """A .keras file whose configuration was changed."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config, {layer["class_name"]: layer for layer in config["config"]["layers"]})
                data = json.dumps(config).encode()
            after.writestr(name, data)
    return target


def _offset(config, layers):
    layers["Conv2D"]["config"]["filters"] = 10**8
    config["zz"] = {"config": {"units": -(10**12)}, "build_config": {"input_shape": [None, 100_000]}}


FORGERIES = {
    "offset by another entry": _offset,
    "a text as filters": lambda config, layers: layers["Conv2D"]["config"].update(
        filters="a", kernel_size=[2_000_000_000]
    ),
    "a list as filters": lambda config, layers: layers["Conv2D"]["config"].update(filters=[0]),
    "negative": lambda config, layers: layers["Dense"]["config"].update(units=-1),
    "an input that is not given": lambda config, layers: layers["Dense"].pop("build_config"),
    "a wide input": lambda config, layers: layers["Dense"]["build_config"].update(input_shape=[None, 10**8]),
    "a layer as activation": lambda config, layers: layers["Conv2D"]["config"].update(
        activation={"module": "keras.layers", "class_name": "UpSampling2D", "config": {"size": [500, 500]}}
    ),
    "a layer that grows": lambda config, layers: layers["MaxPooling2D"].update(
        class_name="UpSampling2D", config={"name": "up", "size": [500, 500]}
    ),
    "a border": lambda config, layers: layers["MaxPooling2D"].update(
        class_name="ZeroPadding2D", config={"name": "zero", "padding": [[20_000] * 2] * 2}
    ),
    "another layer": lambda config, layers: layers["Conv2D"].update(class_name="DepthwiseConv2D"),
    "an expression": lambda config, layers: layers["MaxPooling2D"].update(class_name="Lambda"),
    "no layers": lambda config, layers: config.update(config=[]),
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_configuration_that_no_net_of_ours_has_is_refused_before_it_is_built(
    path, tmp_path, change, monkeypatch
):
    monkeypatch.setattr(keras.saving, "load_model", None)
    with pytest.raises(InputError, match="forged.keras"):
        serialization.load(forged(path, tmp_path / "forged.keras", change))


def test_a_net_that_doubles_its_numbers_is_refused(tmp_path):
    pixels = keras.Input((48, 48), dtype="uint8")
    numbers = keras.layers.Rescaling(1.0)(pixels)
    for _ in range(20):
        numbers = keras.layers.Concatenate()([numbers, numbers])
    file = tmp_path / "double.keras"
    file.write_bytes(serialization.to_bytes(keras.Model(pixels, numbers)))
    with pytest.raises(InputError, match=r"double\.keras.*outputs"):
        serialization.load(file)
