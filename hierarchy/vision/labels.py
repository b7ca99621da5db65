"""Frames and labels on pictures and video frames: the text stands at its face, and covers no face.

Type is Pillow's own (Aileron), which every installation has; of names beyond ASCII, which it lacks,
matplotlib's DejaVu Sans where that is installed.
"""

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hierarchy.taxonomy import colour, ink

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

    from hierarchy.vision.draw import Note

INK, PAPER = "#1f2328", "#ffffff"
TRACK: Final = "#e4e7eb"  # ground of a bar
OF_FACE: Final = 0.16  # size of type as a part of the face's height, between `smallest` and twice that
SCALES: Final = (1.5, 1.25, 1.0, 0.8, 0.65)  # of the least type, the smallest for crowds
CROWD: Final = 200  # faces; for more, only the smallest type is tried
BARS: Final = 4.5  # of the size of type: longest bar on a video
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside


def font(size: float, text: str = "") -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """The typeface for a text, `size` pixels high."""
    return _typeface(round(size), text.isascii())


@functools.lru_cache(64)
def _typeface(size: int, plain: bool) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    found = None if plain else importlib.util.find_spec("matplotlib")
    file = Path(found.origin or "").parent / "mpl-data/fonts/ttf/DejaVuSans.ttf" if found else None
    return ImageFont.truetype(file, size) if file and file.is_file() else ImageFont.load_default(size)


def text_width(text: str, size: float) -> int:
    """Pixels that a text is wide."""
    return int(font(size, text).getlength(text)) + 1


def percent(share: float) -> str:
    """A probability as people read it."""
    return f"{100 * share:.0f} %"


class Places:
    """Free places of an image: within its bounds, on no face and on no label placed before.

    Args:
        bounds: of the image.
        faces: their boxes.
    """

    def __init__(self, bounds: Box, faces: Sequence[Box]) -> None:
        self.bounds = bounds
        self.taken = np.array(faces, int).reshape(-1, 4)

    def take(self, face: Box, width: int, height: int, beside: bool = False) -> tuple[int, int] | None:
        """Left and top of a free place at a face, above it if possible; it is taken now. None: all are taken.

        Args:
            face: a box.
            width: pixels.
            height: pixels.
            beside: prefer the places below and beside the face.
        """
        left, top, right, bottom = face
        middle = (left + right - width) // 2
        around = [(left, top - height), (right - width, top - height), (middle, top - height)]
        below = [(left, bottom), (right - width, bottom), (middle, bottom)]
        sides = [(right, top), (left - width, top), (right, bottom - height), (left - width, bottom - height)]
        places = np.array([*below, *sides, *around] if beside else [*around, *below, *sides])
        lowest, highest = self.bounds[:2], (self.bounds[2] - width, self.bounds[3] - height)
        free = (places >= lowest).all(axis=1) & (places <= highest).all(axis=1)
        ends = places + (width, height)
        over = (places[:, None] < self.taken[None, :, 2:]) & (ends[:, None] > self.taken[None, :, :2])
        free &= ~(over[..., 0] & over[..., 1]).any(axis=1)
        if not free.any():
            return None
        x, y = map(int, places[free.argmax()])
        self.taken = np.vstack([self.taken, (x, y, x + width, y + height)])
        return x, y


def clipped(box: Sequence[float], width: int, height: int) -> Box:
    """A box [x, y, width, height] within an image, of at least a pixel."""
    left, top = (int(min(max(value, 0), end - 1)) for value, end in zip(box, (width, height), strict=False))
    right, bottom = (int(min(box[axis] + box[axis + 2], end)) for axis, end in enumerate((width, height)))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def type_size(face: Box, smallest: float) -> float:
    """Size of the type at a face: it grows with the face."""
    return min(max(OF_FACE * (face[3] - face[1]), smallest), 2 * smallest)


def tag_height(size: float) -> int:
    """Pixels that a label is high."""
    return round(1.5 * size)


def framed(draw: "ImageDraw.ImageDraw", face: Box, name: str, width: int) -> None:
    """The frame of a face in the colour of its class, on a white one that parts it from any ground."""
    left, top, right, bottom = face
    draw.rectangle((left - 1, top - 1, right, bottom), outline=PAPER, width=width + 2)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=colour(name), width=width)


@dataclass(frozen=True)
class Label:
    """A text and where it stands.

    Attributes:
        text: on one line.
        size: of its type.
        box: of its ground.
    """

    text: str
    size: float
    box: Box


def labelled(
    bounds: Box, faces: Sequence[Box], notes: Sequence["Note"], least: float
) -> tuple[Places, list[Label | None]]:
    """The label of every face, and what is left free: in the largest type in which most find a place.

    Args:
        bounds: of the image.
        faces: their boxes; the first choose first.
        notes: as many; those whose text finds no place get a shorter one, or none.
        least: size of the type, to be multiplied by one of SCALES.
    """
    best: tuple[int, float, Places, list[Label | None]] | None = None
    for scale in SCALES if len(faces) <= CROWD else SCALES[-1:]:
        places = Places(bounds, faces)
        pairs = zip(faces, notes, strict=True)
        labels = [_label(places, face, note.texts[:1], scale * least) for face, note in pairs]
        count = len(labels) - labels.count(None)
        if best is None or count > best[0]:
            best = count, scale * least, places, labels
        if count == len(labels):
            break
    _, size, places, labels = best or (0, least, Places(bounds, faces), [])
    triples = zip(labels, faces, notes, strict=True)
    return places, [label or _label(places, face, note.texts[1:], size) for label, face, note in triples]


def _label(places: Places, face: Box, texts: Sequence[str], least: float) -> Label | None:
    """The first of the texts that finds a place at a face."""
    size = type_size(face, least)
    for text in texts:
        width, height = text_width(text, size) + round(0.8 * size), tag_height(size)
        if place := places.take(face, width, height):
            return Label(text, size, (*place, place[0] + width, place[1] + height))
    return None


def written(draw: "ImageDraw.ImageDraw", label: Label, name: str) -> None:
    """A label on the colour of its class."""
    left, top, right, bottom = label.box
    draw.rectangle((left, top, right - 1, bottom - 1), fill=colour(name))
    middle = ((left + right) / 2, (top + bottom) / 2)
    kind = font(label.size, label.text)
    draw.text(middle, label.text, fill=ink(colour(name)), font=kind, anchor="mm")


def barred(draw: "ImageDraw.ImageDraw", places: Places, face: Box, note: "Note", least: float) -> None:
    """Thin bars of the probabilities with their names, where they find a place at the face."""
    size = max(0.6 * type_size(face, 1.5 * least), least)
    line = round(1.2 * size)
    names = max((text_width(name, size) for name in note.shares), default=0)
    pad = round(0.4 * size)
    width, height = names + round(BARS * size) + 3 * pad, line * len(note.shares) + pad
    if not note.shares or not (place := places.take(face, width, height, beside=True)):
        return
    x, y = place
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=PAPER)
    for row, (name, share) in enumerate(note.shares.items()):
        middle = y + pad // 2 + (row + 0.5) * line
        draw.text((x + pad, middle), name, fill=INK, font=font(size, name), anchor="lm")
        bar(draw, (x + names + 2 * pad, middle, BARS * size), max(2, round(0.35 * size)), name, share)


def bar(
    draw: "ImageDraw.ImageDraw", line: tuple[float, float, float], height: int, name: str, share: float
) -> None:
    """A probability as part of a bar from (left, middle) of a length, in pixels."""
    left, middle, length = line
    top = round(middle - height / 2)
    draw.rectangle((left, top, left + length - 1, top + height - 1), fill=TRACK)
    if length * share >= 0.5:
        end = left + max(length * share - 1, 0)
        draw.rectangle((left, top, end, top + height - 1), fill=colour(name))
