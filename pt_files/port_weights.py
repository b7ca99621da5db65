"""Port weights between Keras and PyTorch; layers have the same names in both."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np
import torch
from torch import nn

from hierarchy.backends import UNREADABLE
from hierarchy.errors import InputError, first_line
from hierarchy.fileio import check_archive
from pt_files.vgg import VGG, Parallel

if TYPE_CHECKING:
    import keras

NORM: Final = ("weight", "bias", "running_mean", "running_var")  # in the order of Keras


def from_keras(source: "keras.Model", target: VGG | Parallel) -> None:
    """Copy the weights of a Keras net into a PyTorch net of the same layers."""
    for name, layer in _layers(target).items():
        _fill(layer, source.get_layer(name).get_weights())


def from_archive(path: Path, target: VGG | Parallel) -> None:
    """Copy the weights of a .keras file into a PyTorch net of the same layers, without importing Keras.

    Raises:
        InputError: the file is damaged, or its layers are others.
    """
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            stored = h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r")
        parts = [group["vars"] for group in stored["layers"].values()]
        layers, sizes = _layers(target), [part[key].size for part in parts for key in part]
        if sum(sizes) != sum(tensor.numel() for layer in layers.values() for tensor in _tensors(layer)):
            raise ValueError("another number of weights than the run's recipe")
        values = {part.attrs["name"]: [part[key][()] for key in sorted(part)] for part in parts if len(part)}
        if layers.keys() != values.keys():
            raise ValueError("other layers than the run's recipe")
        for name, layer in layers.items():
            _fill(layer, values[name])
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be ported ({first_line(error)})") from None


def to_keras(source: VGG | Parallel, target: "keras.Model") -> None:
    """Copy the weights of a PyTorch net into a Keras net of the same layers."""
    for name, layer in _layers(source).items():
        values = [_back(tensor.detach()).numpy() for tensor in _tensors(layer)]
        target.get_layer(name).set_weights(values)


def _fill(layer: nn.Module, values: Sequence[np.ndarray]) -> None:
    with torch.no_grad():
        for tensor, value in zip(_tensors(layer), values, strict=True):
            tensor.copy_(_turned(torch.from_numpy(value.astype(np.float32))))


def _layers(net: VGG | Parallel) -> dict[str, nn.Module]:
    """Layers with weights, by name."""
    bodies: Any = [("", net)] if isinstance(net, VGG) else net.body.named_children()
    parts: list[tuple[str, nn.Module]] = [("logits", net.logits)]
    for before, body in bodies:
        inside = [*body.body.named_children(), *body.head.named_children(), ("blur", body.blur)]
        parts += [(f"{before}{name}", layer) for name, layer in inside if layer is not None]
    return {name: layer for name, layer in parts if next(layer.parameters(), None) is not None}


def _tensors(layer: nn.Module) -> list[torch.Tensor]:
    names = NORM if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) else ("weight", "bias")
    return [getattr(layer, name) for name in names if getattr(layer, name) is not None]


def _turned(value: torch.Tensor) -> torch.Tensor:
    """Kernels from Keras' [height, width, in, out] or [in, out] to [out, in, height, width] or [out, in]."""
    return value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T if value.ndim == 2 else value


def _back(value: torch.Tensor) -> torch.Tensor:
    return value.permute(2, 3, 1, 0) if value.ndim == 4 else value.T if value.ndim == 2 else value
