"""Nets as files: .keras archives with float16 weights that plain Keras opens on any backend."""

import io
import json
import math
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import h5py
import keras
import numpy as np

from hierarchy.backends import UNREADABLE, check_process
from hierarchy.config.net_limits import PARAMETERS
from hierarchy.errors import InputError, first_line
from hierarchy.fileio import check_archive

CHUNK: Final = 64  # faces per call; the last chunk is padded to keep the number of shapes small
CHANGING: Final = ("date_saved", "shared_object_id")  # keys in an archive


def to_bytes(net: keras.Model) -> bytes:
    """A net as a .keras archive with float16 weights; the same weights give the same bytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(_saved(net.save, "net.keras"))) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            change = _halved if name == "model.weights.h5" else _stable
            about = zipfile.ZipInfo(name)  # a fixed time
            target.writestr(about, change(source.read(name)), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def weights_to_bytes(model: keras.Model) -> bytes:
    """A model's float32 weights and, if compiled, its optimizer's state, as HDF5."""
    return _saved(model.save_weights, "model.weights.h5")


def _saved(save: Callable[[Path], None], name: str) -> bytes:
    """The bytes of a file that `save` writes.

    Raises:
        InputError: the temporary folder cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            save(path)
            return path.read_bytes()
    except OSError as error:
        raise InputError(f"{tempfile.gettempdir()}: cannot be written ({error})") from None


def load(path: Path) -> keras.Model:
    """The net of a .keras archive.

    Raises:
        InputError: the file is damaged or not a net.
    """
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            if _weights(json.loads(archive.read("config.json"))) > PARAMETERS:
                raise ValueError(f"more than {PARAMETERS:,} weights")
            check_sizes(archive.read("model.weights.h5"))
        return keras.saving.load_model(path, compile=False)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: not a valid net ({first_line(error)})") from None


def _weights(config: Any) -> int:
    """Weights of the convolutions and dense layers that a saved configuration builds, at any depth."""
    parts = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    own, about = 0, config.get("config") if isinstance(config, dict) else None
    if isinstance(about, dict) and (width := about.get("units", about.get("filters"))) is not None:
        kernel = about.get("kernel_size", [1])
        own = width * math.prod(kernel) * config["build_config"]["input_shape"][-1]
    return own + sum(map(_weights, parts))


def check_sizes(weights: bytes) -> None:
    """Refuse an HDF5 file of more numbers than a net may have weights; nothing is read.

    Raises:
        ValueError: it has.
    """
    sizes = []
    with h5py.File(io.BytesIO(weights), "r") as file:
        file.visititems(lambda _, item: sizes.append(getattr(item, "size", 0)))
    if sum(sizes) > PARAMETERS:
        raise ValueError(f"more than {PARAMETERS:,} weights")


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

    return _saved(write, "half.h5")  # in memory, HDF5 would leave bytes unset


def _copy(path: str, item: h5py.Group | h5py.Dataset, target: h5py.File) -> None:
    if isinstance(item, h5py.Dataset):
        value = item[()]
        target.create_dataset(path, data=value.astype(np.float16) if value.dtype == np.float32 else value)
    else:
        target.require_group(path)
    for key, value in item.attrs.items():
        target[path].attrs[key] = value


def _stable(text: bytes) -> bytes:
    """JSON without dates and memory addresses, at any depth."""

    def remove(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if name not in CHANGING}

    return json.dumps(json.loads(text, object_hook=remove)).encode()
