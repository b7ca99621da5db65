"""One colour a name in every picture; those of expressions after Okabe and Ito, for colour-blind eyes too."""

from typing import Final

from hierarchy.taxonomy import FLAT, ROUTER

COLOURS: Final[dict[str, str]] = {
    "happy": "#e69f00",
    "surprise": "#56b4e9",
    "neutral": "#8c8c8c",
    "angry": "#d55e00",
    "fear": "#cc79a7",
    "sad": "#0072b2",
    "disgust": "#009e73",
    "positive": "#2a9d8f",
    "negative": "#7b4fa3",
    ROUTER: "#333333",
    FLAT: "#a67c52",
}
