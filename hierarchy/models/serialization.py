"""Nets as files: .keras archives with float16 weights that plain Keras opens on any backend."""

import io
import json
import math
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import h5py
import keras
import msgspec
import numpy as np

from hierarchy.backends import UNREADABLE, check_process
from hierarchy.config.net_limits import NUMBERS, PARAMETERS
from hierarchy.errors import InputError, first_line
from hierarchy.fileio import TEXT_BYTES, check_archive

CHUNK: Final = 64  # faces per call; the last chunk is padded to keep the number of shapes small
Size = Annotated[int, msgspec.Meta(ge=0, le=PARAMETERS)]
Side = Annotated[int, msgspec.Meta(ge=0, le=512)]  # pixels
CHANGING: Final = ("date_saved", "shared_object_id")  # keys in an archive


Stock = (  # the layers of every net that is built here
    Literal[
        "InputLayer", "Reshape", "Rescaling", "Resizing", "Cropping2D", "ZeroPadding2D", "Conv2D", "Dense"
    ]
    | Literal["BatchNormalization", "Activation", "ReLU", "Add", "Concatenate", "Flatten", "Dropout"]
    | Literal["SpatialDropout2D", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D"]
)


class _Config(msgspec.Struct):
    filters: Size = 0
    units: Size = 0
    kernel_size: tuple[Size, ...] = ()
    height: Side = 0
    width: Side = 0
    padding: str | tuple[tuple[Side, ...], ...] = ""
    activation: str | None = None  # never a layer


class _Build(msgspec.Struct):
    input_shape: tuple[Size | None | tuple[Size | None, ...], ...] = ()  # the latter of several inputs


class _Layer(msgspec.Struct):
    """A layer of a saved net: of a class that is used here, called once."""

    class_name: Stock
    config: _Config
    inbound_nodes: Annotated[list[Any], msgspec.Meta(max_length=1)]
    build_config: _Build = msgspec.field(default_factory=_Build)


class _Layers(msgspec.Struct):
    layers: list[_Layer]


class _Net(msgspec.Struct):
    class_name: Literal["Functional"]
    config: _Layers


def to_bytes(net: keras.Model) -> bytes:
    """A net as a .keras archive with float16 weights; the same weights give the same bytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(_saved(net.save, "net.keras", _size(net)))) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            change = _halved if name == "model.weights.h5" else _stable
            about = zipfile.ZipInfo(name)  # a fixed time
            target.writestr(about, change(source.read(name)), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def weights_to_bytes(model: keras.Model) -> bytes:
    """A model's float32 weights and, if compiled, its optimizer's state, as HDF5."""
    return _saved(model.save_weights, "model.weights.h5", _size(model))


def load_weights(model: keras.Model, path: Path) -> None:
    """Load a file of `weights_to_bytes`.

    Raises:
        ValueError: it is no file, or holds far more numbers than the model; nothing is read.
        OSError, KeyError: it is damaged, or of another model.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for its writer
        raise ValueError("not a file")
    check_sizes(path, _size(model))
    model.load_weights(path)


def _size(model: keras.Model) -> int:
    """Bytes that a model's weights and its optimizer's state take as HDF5, rather more than less."""
    optimizer = getattr(model, "optimizer", None)  # of a compiled one only
    variables = [*model.variables, *(optimizer.variables if optimizer else [])]
    return sum(4 * math.prod(each.shape) + 4096 for each in variables)


def _saved(save: Callable[[Path], None], name: str, size: int) -> bytes:
    """The bytes of a file, at most about `size`, that `save` writes.

    Raises:
        InputError: the temporary folder cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            if sys.platform == "linux":  # HDF5 ends the process where a disk is full
                with path.open("wb") as room:
                    os.posix_fallocate(room.fileno(), 0, 65536 + size)
                path.unlink()
            save(path)
            return path.read_bytes()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else first_line(error)
        raise InputError(f"{tempfile.gettempdir()}: cannot be written ({reason})") from None


def load(path: Path) -> keras.Model:
    """The net of a .keras archive.

    Raises:
        InputError: the file is damaged or not a net.
    """
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > TEXT_BYTES:
                raise ValueError(f"a configuration of more than {TEXT_BYTES >> 20} MiB")
            _check_size(archive.read("config.json"))
            check_sizes(io.BytesIO(archive.read("model.weights.h5")))
        net = keras.saving.load_model(path, compile=False)
        _check_outputs(net)
        return net
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: not a valid net ({first_line(error)})") from None


def _check_size(config: bytes) -> None:
    """Refuse a saved configuration of layers that no net of ours has, or of too many weights.

    Raises:
        ValueError: it is one.
    """
    weights = 0
    for layer in msgspec.json.decode(config, type=_Net).config.layers:
        if width := layer.config.units or layer.config.filters:
            match layer.build_config.input_shape:
                case (*_, int(channels)):
                    weights += width * math.prod(layer.config.kernel_size) * channels
                case _:
                    raise ValueError(f"a layer {layer.class_name} without its input's shape")
    if weights > PARAMETERS:
        raise ValueError(f"more than {PARAMETERS:,} weights")


def _check_outputs(net: keras.Model) -> None:
    """Refuse a net whose layers give more numbers for a face than a training step may.

    Raises:
        ValueError: it is one.
    """
    if sum(math.prod(layer.output.shape[1:]) for layer in net.layers) > NUMBERS:
        raise ValueError(f"more than {NUMBERS:,} outputs of layers for a face")


def check_sizes(weights: io.BytesIO | Path, most: int = PARAMETERS) -> None:
    """Refuse an HDF5 file of more than `most` numbers; nothing is read.

    Raises:
        ValueError: it has.
    """
    sizes = []
    with h5py.File(weights, "r") as file:
        file.visititems(lambda _, item: sizes.append(getattr(item, "size", 0)))
    if sum(sizes) > most:
        raise ValueError(f"more than {most:,} weights")


class Lazy:
    """A stored net as a function uint8[N,48,48] -> logits float32[N,K]; opened at the first call.

    Batches have two shapes, 1 and CHUNK, each compiled once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.net: keras.Model | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Logits of faces, float32[N,K].

        Raises:
            InputError: the file is damaged; or this is a fork of the process that opened it.
        """
        check_process("Keras")
        if self.net is None:
            self.net = load(self.path)
            if keras.backend.backend() == "torch":
                from hierarchy.models import torch_layers

                self.net = torch_layers.of(self.net)
            self.net.compile(jit_compile=keras.backend.backend() == "jax")  # slower on the others
        size = 1 if len(pixels) == 1 else CHUNK
        chunks = max(1, math.ceil(len(pixels) / size))
        full = np.zeros((chunks * size, *pixels.shape[1:]), pixels.dtype)
        full[: len(pixels)] = pixels
        logits = [self.net.predict_on_batch(chunk) for chunk in np.split(full, chunks)]
        return np.concatenate(logits)[: len(pixels)]


def _halved(weights: bytes) -> bytes:
    """An HDF5 file with every float32 array in float16; Keras reads them back as float32."""

    def write(path: Path) -> None:
        with h5py.File(io.BytesIO(weights), "r") as source, h5py.File(path, "w") as target:
            source.visititems(lambda name, item: _copy(name, item, target))

    return _saved(write, "half.h5", len(weights))  # in memory, HDF5 would leave bytes unset


def _copy(path: str, item: h5py.Group | h5py.Dataset, target: h5py.File) -> None:
    if isinstance(item, h5py.Dataset):
        value = item[()]
        with np.errstate(over="ignore"):  # of a net that diverged, which is refused by what it outputs
            value = value.astype(np.float16) if value.dtype == np.float32 else value
        target.create_dataset(path, data=value)
    else:
        target.require_group(path)
    for key, value in item.attrs.items():
        target[path].attrs[key] = value


def _stable(text: bytes) -> bytes:
    """JSON without dates and memory addresses, at any depth."""

    def remove(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if name not in CHANGING}

    return json.dumps(json.loads(text, object_hook=remove)).encode()
