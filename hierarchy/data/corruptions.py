"""FER-2013-C: fifteen common corruptions at five strengths, computed on demand.

D. Hendrycks and T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. The strengths were chosen for images of 224 pixels: a face is enlarged to that
size, corrupted, and reduced again. Noise would be averaged out; it is added at twice the face's size, which
gives about the strengths of the later benchmarks for small images.
"""

from types import ModuleType
from typing import Final

import cv2
import numpy as np

from hierarchy.data.dataset import SIDE
from hierarchy.errors import InputError, install

NOISES: Final = ("gaussian_noise", "shot_noise", "impulse_noise")
CORRUPTIONS: Final = (
    *NOISES,
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)
SEEDED: Final = ("impulse_noise", "glass_blur")  # take a seed instead of NumPy's global state
STRENGTHS: Final = (1, 2, 3, 4, 5)
LARGE: Final = 224
TWICE: Final = 2 * SIDE
# without its dependencies: it asks for another build of OpenCV than ours
INSTALL: Final = f"{install('robustness')} && pip install --no-deps imagecorruptions-imaug==1.1.5"


def library() -> ModuleType:
    """The imagecorruptions package.

    Raises:
        InputError: it is not installed.
    """
    try:
        import imagecorruptions
    except ImportError:
        raise InputError(f"corruptions need the package imagecorruptions: {INSTALL}") from None
    return imagecorruptions


def corrupted(pixels: np.ndarray, corruption: str, strength: int, seed: int) -> np.ndarray:
    """Randomly corrupted faces, uint8[N,48,48].

    Args:
        pixels: the faces, uint8[N,48,48].
        corruption: one of CORRUPTIONS.
        strength: one of STRENGTHS.
        seed: of the whole; a face's corruption depends only on it and on the face's index.

    Raises:
        InputError: unknown corruption or strength; the package is not installed.
    """
    if corruption not in CORRUPTIONS or strength not in STRENGTHS:
        expected = f"one of {', '.join(CORRUPTIONS)} at {STRENGTHS[0]} to {STRENGTHS[-1]}"
        raise InputError(f"corruption {corruption!r} at {strength}: expected {expected}")
    corrupt, state = library().corrupt, np.random.get_state()
    results = []
    try:  # the package uses NumPy's global generator
        for index, face in enumerate(pixels):
            number = int(np.random.default_rng([seed, index]).integers(2**32))
            np.random.seed(number)
            options = {"seed": number} if corruption in SEEDED else {}
            large = _resized(face, TWICE if corruption in NOISES else LARGE)
            colour = np.repeat(large[:, :, None], 3, axis=2)
            result = corrupt(colour, corruption_name=corruption, severity=strength, **options)
            results.append(_resized(result.mean(axis=2).round().astype(np.uint8), SIDE))
    finally:
        np.random.set_state(state)
    return np.stack(results)


def resized(pixels: np.ndarray) -> np.ndarray:
    """Faces uint8[N,48,48] enlarged and reduced as for a corruption, but not corrupted: uint8[N,48,48]."""
    return np.stack([_resized(_resized(face, LARGE), SIDE) for face in pixels])


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    method = cv2.INTER_CUBIC if side > len(picture) else cv2.INTER_AREA
    return cv2.resize(picture, (side, side), interpolation=method)
