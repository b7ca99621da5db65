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
LINE, BAR, MARGIN = 18, 90, 10  # pixels: line of text, longest bar, around the column
NAME, VALUE = 66, 50  # pixels: least width of a name, width of a number
STRIP: Final = 6  # pixels: bar on a video
HEAT: Final = 3  # enlargement of a crop with its heat map
SOFTWARE: Final = "hierarchy"  # PNG metadata of our drawings
INK, PAPER, FRAME = "#333333", "#ffffff", "#555555"


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
    """An RGB image uint8[H,W,3] with a frame for every face, and a column of notes beside it."""
    from PIL import Image, ImageDraw

    scale = max(1, round(SMALLEST / max(picture.shape[:2])))
    image = Image.fromarray(picture)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    height = max(image.height, 2 * MARGIN + sum(map(_height, notes)))
    page = Image.new("RGB", (image.width + _panel(notes), height), PAPER)
    page.paste(image)
    draw = ImageDraw.Draw(page)
    top = MARGIN
    for number, note in enumerate(notes, 1):
        _frame(draw, note, number, scale, (image.width, image.height))
        _column(page, draw, note, number, (image.width + MARGIN, top))
        top += _height(note)
    return page


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


def _names(notes: Sequence[Note]) -> int:
    """Pixels of the widest name of a leaf, and a gap."""
    return max([NAME, *(round(_font().getlength(name)) for note in notes for name in note.shares)]) + 4


def _panel(notes: Sequence[Note]) -> int:
    """Pixels of the column."""
    titles = [_font().getlength(f"{len(notes)}  {note.title}") for note in notes]
    return 2 * MARGIN + round(max([_names(notes) + BAR + VALUE, *titles]))


def _height(note: Note) -> int:
    heat = 0 if note.heat is None or note.crop is None else HEAT * SIDE + MARGIN
    return LINE * (1 + len(note.shares)) + heat + MARGIN


def _frame(draw: "ImageDraw.ImageDraw", note: Note, number: int, scale: int, size: tuple[int, int]) -> None:
    x, y, width, height = (scale * value for value in note.box)
    right, bottom = min(x + width, size[0]) - 1, min(y + height, size[1]) - 1
    left, top = max(x, 0), max(y, 0)
    fill = colour(note.name)
    frame = (left, top, max(right, left), max(bottom, top))
    draw.rectangle(frame, outline=fill, width=max(2, size[0] // 250))
    draw.rectangle((left, top, left + 9 * len(str(number)) + 6, top + LINE), fill=fill)
    draw.text((left + 4, top + 2), str(number), fill=PAPER, font=_font())


def _column(
    page: "Image.Image", draw: "ImageDraw.ImageDraw", note: Note, number: int, corner: tuple[int, int]
) -> None:
    left, top = corner
    names = _names([note])
    draw.text((left, top), f"{number}  {note.title}", fill=colour(note.name), font=_font())
    for name, share in note.shares.items():
        top += LINE
        draw.text((left, top), name, fill=INK, font=_font())
        end = left + names + round(BAR * share)
        draw.rectangle((left + names, top + 3, end, top + LINE - 4), fill=colour(name))
        draw.text((end + 6, top), f"{share:.2f}", fill=INK, font=_font())
    if note.heat is not None and note.crop is not None:
        page.paste(_heated(note.crop, note.heat), (left, top + LINE + MARGIN // 2))


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
