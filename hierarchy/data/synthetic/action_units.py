"""Action units of each expression: the tables behind the drawn faces, by FER-2013's names.

Source: the Facial Action Coding System, FACS (Ekman, Friesen and Hager, manual and guide, 2002): its units
and its prototypes of the basic expressions. The strengths and the chances of optional units are our choice,
so that the drawings differ and people can still name them.
"""

from enum import IntEnum
from typing import Final

import numpy as np


class Unit(IntEnum):
    """Action units, by their number in the Facial Action Coding System."""

    INNER_BROW_RAISER = 1
    OUTER_BROW_RAISER = 2
    BROW_LOWERER = 4
    UPPER_LID_RAISER = 5
    CHEEK_RAISER = 6
    LID_TIGHTENER = 7
    NOSE_WRINKLER = 9
    UPPER_LIP_RAISER = 10
    LIP_CORNER_PULLER = 12
    LIP_CORNER_DEPRESSOR = 15
    CHIN_RAISER = 17
    LIP_STRETCHER = 20
    LIP_TIGHTENER = 23
    LIPS_PART = 25
    JAW_DROP = 26
    EYE_CLOSURE = 43  # in part: drooping lids
    EYES_DOWN = 64


Actions = dict[int, float]  # activation of each unit: 0 at rest, 1 at most

STRENGTHS: Final[dict[str, Actions]] = {  # by the units' numbers, as prototypes are written
    "angry": {4: 1.0, 5: 0.5, 7: 0.8, 23: 1.0},
    "disgust": {7: 0.6, 9: 1.0, 10: 1.0, 17: 0.5},
    "fear": {1: 1.0, 2: 0.4, 4: 0.8, 5: 1.0, 20: 1.0, 25: 1.0, 26: 0.4},
    "happy": {6: 0.9, 12: 1.0},
    "sad": {1: 1.0, 4: 0.7, 15: 1.0, 17: 0.5, 43: 0.6},
    "surprise": {1: 1.0, 2: 1.0, 5: 0.9, 25: 1.0, 26: 1.0},
    "neutral": {},
}
SOMETIMES: Final[dict[str, Actions]] = {  # the chance that a unit is added, then at full strength
    "angry": {17: 0.4, 25: 0.4},
    "disgust": {4: 0.3, 25: 0.5},
    "happy": {25: 0.7, 26: 0.15},
    "sad": {64: 0.3},
}
REGIONS: Final[dict[int, str]] = {  # where units are seen, by the parts of `inference.explanation`
    **dict.fromkeys((1, 2, 4), "brows"),
    **dict.fromkeys((5, 7, 43, 64), "eyes"),
    6: "cheeks",
    9: "nose",
    **dict.fromkeys((10, 12, 15, 17, 20, 23, 25, 26), "mouth"),
}
MIN_SHARE: Final = 0.6  # of its strength, at which a unit of the expression acts at least
MAX_NOISE: Final = 0.1  # at which the other units act at most


def actions(name: str, rng: np.random.Generator) -> Actions:
    """Random activations of all units in a face of one of the expressions in STRENGTHS."""
    act: Actions = dict(zip(Unit, rng.uniform(0, MAX_NOISE, len(Unit)).tolist(), strict=True))
    act |= {unit: strength * rng.uniform(MIN_SHARE, 1) for unit, strength in STRENGTHS[name].items()}
    added = [unit for unit, chance in SOMETIMES.get(name, {}).items() if rng.random() < chance]
    return act | {unit: rng.uniform(MIN_SHARE, 1) for unit in added}


def expected(name: str) -> np.ndarray:
    """Mean activation of each unit in faces of one of the expressions in STRENGTHS: float64[units]."""
    rest, full = MAX_NOISE / 2, (MIN_SHARE + 1) / 2
    act = dict.fromkeys(Unit, rest) | {unit: strength * full for unit, strength in STRENGTHS[name].items()}
    act |= {unit: chance * full + (1 - chance) * rest for unit, chance in SOMETIMES.get(name, {}).items()}
    return np.array([act[unit] for unit in Unit])
