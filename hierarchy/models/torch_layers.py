"""Convolution, batch normalisation and pooling of Keras on PyTorch's kernels, for the torch backend.

Keras 3 computes normalisation as a dozen elementwise passes, and on PyTorch copies images to channels-first
and back around every convolution and pooling. These layers permute views instead of copying. Names, weights
and results are the same; nets are stored with stock Keras layers.
"""

from typing import Any, Final

import keras
import torch
from keras import layers, ops
from torch.nn import functional


class Conv2D(layers.Conv2D):
    """A convolution of stride one: [N,H,W,C] -> [N,H,W,filters]."""

    def convolution_op(self, inputs: torch.Tensor, kernel: Any) -> torch.Tensor:
        """The convolution without bias."""
        weight = ops.convert_to_tensor(kernel).permute(3, 2, 0, 1)
        return _last(functional.conv2d(_first(inputs), weight, padding=self.padding))


class BatchNormalization(layers.BatchNormalization):
    """Batch normalisation; statistics are float32 for half-precision input too."""

    def call(self, inputs: torch.Tensor, training: bool | None = None, mask: None = None) -> torch.Tensor:
        """[N,H,W,C] or [N,C], the same out."""
        flat = inputs.ndim == 2
        out = functional.batch_norm(
            inputs if flat else _first(inputs),
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value,
            self.beta.value,
            training=bool(training and self.trainable),  # a frozen layer keeps its statistics
            momentum=1 - self.momentum,
            eps=self.epsilon,
        )
        return out if flat else _last(out)


class MaxPooling2D(layers.MaxPooling2D):
    """A max pooling: [N,H,W,C] -> [N,H/2,W/2,C]."""

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        """Pool a batch."""
        return _last(functional.max_pool2d(_first(inputs), self.pool_size))


FASTER: Final[dict[type, tuple[Any, dict[str, Any]]]] = {  # by Keras' layer; with the only settings supported
    layers.Conv2D: (Conv2D, {"strides": (1, 1), "dilation_rate": (1, 1), "groups": 1}),
    layers.MaxPooling2D: (MaxPooling2D, {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid"}),
    layers.BatchNormalization: (BatchNormalization, {"scale": True, "center": True}),
}


def of(net: keras.Model) -> keras.Model:
    """A net with its stock layers replaced by these, and the same weights."""

    def made(layer: Any) -> Any:
        kind, supported = FASTER.get(type(layer), (type(layer), {}))
        settings = layer.get_config()
        return (kind if supported.items() <= settings.items() else type(layer)).from_config(settings)

    faster = keras.models.clone_model(net, clone_function=made)
    faster.set_weights(net.get_weights())
    return faster


def _first(image: torch.Tensor) -> Any:
    return image.permute(0, 3, 1, 2)


def _last(image: torch.Tensor) -> Any:
    return image.permute(0, 2, 3, 1)
