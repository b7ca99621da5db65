"""An image with its faces framed and numbered, and their probabilities beside it."""

import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hierarchy.data.images import SIDE
from hierarchy.taxonomy import colour

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

SMALLEST: Final = 320  # pixels of the longer side; smaller images are enlarged
LARGEST: Final = (
    8192  # pixels a side; larger images are reduced before they are drawn, longer columns are cut
)
CARDS: Final = 60  # faces with a card beside the image; of others only the frame is drawn
LINE, BAR, MARGIN = 18, 90, 10  # pixels: line of text, longest bar, around the column
NAME, VALUE = 70, 50  # pixels: least width of a name, width of a number
STRIP: Final = 6  # pixels: bar on a video
HEAT: Final = 3  # enlargement of a crop with its heat map
SOFTWARE: Final = "hierarchy"  # PNG metadata of our drawings
INK, PAPER = "#333333", "#ffffff"


@dataclass(frozen=True)
class Note:
    """What is drawn for one face.

    Attributes:
        box: [x, y, width, height] in pixels of the image.
        title: the prediction as text.
        name: of the predicted class, which gives the colour.
        shares: probability by leaf; may be empty.
        crop: uint8[48,48], input of the nets; None: not shown.
        heat: float[48,48], heat map of the crop; None: not shown.
    """

    box: Sequence[int]
    title: str
    name: str
    shares: Mapping[str, float]
    crop: np.ndarray | None = None
    heat: np.ndarray | None = None


def png(page: "Image.Image") -> bytes:
    """The PNG file of a drawing, marked as ours."""
    from PIL.PngImagePlugin import PngInfo

    mark, out = PngInfo(), io.BytesIO()
    mark.add_text("Software", SOFTWARE)
    page.save(out, "PNG", pnginfo=mark)
    return out.getvalue()


def may_take(file: Path) -> bool:
    """Whether a drawing may be written there: the file does not exist, or is an earlier drawing."""
    from PIL import Image

    if not file.exists():
        return True
    try:
        with Image.open(file) as picture:
            return picture.info.get("Software") == SOFTWARE
    except OSError:
        return False


def annotated(picture: np.ndarray, notes: Sequence[Note]) -> "Image.Image":
    """An RGB image uint8[H,W,3] with a frame for every face, and a column of notes beside it.

    The page is at most LARGEST pixels high, and wider than that by the column only.
    """
    from PIL import Image, ImageDraw

    image, scale = scaled(picture)
    cards = [_card(note, number) for number, note in enumerate(notes[:CARDS], 1)]
    width = image.width + 2 * MARGIN + max([card.width for card in cards], default=NAME + BAR + VALUE)
    height = min(LARGEST, max(image.height, 2 * MARGIN + sum(card.height for card in cards)))
    page = Image.new("RGB", (width, height), PAPER)
    page.paste(image)
    top = MARGIN
    for number, note in enumerate(notes, 1):
        _frame(ImageDraw.Draw(page), note, number, scale, image.size)
    for card in cards:
        page.paste(card, (image.width + MARGIN, top))
        top += card.height
    return page


def scaled(picture: np.ndarray) -> tuple["Image.Image", float]:
    """A small image enlarged, a large one reduced to LARGEST, others as they are; and the scale."""
    from PIL import Image

    longest = max(picture.shape[:2])
    scale = min(max(1, round(SMALLEST / longest)), LARGEST / longest)
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC), scale


def overlaid(picture: np.ndarray, notes: Sequence[Note]) -> np.ndarray:
    """A video frame uint8[H,W,3] with box, title and bars of every face drawn on it; of the same shape."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for note in notes:
        x, y, width, height = note.box
        fill = colour(note.name)
        draw.rectangle((x, y, x + max(width, 1), y + max(height, 1)), outline=fill, width=2)
        top = min(max(y - LINE, 0), image.height - LINE)
        draw.rectangle((x, top, x + draw.textlength(note.title, _font()) + 8, top + LINE), fill=fill)
        draw.text((x + 4, top + 2), note.title, fill=PAPER, font=_font())
        low = min(y + max(height, 1) + 3, image.height - STRIP * len(note.shares))
        draw.rectangle((x, low - 2, x + BAR, low + STRIP * len(note.shares) - 1), fill=PAPER)
        for rank, (name, share) in enumerate(note.shares.items()):
            bar = (x, low + STRIP * rank, x + round(BAR * share), low + STRIP * (rank + 1) - 3)
            draw.rectangle(bar, fill=colour(name))
    return np.array(image)


def _frame(draw: "ImageDraw.ImageDraw", note: Note, number: int, scale: float, size: tuple[int, int]) -> None:
    x, y, width, height = (round(scale * value) for value in note.box)
    right, bottom = min(x + width, size[0]) - 1, min(y + height, size[1]) - 1
    left, top = max(x, 0), max(y, 0)
    fill = colour(note.name)
    frame = (left, top, max(right, left), max(bottom, top))
    draw.rectangle(frame, outline=fill, width=max(2, size[0] // 250))
    draw.rectangle((left, top, left + 9 * len(str(number)) + 6, top + LINE), fill=fill)
    draw.text((left + 4, top + 2), str(number), fill=PAPER, font=_font())


def _card(note: Note, number: int) -> "Image.Image":
    """The prediction of a face: title, a bar for every leaf, and the heat map if there is one."""
    from PIL import Image, ImageDraw

    title = f"{number}  {note.title}"
    names = max([NAME, *(round(_font().getlength(name)) + 4 for name in note.shares)])
    heat = None if note.heat is None or note.crop is None else _heated(note.crop, note.heat)
    width = max(names + BAR + VALUE, round(_font().getlength(title)))
    top = LINE * (1 + len(note.shares))
    card = Image.new("RGB", (width, top + MARGIN + (heat.height + MARGIN if heat else 0)), PAPER)
    if heat:
        card.paste(heat, (0, top + MARGIN // 2))
    draw = ImageDraw.Draw(card)
    draw.text((0, 0), title, fill=colour(note.name), font=_font())
    for row, (name, share) in enumerate(note.shares.items(), 1):
        draw.text((0, LINE * row), name, fill=INK, font=_font())
        end = names + round(BAR * share)
        draw.rectangle((names, LINE * row + 3, end, LINE * (row + 1) - 4), fill=colour(name))
        draw.text((end + 6, LINE * row), f"{share:.2f}", fill=INK, font=_font())
    return card


def _heated(crop: np.ndarray, heat: np.ndarray) -> "Image.Image":
    """The enlarged crop, red where covering it lowers the probability most."""
    from PIL import Image

    share = 0.6 * np.clip(heat / max(heat.max(), 1e-9), 0, 1)[..., None]
    mixed = crop[..., None] * (1 - share) + np.array([214.0, 40.0, 40.0]) * share
    size = (HEAT * SIDE, HEAT * SIDE)
    return Image.fromarray(mixed.round().astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


@functools.cache
def _font() -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(13)
