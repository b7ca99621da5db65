"""Readers and writers of data set formats, one module per format, and the label codes of public file formats.

The codes are facts of the files, not of any tree.
"""

from typing import Final

UNLABELLED: Final = -1
FER2013_NAMES: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # codes 0-6
FERPLUS_NAMES: Final = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
