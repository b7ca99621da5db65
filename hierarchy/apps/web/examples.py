"""Pictures to click for a visitor without any: two portraits, both of them, and drawn faces."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import streamlit as st
from PIL import Image

from hierarchy.data.synthetic import sketch
from hierarchy.errors import CHECKOUT

SAMPLES: Final = (CHECKOUT or Path(__file__).parents[2]) / "samples"
CLIP: Final = SAMPLES / "clip.mp4"
DRAWN: Final = (("happy", 8), ("surprise", 11), ("angry", 2))  # expression and seed, as in samples/


class Source(NamedTuple):
    """A file of a visitor, or an example.

    Attributes:
        key: of its bytes.
        name: for people.
        data: its bytes.
        shared: whether its answers are kept for all visits.
    """

    key: str
    name: str
    data: bytes
    shared: bool = False


def _file(*names: str) -> list[Source]:
    return [Source(name, name, (SAMPLES / name).read_bytes(), True) for name in names]


def _both() -> list[Source]:
    pictures = [Image.open(SAMPLES / name).convert("RGB") for name in ("astronaut.jpg", "portrait.jpg")]
    height = min(picture.height for picture in pictures)
    page = np.concatenate([np.asarray(picture)[:height] for picture in pictures], axis=1)
    return [_encoded("two people", page)]


def _drawn() -> list[Source]:
    return [_encoded(f"drawn {name}", sketch.draw(name, np.random.default_rng(seed))) for name, seed in DRAWN]


def _encoded(name: str, pixels: np.ndarray) -> Source:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Source(name, f"{name}.png", file.getvalue(), True)


EXAMPLES: Final[dict[str, Callable[[], list[Source]]]] = {
    "Portrait": lambda: _file("portrait.jpg"),
    "Smile": lambda: _file("astronaut.jpg"),
    "Two people": _both,
    "Drawings": _drawn,
}


@st.cache_data
def sources(name: str) -> list[Source]:
    """The pictures of an example."""
    return EXAMPLES[name]()
