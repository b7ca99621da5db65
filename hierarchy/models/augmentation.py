"""Augmentation of training faces: one affine resampling, brightness and contrast, random erasing.

`Augmentation` is a Keras layer from uint8 to uint8, so it runs on every backend inside the compiled training
step, and the preprocessing of training is that of inference. Flip, rotation, scale and shift share one
interpolation, because each interpolation blurs a 48-pixel face.
"""

import math

import keras
from keras import ops, random

from hierarchy.config.schema import ERASED, AugmentConfig
from hierarchy.data.dataset import SIDE


class Augmentation(keras.layers.Layer):
    """uint8[N,48,48] -> uint8[N,48,48]: random changes in training, identity otherwise.

    Args:
        strengths: of each step.
        seed: of the layer's random stream.
    """

    def __init__(self, strengths: AugmentConfig, seed: int = 0) -> None:
        super().__init__(name="augment", dtype="float32", trainable=False)
        self.strengths = strengths
        self.seed_generator = random.SeedGenerator(seed)

    def call(self, pixels: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Augment a batch."""
        if not training:
            return pixels
        image = ops.cast(pixels, "float32")
        changed = self._erased(self._lit(self._moved(image)))
        if self.strengths.probability < 1:
            changed = ops.where(self._uniform(image, 0.0, 1.0) < self.strengths.probability, changed, image)
        return ops.cast(ops.round(ops.clip(changed, 0.0, 255.0)), "uint8")

    def _uniform(self, image: keras.KerasTensor, low: float, high: float) -> keras.KerasTensor:
        """One number per face, float32[N,1,1]."""
        return random.uniform((ops.shape(image)[0], 1, 1), low, high, seed=self.seed_generator)

    def _moved(self, image: keras.KerasTensor) -> keras.KerasTensor:
        """Flip, rotation, scale and shift: computes the source position of each output pixel."""
        s = self.strengths
        angle = self._uniform(image, -s.rotation, s.rotation) * (math.pi / 180)
        scale = 1.0 / self._uniform(image, 1.0 - s.scale, 1.0 + s.scale)
        mirror = ops.where(self._uniform(image, 0.0, 1.0) < 0.5, -1.0, 1.0) if s.flip else 1.0
        down = self._uniform(image, -s.shift, s.shift) * SIDE
        right = self._uniform(image, -s.shift, s.shift) * SIDE
        centre = (SIDE - 1) / 2
        grid = ops.arange(SIDE, dtype="float32") - centre
        y, x = grid[None, :, None], grid[None, None, :] * mirror
        rows = scale * (ops.cos(angle) * y + ops.sin(angle) * x) + centre + down
        columns = scale * (ops.cos(angle) * x - ops.sin(angle) * y) + centre + right
        return _sampled(image, rows, columns)

    def _lit(self, image: keras.KerasTensor) -> keras.KerasTensor:
        s = self.strengths
        if s.contrast:
            mean = ops.mean(image, axis=(1, 2), keepdims=True)
            image = mean + (image - mean) * self._uniform(image, 1.0 - s.contrast, 1.0 + s.contrast)
        if s.brightness:
            image = image + 255.0 * self._uniform(image, -s.brightness, s.brightness)
        return image

    def _erased(self, image: keras.KerasTensor) -> keras.KerasTensor:
        """Fill a random rectangle of some faces with a random grey (Zhong et al., "Random erasing", 2020)."""
        if not self.strengths.erasing:
            return image
        area = self._uniform(image, *ERASED) * SIDE**2
        aspect = ops.exp(self._uniform(image, -1.0, 1.0))  # about 1:3 to 3:1
        height, width = ops.sqrt(area * aspect), ops.sqrt(area / aspect)
        top = self._uniform(image, 0.0, 1.0) * (SIDE - height)
        left = self._uniform(image, 0.0, 1.0) * (SIDE - width)
        grid = ops.arange(SIDE, dtype="float32")
        y, x = grid[None, :, None], grid[None, None, :]
        inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
        chosen = self._uniform(image, 0.0, 1.0) < self.strengths.erasing
        return ops.where(inside & chosen, self._uniform(image, 0.0, 255.0), image)


def _sampled(
    image: keras.KerasTensor, rows: keras.KerasTensor, columns: keras.KerasTensor
) -> keras.KerasTensor:
    """Bilinear interpolation of float32[N,48,48] at positions [N,48,48]; the border is repeated outside."""
    rows, columns = ops.clip(rows, 0.0, SIDE - 1.0), ops.clip(columns, 0.0, SIDE - 1.0)
    top, left = ops.floor(rows), ops.floor(columns)
    lower, right = rows - top, columns - left
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    bottom, beside = ops.minimum(top + 1, SIDE - 1), ops.minimum(left + 1, SIDE - 1)
    flat = ops.reshape(image, (-1,))
    first = ops.reshape(ops.arange(ops.shape(image)[0], dtype="int32") * SIDE**2, (-1, 1, 1))

    def at(row: keras.KerasTensor, column: keras.KerasTensor) -> keras.KerasTensor:
        return ops.take(flat, first + row * SIDE + column)

    above = at(top, left) * (1.0 - right) + at(top, beside) * right
    below = at(bottom, left) * (1.0 - right) + at(bottom, beside) * right
    return above * (1.0 - lower) + below * lower
