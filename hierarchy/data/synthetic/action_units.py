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


Actions = dict[Unit, float]  # activation of each unit: 0 at rest, 1 at most

STRENGTHS: Final[dict[str, Actions]] = {
    "angry": {
        Unit.BROW_LOWERER: 1.0,
        Unit.UPPER_LID_RAISER: 0.5,
        Unit.LID_TIGHTENER: 0.8,
        Unit.LIP_TIGHTENER: 1.0,
    },
    "disgust": {
        Unit.LID_TIGHTENER: 0.6,
        Unit.NOSE_WRINKLER: 1.0,
        Unit.UPPER_LIP_RAISER: 1.0,
        Unit.CHIN_RAISER: 0.5,
    },
    "fear": {
        Unit.INNER_BROW_RAISER: 1.0,
        Unit.OUTER_BROW_RAISER: 0.4,
        Unit.BROW_LOWERER: 0.8,
        Unit.UPPER_LID_RAISER: 1.0,
        Unit.LIP_STRETCHER: 1.0,
        Unit.LIPS_PART: 1.0,
        Unit.JAW_DROP: 0.4,
    },
    "happy": {Unit.CHEEK_RAISER: 0.9, Unit.LIP_CORNER_PULLER: 1.0},
    "sad": {
        Unit.INNER_BROW_RAISER: 1.0,
        Unit.BROW_LOWERER: 0.7,
        Unit.LIP_CORNER_DEPRESSOR: 1.0,
        Unit.CHIN_RAISER: 0.5,
        Unit.EYE_CLOSURE: 0.6,
    },
    "surprise": {
        Unit.INNER_BROW_RAISER: 1.0,
        Unit.OUTER_BROW_RAISER: 1.0,
        Unit.UPPER_LID_RAISER: 0.9,
        Unit.LIPS_PART: 1.0,
        Unit.JAW_DROP: 1.0,
    },
    "neutral": {},
}
SOMETIMES: Final[dict[str, Actions]] = {  # the chance that a unit is added, then at full strength
    "angry": {Unit.CHIN_RAISER: 0.4, Unit.LIPS_PART: 0.4},
    "disgust": {Unit.BROW_LOWERER: 0.3, Unit.LIPS_PART: 0.5},
    "fear": {},
    "happy": {Unit.LIPS_PART: 0.7, Unit.JAW_DROP: 0.15},
    "sad": {Unit.EYES_DOWN: 0.3},
    "surprise": {},
    "neutral": {},
}
MIN_SHARE: Final = 0.6  # of its strength, at which a unit of the expression acts at least
MAX_NOISE: Final = 0.1  # at which the other units act at most


def actions(name: str, rng: np.random.Generator) -> Actions:
    """Random activations of all units in a face of one of the expressions in STRENGTHS."""
    act = dict(zip(Unit, rng.uniform(0, MAX_NOISE, len(Unit)).tolist(), strict=True))
    act |= {unit: strength * rng.uniform(MIN_SHARE, 1) for unit, strength in STRENGTHS[name].items()}
    added = [unit for unit, chance in SOMETIMES[name].items() if rng.random() < chance]
    return act | {unit: rng.uniform(MIN_SHARE, 1) for unit in added}
