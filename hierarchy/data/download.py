"""Download FER-2013 from Kaggle by `kagglehub`; public data sets need no account."""

import os
import tempfile
from pathlib import Path
from typing import Final

from hierarchy.data.formats import registry
from hierarchy.errors import InputError

HANDLE: Final = "deadskull7/fer2013"  # contains the challenge's original fer2013.csv with its three splits
FILE: Final = "fer2013.csv"


def get(target: Path) -> Path:
    """Download `fer2013.csv` into a folder, unless the folder contains faces already.

    Returns:
        `target`, which `registry.read` can read.

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
    """Download into `folder`; the path of `fer2013.csv` there.

    Raises:
        OSError: with a message for people.
    """
    try:
        import kagglehub
        import requests
    except ImportError:
        raise OSError("the download needs kagglehub (pip install kagglehub)") from None
    try:
        files = sorted(Path(kagglehub.dataset_download(HANDLE, output_dir=folder)).rglob(FILE))
    except (requests.ConnectionError, requests.Timeout):
        raise OSError(f"Kaggle's {HANDLE} cannot be reached: no connection") from None
    except Exception as error:  # kagglehub raises a dozen types without a common base
        raise OSError(f"Kaggle's {HANDLE} cannot be downloaded ({_one_line(error)})") from None
    if not files:
        raise OSError(f"Kaggle's {HANDLE} no longer contains {FILE}")
    return files[0]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
