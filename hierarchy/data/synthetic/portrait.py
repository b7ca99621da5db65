"""Features of a drawn face as strokes, from a person's measures and the activations of action units.

Coordinates: the head is about 2 units wide, its centre at (0, 0), x to the right and y downwards. Tones are
grey levels. A feature is a function (who, act) -> strokes; `who` holds values drawn from sketch.RANGES.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from hierarchy.data.synthetic.action_units import Actions, Unit

Person = Mapping[str, float]

SIDES: Final = np.array([[-1.0], [1.0]])  # x = SIDES * (...) draws the left and the right one
SPAN: Final = np.linspace(-1, 1, 17)
DIP: Final = SPAN**2  # a parabola, 0 in the middle and 1 at both ends
SINE: Final = np.sin(np.linspace(0, 2 * np.pi, 33))
COSINE: Final = np.cos(np.linspace(0, 2 * np.pi, 33))


class Stroke(NamedTuple):
    """Polygons (width 0) or open lines through x and y, float64[N] or [M, N] each; all in head units."""

    x: np.ndarray
    y: np.ndarray
    tone: float
    width: float = 0.0


def skin(who: Person, change: float = 0.0) -> float:
    """The skin's grey level, made darker (below 0) or lighter by a fraction."""
    return who["skin"] * (1 + change)


def through(first: float, middle: float, last: float) -> np.ndarray:
    """Values float64[17] of the parabola through three knots at -1, 0 and 1."""
    return middle + SPAN * (last - first) / 2 + DIP * ((first + last) / 2 - middle)


def band(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """A closed outline: along one edge and back along the other."""
    return np.concatenate([upper, lower[..., ::-1]], axis=-1)


def oval(power: np.ndarray | float) -> np.ndarray:
    """Half widths, float64[33], of an outline: an ellipse at power 1, squarer below 1, more pointed above."""
    return np.sign(SINE) * np.abs(SINE) ** power


def frown(act: Actions) -> float:
    """Lowering of the brows: together with the inner raiser, the lowerer only draws them together."""
    return act[Unit.BROW_LOWERER] * (1 - act[Unit.INNER_BROW_RAISER])


def head(who: Person, act: Actions) -> list[Stroke]:
    """Hair behind, neck, ears and the head, whose chin drops with the jaw."""
    below = COSINE > 0
    length = np.where(below, 1.5 if who["long_hair"] < 0.4 else 0.3, 1.3)
    behind = [Stroke(1.1 * oval(0.7), COSINE * length, who["hair"])] if who["bald"] > 0.1 else []
    chin = np.where(below, who["chin"] + 0.12 * act[Unit.JAW_DROP], 1.22)
    edge = who["width"] * oval(np.where(below, who["jaw"], 0.9))
    return [
        *behind,
        Stroke(np.array([-0.55, -0.5, 0.5, 0.55]), np.array([2.0, 0.6, 0.6, 2.0]), skin(who, -0.3)),
        Stroke(SIDES * who["width"] + 0.12 * SINE, 0.02 + 0.22 * COSINE, skin(who, -0.12)),
        Stroke(edge, COSINE * chin, skin(who)),
    ]


def beard(who: Person, act: Actions) -> list[Stroke]:
    """A beard, for some people."""
    if who["beard"] > 0.2 or who["long_hair"] < 0.4:
        return []
    drop = 0.12 * act[Unit.JAW_DROP]
    outer = 0.3 + (who["chin"] + drop - 0.3) * np.sqrt(1 - DIP)
    tone = 0.45 * who["hair"] + 0.55 * skin(who, -0.2)
    return [Stroke(who["width"] * band(SPAN, SPAN), band(0.38 + drop + 0.08 * DIP, outer), tone)]


def shading(who: Person, act: Actions) -> list[Stroke]:
    """Eye sockets, cheeks and one side of the nose."""
    cheek = 0.24 - 0.1 * act[Unit.CHEEK_RAISER]
    side = np.array([0.0, 0.08, who["nose_width"], 0.0])
    return [
        Stroke(SIDES * who["eye_gap"] + 0.3 * SINE, -0.16 + 0.2 * COSINE, skin(who, -0.09)),
        Stroke(SIDES * 0.5 + 0.2 * SINE, cheek + 0.14 * COSINE, skin(who, 0.08)),
        Stroke(side, np.array([-0.2, -0.15, who["nose_y"], who["nose_y"]]), skin(who, -0.1)),
    ]


def folds(who: Person, act: Actions) -> list[Stroke]:
    """Creases of active units, if not too faint: on forehead and nose, between brows, beside the mouth."""
    inner, both = act[Unit.INNER_BROW_RAISER], min(act[Unit.INNER_BROW_RAISER], act[Unit.OUTER_BROW_RAISER])
    pull = max(0.25 * act[Unit.LIP_CORNER_PULLER], 0.4 * act[Unit.UPPER_LIP_RAISER])
    cheek = through(who["nose_width"] + 0.08, who["nose_width"] + 0.2, who["mouth_width"] + 0.2)
    bridge, wrinkle = SIDES * through(0.02, 0.08, 0.17), 0.45 * act[Unit.NOSE_WRINKLER]
    creases = [  # x, y, and how much darker than the skin
        (0.45 * SPAN, -0.72 + 0.04 * DIP, 0.3 * inner),
        (0.4 * SPAN, -0.82 + 0.04 * DIP, 0.3 * both),
        (SIDES * through(0.07, 0.06, 0.06), through(-0.52, -0.4, -0.3), 0.5 * frown(act)),
        (bridge, through(-0.16, -0.13, -0.06), wrinkle),
        (bridge, through(-0.04, -0.01, 0.06), wrinkle),
        (SIDES * cheek, through(0.22, 0.34, who["mouth_y"] - 0.08), pull),
    ]
    return [Stroke(x, y, skin(who, -depth), 0.04) for x, y, depth in creases if depth > 0.08]


def hair(who: Person, act: Actions) -> list[Stroke]:
    """Hair from the hairline up."""
    if who["bald"] <= 0.1:
        return []
    hairline = who["hairline"] + 0.62 * np.abs(SPAN - who["parting"] * (1 - DIP)) ** 2.2
    crown = -0.3 - 1.05 * np.sqrt(1 - DIP)
    return [Stroke(band(1.06 * SPAN, 1.1 * SPAN), band(hairline, crown), who["hair"])]


def nose(who: Person, act: Actions) -> list[Stroke]:
    """Tip and nostrils, lifted when the nose wrinkles or the upper lip rises."""
    lift = 0.07 * act[Unit.NOSE_WRINKLER] + 0.03 * act[Unit.UPPER_LIP_RAISER]
    wide, y = who["nose_width"] * (1 + 1.5 * lift), who["nose_y"] - lift
    wing = SIDES * wide * through(0.9, 1.15, 0.95)
    return [
        Stroke(wide * SPAN, y + 0.04 - 0.06 * DIP, skin(who, -0.35), 0.035),
        Stroke(wing, through(y - 0.1, y - 0.04, y), skin(who, -0.3), 0.03),
        Stroke(SIDES * wide * np.array([0.35, 0.65]), np.array([y + 0.02, y]), skin(who, -0.65), 0.045),
    ]


def brows(who: Person, act: Actions) -> list[Stroke]:
    """Two tapered strokes: raised inside or outside, drawn together, lowered."""
    inner, outer, wrinkle = (
        act[unit] for unit in (Unit.INNER_BROW_RAISER, Unit.OUTER_BROW_RAISER, Unit.NOSE_WRINKLER)
    )
    together = act[Unit.BROW_LOWERER]
    y = who["brow_y"] + through(
        0.2 * frown(act) + 0.11 * wrinkle - 0.18 * inner,
        0.1 * frown(act) + 0.09 * wrinkle - 0.06 * inner - 0.16 * outer - 0.06,
        0.05 * together - 0.13 * outer + 0.03,
    )
    thick = who["brow_width"] * (0.35 - 0.15 * SPAN)
    x = SIDES * (who["eye_gap"] + through(-0.25 - 0.08 * together, 0.03, 0.3))
    return [Stroke(band(x, x), band(y - thick, y + thick), min(0.75 * who["hair"] + 10, skin(who, -0.4)))]


def glasses(who: Person, act: Actions) -> list[Stroke]:
    """Round glasses, for some people."""
    if who["glasses"] > 0.14:
        return []
    tone, arm = 0.5 * who["hair"], np.array([who["eye_gap"] + 0.3, 1.0])
    return [
        Stroke(SIDES * who["eye_gap"] + 0.31 * SINE, -0.12 + 0.26 * COSINE, tone, 0.045),
        Stroke(SIDES * arm, np.array([-0.16, -0.12]), tone, 0.045),
        Stroke(0.12 * SPAN, -0.16 + 0.03 * DIP, tone, 0.045),
    ]


def eyes(who: Person, act: Actions) -> list[Stroke]:
    """Two almond shapes between the lids, each with an iris and a glint."""
    y, wide, middle = -0.14, who["eye_width"] * SPAN, SIDES * who["eye_gap"]
    upper, lower = lids(act)
    across = SIDES * who["gaze"] + 0.115 * SINE  # of the iris, outwards from the middle of the eye
    down = 0.05 * act[Unit.EYES_DOWN] - 0.005 + 0.115 * COSINE
    iris = np.clip(down, np.interp(across, wide, upper), np.interp(across, wide, lower))
    glint = middle + who["gaze"] + np.array([-0.06, 0.0, 0.0, -0.06])
    x = middle + SIDES * wide
    return [
        Stroke(band(x, x), y + band(upper, lower), min(240, skin(who, 0.3) + 15)),
        Stroke(middle + SIDES * across, y + iris, who["iris"]),
        Stroke(glint, y + np.array([-0.07, -0.07, -0.01, -0.01]), 235),
        Stroke(x, y + upper, skin(who, -0.75), 0.05),
        Stroke(x, y + lower, skin(who, -0.35), 0.025),
        Stroke(x, y + upper - 0.07 + 0.02 * DIP, skin(who, -0.28), 0.025),
    ]


def lids(act: Actions) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the upper and lower lid from the nose outwards, 0 at the eye's middle: float64[17] each."""
    tight, wide = act[Unit.LID_TIGHTENER], act[Unit.UPPER_LID_RAISER]
    up = 0.115 + 0.085 * wide * (1 - 0.8 * tight) - 0.03 * tight - 0.09 * act[Unit.EYE_CLOSURE]
    low = 0.085 + 0.01 * wide - 0.045 * tight
    low -= 0.075 * act[Unit.CHEEK_RAISER] + 0.03 * act[Unit.NOSE_WRINKLER]
    oblique = act[Unit.INNER_BROW_RAISER] * act[Unit.BROW_LOWERER]
    slant = (0.05 * oblique - 0.03 * frown(act)) * SPAN
    dome = (1 - DIP) ** 0.7
    return slant - up * dome, slant + low * dome


def mouth(who: Person, act: Actions) -> list[Stroke]:
    """Lips, the crease below them, and either the seam between them or an opening with teeth."""
    part, raiser = act[Unit.LIPS_PART], act[Unit.UPPER_LIP_RAISER]
    x, y = seam(who, act)
    above, below = opening(act)
    thin = 1 - 0.55 * act[Unit.LIP_TIGHTENER] - 0.3 * act[Unit.LIP_CORNER_PULLER]
    lips = who["lips"] * thin * (1 - DIP) ** 0.6
    bow = 1 - 0.25 * np.exp(-44 * DIP) + 0.5 * raiser
    bottom = y + below + 1.25 * lips
    chin = bottom[len(SPAN) // 2] + 0.09 - 0.03 * DIP
    closed = [Stroke(x, y, skin(who, -0.72), 0.045)]
    return [
        Stroke(band(x, x), band(y - above - lips * bow, bottom), skin(who, -0.3 - 0.15 * part)),
        *(inside(act, x, y - above, y + below) if part > 0.3 else closed),
        Stroke(0.16 * SPAN, chin, skin(who, -0.15 - 0.2 * act[Unit.CHIN_RAISER]), 0.05),
    ]


def seam(who: Person, act: Actions) -> tuple[np.ndarray, np.ndarray]:
    """The line between the lips, x and y: corners pulled up, depressed, stretched, or drawn in."""
    smile, stretch = act[Unit.LIP_CORNER_PULLER], act[Unit.LIP_STRETCHER]
    chin, raiser = act[Unit.CHIN_RAISER], act[Unit.UPPER_LIP_RAISER]
    rounded = act[Unit.JAW_DROP] * (1 - stretch) * (1 - smile)
    wide = who["mouth_width"] + 0.13 * max(smile, stretch) - 0.14 * rounded
    down = 0.16 * act[Unit.LIP_CORNER_DEPRESSOR] + 0.08 * chin + 0.09 * stretch + 0.05 * raiser - 0.17 * smile
    return wide * SPAN, who["mouth_y"] + 0.05 * smile - 0.07 * chin - 0.04 * raiser + down * DIP


def opening(act: Actions) -> tuple[np.ndarray, np.ndarray]:
    """Height of the parted mouth above and below the seam; tight or stretched lips make it square."""
    part, jaw, smile = act[Unit.LIPS_PART], act[Unit.JAW_DROP], act[Unit.LIP_CORNER_PULLER]
    tight, stretch = act[Unit.LIP_TIGHTENER], act[Unit.LIP_STRETCHER]
    dome = part * (1 - DIP) ** (1 - 0.35 * part - 0.4 * part * max(tight, stretch))
    above = 0.03 + 0.05 * max(tight, act[Unit.UPPER_LIP_RAISER], 0.6 * stretch) + 0.08 * jaw * (1 - smile)
    return dome * above, dome * (0.1 + 0.07 * max(smile, stretch) + 0.26 * jaw)


def inside(act: Actions, x: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> list[Stroke]:
    """The dark mouth, the upper teeth, and the lower teeth where the lips are tight or stretched."""
    tight, stretch = act[Unit.LIP_TIGHTENER], act[Unit.LIP_STRETCHER]
    bare = max(act[Unit.LIP_CORNER_PULLER], act[Unit.UPPER_LIP_RAISER], tight, 0.7 * stretch, 0.3)
    height = np.minimum(0.12 * bare, 0.7 * (bottom - top))
    gap = 0.2 * height  # between teeth and lip
    lower = [Stroke(band(x, x), band(bottom - 0.5 * height, bottom - gap), 190)]
    return [
        Stroke(band(x, x), band(top, bottom), 22),
        Stroke(band(x, x), band(top + gap, top + gap + height), 225),
        *(lower if max(tight, stretch) > 0.3 else []),
    ]


SOFT: Final = (head, beard, shading)  # blurred together, before the rest
CRISP: Final = (folds, hair, nose, eyes, brows, mouth, glasses)
