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
from hierarchy.taxonomy import VALENCE

SAMPLES: Final = (CHECKOUT or Path(__file__).parents[2]) / "samples"
CLIP: Final = SAMPLES / "clip.mp4"
SEEDS: Final = {0: 8, 1: 11, 3: 2}  # of drawings, by the leaf's place in the tree


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
    drawn = {VALENCE.leaves[place]: np.random.default_rng(seed) for place, seed in SEEDS.items()}
    return [_encoded(f"drawn {name}", sketch.draw(name, rng)) for name, rng in drawn.items()]


def _encoded(name: str, pixels: np.ndarray) -> Source:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return Source(name, f"{name}.png", file.getvalue(), True)


EXAMPLES: Final[dict[str, Callable[[], list[Source]]]] = {
    "Smile": lambda: _file("astronaut.jpg"),
    "Portrait": lambda: _file("portrait.jpg"),
    "Two people": _both,
    "Drawings": _drawn,
}


@st.cache_data
def sources(name: str) -> list[Source]:
    """The pictures of an example."""
    return EXAMPLES[name]()
