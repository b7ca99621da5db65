"""A picture with its faces framed and numbered, and beside it what the nets say of each."""

import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hierarchy.colours import COLOURS
from hierarchy.data.images import SIDE

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

SMALLEST: Final = 320  # pixels of the longer side; smaller pictures are enlarged
LINE, BAR, PANEL, MARGIN = (
    18,
    90,
    230,
    10,
)  # pixels: of a line of text, the longest bar, the column, around it
STRIP: Final = 6  # pixels: of a bar on a video
HEAT: Final = 3  # times that a crop is enlarged under its heat
SOFTWARE: Final = "hierarchy"  # what a drawing's file says it was made by
INK, PAPER, FRAME = "#333333", "#ffffff", "#555555"


@dataclass(frozen=True)
class Note:
    """What is drawn of one face.

    Attributes:
        box: [x, y, width, height] in pixels of the picture.
        title: the answer in words.
        colour: name of it in COLOURS.
        shares: probability by leaf; may be empty.
        crop: uint8[48,48], what the nets saw; None: not shown.
        heat: float[48,48], how much each place mattered; None: not asked.
    """

    box: Sequence[int]
    title: str
    colour: str
    shares: Mapping[str, float]
    crop: np.ndarray | None = None
    heat: np.ndarray | None = None


def png(page: "Image.Image") -> bytes:
    """A drawing as a PNG that says what it is."""
    from PIL.PngImagePlugin import PngInfo

    mark, out = PngInfo(), io.BytesIO()
    mark.add_text("Software", SOFTWARE)
    page.save(out, "PNG", pnginfo=mark)
    return out.getvalue()


def may_take(file: Path) -> bool:
    """Whether a drawing may be written there: nothing is there yet, or an earlier drawing."""
    from PIL import Image

    if not file.exists():
        return True
    try:
        with Image.open(file) as picture:
            return picture.info.get("Software") == SOFTWARE
    except OSError:
        return False


def annotated(picture: np.ndarray, notes: Sequence[Note]) -> "Image.Image":
    """An RGB picture uint8[H,W,3] with frames, and a column that holds a note for each."""
    from PIL import Image, ImageDraw

    scale = max(1, round(SMALLEST / max(picture.shape[:2])))
    image = Image.fromarray(picture)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    height = max(image.height, 2 * MARGIN + sum(map(_height, notes)))
    page = Image.new("RGB", (image.width + PANEL, height), PAPER)
    page.paste(image)
    draw = ImageDraw.Draw(page)
    top = MARGIN
    for number, note in enumerate(notes, 1):
        _frame(draw, note, number, scale, (image.width, image.height))
        _column(page, draw, note, number, (image.width + MARGIN, top))
        top += _height(note)
    return page


def overlaid(picture: np.ndarray, notes: Sequence[Note]) -> np.ndarray:
    """A frame of a video, uint8[H,W,3], with each face's frame, title and bars on it; of the same shape."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for note in notes:
        x, y, width, height = note.box
        colour = COLOURS[note.colour]
        draw.rectangle((x, y, x + max(width, 1), y + max(height, 1)), outline=colour, width=2)
        top = min(max(y - LINE, 0), image.height - LINE)
        draw.rectangle((x, top, x + draw.textlength(note.title, _font()) + 8, top + LINE), fill=colour)
        draw.text((x + 4, top + 2), note.title, fill=PAPER, font=_font())
        low = min(y + max(height, 1) + 3, image.height - STRIP * len(note.shares))
        draw.rectangle((x, low - 2, x + BAR, low + STRIP * len(note.shares) - 1), fill=PAPER)
        for rank, (name, share) in enumerate(note.shares.items()):
            bar = (x, low + STRIP * rank, x + round(BAR * share), low + STRIP * (rank + 1) - 3)
            draw.rectangle(bar, fill=COLOURS[name])
    return np.array(image)


def _height(note: Note) -> int:
    heat = 0 if note.heat is None or note.crop is None else HEAT * SIDE + MARGIN
    return LINE * (1 + len(note.shares)) + heat + MARGIN


def _frame(draw: "ImageDraw.ImageDraw", note: Note, number: int, scale: int, size: tuple[int, int]) -> None:
    x, y, width, height = (scale * value for value in note.box)
    right, bottom = min(x + width, size[0]) - 1, min(y + height, size[1]) - 1
    left, top = max(x, 0), max(y, 0)
    colour = COLOURS[note.colour]
    draw.rectangle(
        (left, top, max(right, left), max(bottom, top)), outline=colour, width=max(2, size[0] // 250)
    )
    draw.rectangle((left, top, left + 9 * len(str(number)) + 6, top + LINE), fill=colour)
    draw.text((left + 4, top + 2), str(number), fill=PAPER, font=_font())


def _column(
    page: "Image.Image", draw: "ImageDraw.ImageDraw", note: Note, number: int, corner: tuple[int, int]
) -> None:
    left, top = corner
    draw.text((left, top), f"{number}  {note.title}", fill=COLOURS[note.colour], font=_font())
    for name, share in note.shares.items():
        top += LINE
        draw.text((left, top), name, fill=INK, font=_font())
        draw.rectangle(
            (left + 70, top + 3, left + 70 + round(BAR * share), top + LINE - 4), fill=COLOURS[name]
        )
        draw.text((left + 76 + round(BAR * share), top), f"{share:.2f}", fill=INK, font=_font())
    if note.heat is not None and note.crop is not None:
        page.paste(_heated(note.crop, note.heat), (left, top + LINE + MARGIN // 2))


def _heated(crop: np.ndarray, heat: np.ndarray) -> "Image.Image":
    """The crop enlarged, red where covering it costs the answer most."""
    from PIL import Image

    top = heat.max()
    share = np.clip(heat / top, 0, 1)[..., None] if top > 0 else np.zeros((*heat.shape, 1))
    red = np.array([214.0, 40.0, 40.0])
    mixed = crop[..., None] * (1 - 0.6 * share) + red * 0.6 * share
    size = (HEAT * SIDE, HEAT * SIDE)
    return Image.fromarray(mixed.round().astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


@functools.cache
def _font() -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(13)
