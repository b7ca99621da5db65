"""A picture with its faces framed and labelled, and cards with their probabilities beside or below it."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hierarchy.vision import cards
from hierarchy.vision.labels import (
    Box,
    barred,
    clipped,
    framed,
    labelled,
    percent,
    tag_height,
    type_size,
    written,
)

if TYPE_CHECKING:
    from PIL import Image

SMALLEST: Final = 640  # pixels of the longer side; smaller images are enlarged
LARGEST: Final = 8192  # pixels a side; larger images are reduced before they are drawn, cards beyond it cut
CARDS: Final = 60  # faces with a card; of others only the frame and the label are drawn
TYPE: Final = 18  # pixels: least size of the type of cards
PARTS: Final = 100  # the longer side in sizes of the type, where that is larger
LEAST: Final = 12  # pixels: size of the smallest type at a face; 10 on videos
VIDEO_LEAST: Final = 10
SOFTWARE: Final = "hierarchy"  # PNG metadata of our drawings
GROUND: Final = "#f0f2f5"  # of the page


@dataclass(frozen=True)
class Note:
    """What is drawn for one face.

    Attributes:
        box: [x, y, width, height] in pixels of the image.
        title: the prediction with its branch, for the card.
        name: of the predicted class, which gives the colour.
        shares: probability by leaf; may be empty.
        crop: uint8[48,48], input of the nets; None: not shown.
        heat: float[48,48], heat map of the crop; None: not shown.
        parts: of the face where it is hot, in words.
        text: the prediction in short, at the face; empty: the name.
        likelihood: its probability; None: that of the name among the shares, if it is there.
        number: of the face or track; None: its place among the notes, where there are several.
    """

    box: Sequence[int]
    title: str
    name: str
    shares: Mapping[str, float]
    crop: np.ndarray | None = None
    heat: np.ndarray | None = None
    text: str = ""
    likelihood: float | None = None
    number: int | None = None
    parts: str = ""

    @property
    def label(self) -> str:
        """The prediction in short."""
        return self.text or self.name

    @property
    def share(self) -> float | None:
        """Probability of the prediction."""
        return self.shares.get(self.name) if self.likelihood is None else self.likelihood

    @property
    def texts(self) -> list[str]:
        """What may stand at the face, the first that finds a place: number, label, probability; or fewer."""
        parts = [self.label] if self.share is None else [self.label, percent(self.share)]
        if self.number is None:
            return ["  ".join(parts), self.label]
        return [f"{self.number}  {'  '.join(parts)}", f"{self.number}  {self.label}", f"{self.number}"]


def png(page: "Image.Image") -> bytes:
    """The PNG file of a drawing, marked as ours."""
    from PIL.PngImagePlugin import PngInfo

    mark, out = PngInfo(), io.BytesIO()
    mark.add_text("Software", SOFTWARE)
    page.save(out, "PNG", pnginfo=mark, compress_level=1)  # a third of the usual time, a fifth more bytes
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
    """An RGB image uint8[H,W,3] with frame and label at every face, and cards beside or below it.

    The page is at most LARGEST pixels high, and wider than that by the cards only.
    """
    from PIL import Image

    notes = numbered(notes)
    image, _ = marked(picture, notes)
    if not (first := notes[:CARDS]):
        return image
    size = max(TYPE, max(image.size) / PARTS)
    style, grid = cards.arranged(first, *image.size, size, LARGEST)
    width, height = min(grid.width, 2 * LARGEST - 1), min(grid.height, LARGEST)
    page = Image.new("RGB", (width, height), GROUND)
    page.paste(image, grid.picture)
    for note, place in zip(first, grid.places, strict=True):
        page.paste(cards.drawn(note, note.number, style, grid.card), place)
    return page


def scaled(picture: np.ndarray) -> tuple["Image.Image", float]:
    """A small image enlarged, a large one reduced to LARGEST, others as they are; and the scale."""
    from PIL import Image

    longest = max(picture.shape[:2])
    scale = min(max(1, round(SMALLEST / longest)), LARGEST / longest)
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC), scale


def numbered(notes: Sequence[Note]) -> Sequence[Note]:
    """The notes, with their places as numbers where there are several."""
    if len(notes) < 2:
        return notes
    return [replace(note, number=note.number or place) for place, note in enumerate(notes, 1)]


def marked(
    picture: np.ndarray, notes: Sequence[Note], ground: str = GROUND
) -> tuple["Image.Image", list[Box]]:
    """An RGB image uint8[H,W,3] with frame and label at every face, enlarged or reduced; the faces in it.

    A strip of the colour `ground` is added above it, where a face leaves no room for its label.
    """
    from PIL import Image

    image, scale = scaled(picture)
    least = max(LEAST, max(image.size) / 130)
    faces = [clipped([scale * value for value in note.box], *image.size) for note in notes]
    strip = max((_missing(face, image.height, least) for face in faces), default=0)
    strip = min(strip, LARGEST - image.height)
    if strip:
        taller = Image.new("RGB", (image.width, image.height + strip), ground)
        taller.paste(image, (0, strip))
        image = taller
        faces = [(left, top + strip, right, bottom + strip) for left, top, right, bottom in faces]
    _draw(image, faces, notes, least)
    return image, faces


def _missing(face: Box, height: int, least: float) -> int:
    """Height of the label of a face that leaves room for it neither above nor below; else 0."""
    tag = tag_height(type_size(face, 1.5 * least))
    return tag if face[1] < tag and height - face[3] < tag else 0


def overlaid(picture: np.ndarray, notes: Sequence[Note]) -> np.ndarray:
    """A video frame uint8[H,W,3] with frame, label and bars of every face drawn on it; of the same shape."""
    from PIL import Image

    image = Image.fromarray(picture)
    faces = [clipped(note.box, *image.size) for note in notes]
    _draw(image, faces, notes, max(VIDEO_LEAST, image.height / 60), bars=True)
    return np.array(image)


def _draw(
    image: "Image.Image", faces: Sequence[Box], notes: Sequence[Note], least: float, bars: bool = False
) -> None:
    """Frames first, then labels: the largest faces choose their places first."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    width = max(2, round(max(image.size) / 400))
    order = sorted(zip(faces, notes, strict=True), key=lambda pair: pair[0][1] - pair[0][3])
    for face, note in order:
        framed(draw, face, note.name, min(width, max(1, (face[3] - face[1]) // 16)))
    faces, notes = [face for face, _ in order], [note for _, note in order]
    places, labels = labelled((0, 0, *image.size), faces, notes, least)
    for label, note in zip(labels, notes, strict=True):
        if label:
            written(draw, label, note.name)
    for face, note in order if bars else ():
        barred(draw, places, face, note, least)
