"""FER-2013 from Kaggle, by `kagglehub`; public sets need no account."""

import os
import tempfile
from pathlib import Path
from typing import Final

from hierarchy.data.formats import registry
from hierarchy.errors import InputError

HANDLE: Final = "deadskull7/fer2013"  # holds the challenge's own fer2013.csv, with its three splits
FILE: Final = "fer2013.csv"


def get(target: Path) -> Path:
    """Bring `fer2013.csv` into a folder; nothing is fetched where the folder holds faces already.

    Returns:
        `target`, which `layouts.read` can read.

    Raises:
        InputError: no connection, Kaggle refuses, or the folder cannot be written; nothing is left there.
    """
    if registry.holds_faces(target):
        return target
    new = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".download-") as temporary:
            os.replace(_fetch(temporary), target / FILE)
    except OSError as error:
        if new and target.is_dir():
            target.rmdir()
        raise InputError(f"{target}: {_one_line(error)}; or put {FILE} there yourself") from None
    return target


def _fetch(folder: str) -> Path:
    """The path of `fer2013.csv` below `folder`, downloaded.

    Raises:
        OSError: with a message for people.
    """
    try:
        import kagglehub
        import requests
    except ImportError:
        raise OSError("the download needs kagglehub (pip install kagglehub)") from None
    try:
        found = sorted(Path(kagglehub.dataset_download(HANDLE, output_dir=folder)).rglob(FILE))
    except (requests.ConnectionError, requests.Timeout):
        raise OSError(f"Kaggle's {HANDLE} is out of reach: no connection") from None
    except Exception as error:  # kagglehub has a dozen kinds of its own, without a parent in common
        raise OSError(f"Kaggle's {HANDLE} cannot be downloaded ({_one_line(error)})") from None
    if not found:
        raise OSError(f"Kaggle's {HANDLE} holds no {FILE} any more")
    return found[0]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
