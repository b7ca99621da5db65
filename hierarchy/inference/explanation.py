"""Which parts of a face a prediction rests on: the occlusion map summed over brows, eyes, nose, and so on.

The parts are where a detector's landmarks are in the crop, else at the places of FER-2013's registered faces.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from hierarchy.data.images import SIDE
from hierarchy.errors import InputError
from hierarchy.inference import occlusion
from hierarchy.inference.predictor import FacePrediction, Predictor
from hierarchy.taxonomy import ROUTER
from hierarchy.vision.align import LANDMARKS
from hierarchy.vision.labels import percent

NAMED: Final = 0.1  # least share of a part that words mention
MOST: Final = 3  # parts that they mention
# left, top, right, bottom of the windows of each part: across in distances of the eyes from the middle of the
# face, down in distances of eyes and mouth from the eyes
PARTS: Final[Mapping[str, tuple[tuple[float, float, float, float], ...]]] = {
    "brows": ((-0.95, -0.6, 0.95, -0.18),),
    "eyes": ((-0.95, -0.18, 0.95, 0.2),),
    "nose": ((-0.33, 0.2, 0.33, 0.75),),
    "cheeks": ((-0.95, 0.2, -0.33, 0.75), (0.33, 0.2, 0.95, 0.75)),
    "mouth": ((-0.6, 0.75, 0.6, 1.4),),
}


@dataclass(frozen=True)
class Explanation:
    """What the probability of a predicted class rests on.

    Attributes:
        node, name: the deciding net, and its class.
        parts: by part, its share of all drops of the probability where a patch covers the face; sums to at
            most one, the rest is elsewhere. All zero where covering lowers it nowhere.
        landmarks: whether the parts stand at detected landmarks, not at FER-2013's usual places.
        heat: float64[48,48], the drops, see `occlusion.occlusion`.
    """

    node: str
    name: str
    parts: dict[str, float]
    landmarks: bool
    heat: np.ndarray = field(compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The attributes but the last, as JSON holds them."""
        return {"node": self.node, "class": self.name, "parts": self.parts, "landmarks": self.landmarks}

    def __str__(self) -> str:
        return f"{self.name} by {words(self.parts)}{'' if self.landmarks else ' (at their usual places)'}"


def words(parts: Mapping[str, float]) -> str:
    """The parts of the largest shares, as "mouth 61 %, brows 22 %"."""
    largest = sorted(parts.items(), key=lambda part: -part[1])[:MOST]
    named = [f"{name} {percent(share)}" for name, share in largest if share >= NAMED]
    return ", ".join(named) or "no part"


def explained(results: Iterable[FacePrediction | InputError], model: Predictor) -> Iterator[Any]:
    """The results, each face with its explanation by the net that decided."""
    for result in results:
        yield explain(result, model) if isinstance(result, FacePrediction) else result


def explain(face: FacePrediction, model: Predictor) -> FacePrediction:
    """A prediction with its explanation; as it is where there is no face, or one was explained already."""
    if face.branch is None or face.crop is None or face.explanation:
        return face
    # the specialist decides the label; the router decides the branch, and so a branch's only leaf
    special = face.label is not None and face.branch in model.tree_.nodes
    node, name = (face.branch, face.label) if special else (ROUTER, face.branch)
    heat = occlusion.occlusion(model, node, model.tree_.classes_of(node).index(name or ""), face.crop)
    parts = shares(heat, LANDMARKS if face.landmarks is None else face.landmarks)
    why = Explanation(node, str(name), parts, face.landmarks is not None, heat)
    return replace(face, explanation=why)


def shares(heat: np.ndarray, landmarks: np.ndarray = LANDMARKS) -> dict[str, float]:
    """Share of each part in the sum of a heat map float[48,48] where it is positive."""
    drops = np.maximum(heat, 0)
    whole = max(float(drops.sum()), np.finfo(float).tiny)
    return {name: float(drops[mask(name, landmarks)].sum()) / whole for name in PARTS}


def mask(part: str, landmarks: np.ndarray = LANDMARKS) -> np.ndarray:
    """The pixels of a part, bool[48,48]; no pixel is of two parts.

    Args:
        part: one of PARTS.
        landmarks: float[5,2], x and y in the crop, as `align.LANDMARKS`.
    """
    left, right, _, *corners = landmarks
    eyes, mouth = (left + right) / 2, np.mean(corners, axis=0)
    scale = np.maximum([right[0] - left[0], mouth[1] - eyes[1]], 1.0)
    inside = np.zeros((SIDE, SIDE), bool)
    for window in PARTS[part]:
        ends = np.reshape(window, (2, 2)) * scale + eyes
        (x, y), (right_end, bottom) = np.clip(ends.round(), 0, SIDE).astype(int)
        inside[y:bottom, x:right_end] = True
    return inside
