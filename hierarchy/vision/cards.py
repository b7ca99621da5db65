"""Cards with the details of faces, in a grid beside or below the picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np

from hierarchy.data.images import SIDE
from hierarchy.taxonomy import colour, ink
from hierarchy.vision.labels import INK, PAPER, bar, font, percent, text_width

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    from hierarchy.vision.draw import Note

ROWS: Final = 12  # bars of a card, of the likeliest leaves; the others are counted
PALE: Final = "#57606a"  # text of less weight
EDGE: Final = "#d0d7de"
HEAT: Final = (255.0, 96.0, 0.0)  # RGB; orange on grey differs in brightness too
STRONGEST: Final = 0.75  # part of HEAT where the heat is greatest
SCREEN: Final = 1.25  # width to height of what a page is shown on
SIZES: Final = (1.5, 1.3, 1.15, 1.0)  # of the type, the first that makes the page hardly larger


@dataclass(frozen=True)
class Style:
    """Measures of all cards of a page, in pixels.

    Attributes:
        size: of the type.
        names: width of the longest name.
        width, height: of a card.
        image: side of the crop beside the bars; 0: there is none.
    """

    size: float
    names: int
    width: int
    height: int
    image: int

    @classmethod
    def of(cls, notes: Sequence["Note"], size: float) -> "Style":
        """The least measures in which all notes find room."""
        pad, line = 0.8 * size, 1.45 * size
        rows = max((len(shown(note)) + (len(shown(note)) < len(note.shares)) for note in notes), default=0)
        names = max((text_width(name, size) for note in notes for name in shown(note)), default=0)
        heat = any(note.heat is not None for note in notes)
        image = round((7.2 if heat else 5.8) * size) if any(note.crop is not None for note in notes) else 0
        parts = max((len(note.parts.split(", ")) for note in notes if note.parts), default=0)
        legend = (3.0 + 0.88 * parts) * size if heat else 0.0
        heads = max(
            text_width(note.label, 1.35 * size) + text_width(note.title, 0.9 * size) for note in notes
        )
        width = max(names + (image + pad if image else 0) + 10.2 * size, heads + 8 * size) + 2 * pad
        body = max(rows * line, image + legend)
        return cls(size, names, round(width), round(2 * pad + 2.1 * size + body), image)

    @property
    def gap(self) -> int:
        """Between cards, and around them."""
        return round(0.6 * self.size)


@dataclass(frozen=True)
class Grid:
    """Where the picture and its cards stand.

    Attributes:
        width, height: of the page.
        picture: left and top of the picture.
        card: width of a card.
        places: left and top of every card.
        filled: pixels of the page that show the picture or a card.
    """

    width: int
    height: int
    picture: tuple[int, int]
    card: int
    places: tuple[tuple[int, int], ...]
    filled: int

    @property
    def cost(self) -> float:
        """Height of the least SCREEN on which the whole page is shown unreduced, more where it is empty."""
        return max(self.width / SCREEN, self.height) * (self.width * self.height / self.filled) ** 2


def shown(note: "Note") -> dict[str, float]:
    """The likeliest ROWS leaves, in the order of the tree."""
    likeliest = sorted(note.shares, key=lambda name: -note.shares[name])[:ROWS]
    return {name: share for name, share in note.shares.items() if name in likeliest}


def arranged(notes: Sequence["Note"], width: int, height: int, size: float, limit: int) -> tuple[Style, Grid]:
    """Style and places of the cards beside or below a picture, so that the page fits a screen best.

    Args:
        notes: one or more.
        width: of the picture.
        height: of the picture.
        size: of the type, if there is room.
        limit: of the page, pixels a side; the type gets smaller for it.
    """
    while True:
        pages = {factor: _best(Style.of(notes, factor * size), len(notes), width, height) for factor in SIZES}
        least = pages[SIZES[-1]].cost
        factor = next(factor for factor, page in pages.items() if page.cost <= 1.08 * least)
        if size < 8 or max(pages[factor].height, pages[factor].width - width) <= limit:
            return Style.of(notes, factor * size), pages[factor]
        size *= 0.8


def _best(style: Style, count: int, width: int, height: int) -> Grid:
    ways = product(range(1, count + 1), (True, False))
    grids = (_grid(style, count, width, height, columns, beside) for columns, beside in ways)
    return min(grids, key=lambda grid: grid.cost)


def _grid(style: Style, count: int, width: int, height: int, columns: int, beside: bool) -> Grid:
    """Cards in rows of a number of columns; below a picture they fill its width, if it is not too large."""
    gap, rows, card = style.gap, ceil(count / columns), style.width
    if not beside:
        card = max(card, min(2 * card, (width - gap * (columns + 1)) // columns))
    area = columns * (card + gap) + gap, rows * (style.height + gap) + gap
    page = (width + area[0], max(height, area[1])) if beside else (max(width, area[0]), height + area[1])
    left = width if beside else (page[0] - area[0]) // 2
    top = (page[1] - area[1]) // 2 if beside else height
    picture = (0, (page[1] - height) // 2) if beside else ((page[0] - width) // 2, 0)
    places = [
        (left + gap + column * (card + gap), top + gap + row * (style.height + gap))
        for row, column in product(range(rows), range(columns))
    ]
    filled = width * height + count * card * style.height
    return Grid(*page, picture, card, tuple(places[:count]), filled)


def drawn(note: "Note", number: int | None, style: Style, width: int) -> "Image.Image":
    """The card of a face: its number, label and probability; then a bar for every leaf, crop and heat map."""
    from PIL import Image, ImageDraw

    card = Image.new("RGB", (width, style.height), PAPER)
    draw = ImageDraw.Draw(card)
    draw.rectangle((0, 0, width - 1, style.height - 1), outline=EDGE)
    size, pad = style.size, round(0.8 * style.size)
    _head(draw, note, number, style, width)
    top, left = pad + 2.1 * size, float(pad)
    if style.image and note.crop is not None:
        card.paste(heated(note, style.image), (pad, round(top)))
        if note.heat is not None:
            _legend(card, draw, (pad, round(top) + style.image + round(0.4 * size)), note, style)
    left += style.image + pad if style.image else 0
    for row, (text, share) in enumerate(_lines(note)):
        middle, end = top + (row + 0.5) * 1.45 * size, width - pad
        draw.text((left, middle), text, fill=INK, font=font(size, text), anchor="lm")
        if share is not None:
            begin = left + style.names + 0.6 * size
            bar(draw, (begin, middle, end - begin - 3.2 * size), round(0.7 * size), text, share)
            draw.text((end, middle), percent(share), fill=INK, font=font(size), anchor="rm")
    return card


def _lines(note: "Note") -> Iterator[tuple[str, float | None]]:
    rows = shown(note)
    yield from rows.items()
    if more := len(note.shares) - len(rows):
        yield f"and {more} more, {percent(sum(note.shares.values()) - sum(rows.values()))}", None


def _head(draw: "ImageDraw.ImageDraw", note: "Note", number: int | None, style: Style, width: int) -> None:
    size, pad = style.size, 0.8 * style.size
    large, middle, ground = 1.35 * size, pad + 0.7 * size, colour(note.name)
    badge = f"{number}" if number else ""
    wide = max(1.5 * size, text_width(badge, size) + 0.8 * size) if badge else 0.5 * size
    draw.rectangle((pad, middle - 0.8 * size, pad + wide, middle + 0.8 * size), fill=ground)
    draw.text((pad + wide / 2, middle), badge, fill=ink(ground), font=font(size), anchor="mm")
    left = pad + wide + 0.6 * size
    draw.text((left, middle), note.label, fill=INK, font=font(large, note.label), anchor="lm")
    left += text_width(note.label, large) + 0.6 * size
    end = width - pad
    if note.share is not None:
        draw.text((end, middle), percent(note.share), fill=INK, font=font(large), anchor="rm")
    draw.text(
        (left, middle + 0.1 * size), note.title, fill=PALE, font=font(0.9 * size, note.title), anchor="lm"
    )


def heated(note: "Note", side: int) -> "Image.Image":
    """The crop, orange where covering it lowers the probability most."""
    from PIL import Image

    if note.crop is None or note.heat is None:
        pixels = np.zeros((SIDE, SIDE), np.uint8) if note.crop is None else note.crop
        return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    share = STRONGEST * np.clip(note.heat / max(note.heat.max(), 1e-9), 0, 1)[..., None]
    mixed = note.crop[..., None] * (1 - share) + np.array(HEAT) * share
    return Image.fromarray(mixed.round().astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)


def _legend(
    card: "Image.Image", draw: "ImageDraw.ImageDraw", place: tuple[int, int], note: "Note", style: Style
) -> None:
    """The colours of a heat map, by how much covering a place lowers the probability, and its parts."""
    from PIL import Image

    x, y = place
    high, small = round(0.5 * style.size), 0.8 * style.size
    share = np.linspace(0, STRONGEST, style.image)[None, :, None]
    ramp = np.broadcast_to(128 * (1 - share) + np.array(HEAT) * share, (high, style.image, 3))
    card.paste(Image.fromarray(ramp.round().astype(np.uint8)), place)
    line = y + high + 0.15 * style.size
    draw.text((x, line), "0", fill=PALE, font=font(small), anchor="la")
    highest = 0.0 if note.heat is None else max(float(note.heat.max()), 0.0)
    end = f"-{100 * highest:.0f} points"
    draw.text((x + style.image, line), end, fill=PALE, font=font(small), anchor="ra")
    for row, text in enumerate(
        ["where covered", *note.parts.split(", ")] if note.parts else ["where covered"]
    ):
        draw.text((x, line + 1.1 * (row + 1) * small), text, fill=PALE, font=font(small), anchor="la")
