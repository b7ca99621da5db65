"""Augmentation of training faces in PyTorch: the steps of hierarchy/models/augmentation.py."""

import math

import torch
from torch.nn import functional

from hierarchy.config.schema import ERASED, AugmentConfig
from hierarchy.data.dataset import SIDE


def augmented(pixels: torch.Tensor, strengths: AugmentConfig) -> torch.Tensor:
    """Augment faces, uint8[N,48,48] -> uint8[N,48,48], with torch's global generator."""
    image = pixels.float()
    changed = _erased(_lit(_moved(image, strengths), strengths), strengths)
    if strengths.probability < 1:
        changed = torch.where(_uniform(image, 0, 1) < strengths.probability, changed, image)
    return changed.clamp(0, 255).round().to(torch.uint8)


def _uniform(image: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """One number per face, float32[N,1,1]."""
    return torch.empty(len(image), 1, 1, device=image.device).uniform_(low, high)


def _moved(image: torch.Tensor, s: AugmentConfig) -> torch.Tensor:
    """Flip, rotation, scale and shift in one resampling; the border is repeated outside."""
    angle = (_uniform(image, -s.rotation, s.rotation) * math.pi / 180).flatten()
    scale = 1 / _uniform(image, 1 - s.scale, 1 + s.scale).flatten()
    mirror = (
        torch.where(_uniform(image, 0, 1) < 0.5, -1.0, 1.0).flatten() if s.flip else torch.ones_like(scale)
    )
    # in coordinates from -1 to 1, a fraction of the side is doubled
    right, down = (2 * _uniform(image, -s.shift, s.shift).flatten() for _ in range(2))
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    rows = torch.stack([cosine * mirror, -sine, right, sine * mirror, cosine, down], dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(rows, [len(image), 1, SIDE, SIDE], align_corners=False)
    return functional.grid_sample(image[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


def _lit(image: torch.Tensor, s: AugmentConfig) -> torch.Tensor:
    if s.contrast:
        mean = image.mean(dim=(1, 2), keepdim=True)
        image = mean + (image - mean) * _uniform(image, 1 - s.contrast, 1 + s.contrast)
    if s.brightness:
        image = image + 255 * _uniform(image, -s.brightness, s.brightness)
    return image


def _erased(image: torch.Tensor, s: AugmentConfig) -> torch.Tensor:
    """Fill a random rectangle of some faces with a random grey."""
    if not s.erasing:
        return image
    area = _uniform(image, *ERASED) * SIDE**2
    aspect = _uniform(image, -1, 1).exp()
    height, width = (area * aspect).sqrt(), (area / aspect).sqrt()
    top, left = _uniform(image, 0, 1) * (SIDE - height), _uniform(image, 0, 1) * (SIDE - width)
    place = torch.arange(SIDE, device=image.device, dtype=torch.float32)
    y, x = place[None, :, None], place[None, None, :]
    inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    chosen = _uniform(image, 0, 1) < s.erasing
    return torch.where(inside & chosen, _uniform(image, 0, 255), image)
