"""Download FER-2013 from Kaggle by `kagglehub`; public data sets need no account."""

import os
import tempfile
from pathlib import Path
from typing import Final

from hierarchy.data.formats import registry
from hierarchy.errors import InputError, first_line, not_installed

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
    try:
        import kagglehub
        from requests import ConnectionError, Timeout
    except ImportError:
        raise not_installed("kagglehub") from None
    new = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".download-") as temporary:
            folder = Path(kagglehub.dataset_download(HANDLE, output_dir=temporary))
            if not (files := sorted(folder.rglob(FILE))):
                raise FileNotFoundError(f"it no longer contains {FILE}")
            os.replace(files[0], target / FILE)
    except Exception as error:  # kagglehub raises a dozen types without a common base
        reason = "no connection" if isinstance(error, ConnectionError | Timeout) else first_line(error)
        if new and target.is_dir():
            target.rmdir()
        raise InputError(
            f"{target}: Kaggle's {HANDLE} cannot be downloaded ({reason}); or put {FILE} there yourself"
        ) from None
    return target
