"""What outgrows a command: the web page, batches of millions, the search for better recipes."""

from typing import Final

SCALE: Final = "requirements-scale.txt"  # installs Ray and Optuna
