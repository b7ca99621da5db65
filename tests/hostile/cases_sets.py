"""Data sets to train on, as files and folders: odd names, pipes, links, one class, other sizes."""

import functools
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cases_data import FACE
from cases_runs import outcome
from harness import CONTROL, Case
from PIL import Image

from hierarchy.data import audit
from hierarchy.data.formats import registry

CACHE: Final = tempfile.TemporaryDirectory(prefix="hostile-cache-")
LABELS: Final = (
    "\x1b[31m",
    "a\nb",
    "=1+1",
    "<b>",
    "|",
    "../../x",
    "x" * 250,
    "日本",
    "\udcff",
    "\u202e",
    " ",
)
PLACES: Final = ("train/happy/x.png", "train/happy/x", "train/x", "train/x.png", "x.parquet", "fer2013.csv")
FILES: Final = (*PLACES, "fer2013new.csv", "train.csv", "icml_face_data.csv", "sketch.csv.gz", "validation")


def _picture(file: Path, size: tuple[int, int] = (48, 48), kind: str = "L") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    Image.new(kind, size, 90).save(data, "PNG")
    file.write_bytes(data.getvalue())


def _folders(folder: Path, *labels: str) -> None:
    for split in ("train", "validation", "test"):
        for label in labels:
            _picture(folder / split / label / "1.png")


def _put(kind: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "empty":
        file.touch()
    else:
        file.symlink_to({"nowhere": "x/y", "loop": file.name, "device": "/dev/zero", "above": ".."}[kind])


def _complaint(make: Callable[[Path], None], folder: Path) -> str | None:
    """About a data set, which is read and audited, or refused in one line."""
    place = folder / "set"
    make(place)
    shown: list[str] = []
    found = outcome(lambda: shown.append(audit.as_table(audit.audit(registry.read(place)))))
    return "control character in the table" if CONTROL.search("".join(shown)) else found


def _beside(kind: str, name: str, place: Path) -> None:
    _folders(place, "happy", "sad")
    _put(kind, place / name)


def _alone(kind: str, name: str, place: Path) -> None:
    _put(kind, place / name)


def _sized(size: tuple[int, int], place: Path) -> None:
    _folders(place, "happy", "sad")
    _picture(place / "train" / "happy" / "2.png", size)


def _rows(text: str, place: Path) -> None:
    place.mkdir()
    (place / "fer2013.csv").write_text(text)


def _sets() -> Iterator[tuple[str, Callable[[Path], None]]]:
    for label in LABELS:
        if "/" not in label:
            yield f"folder {label!r:.30}", lambda at, label=label: _folders(at, label, "sad")
        text = f"emotion,pixels,Usage\n{label},{FACE},Training\nsad,{FACE},PublicTest\n"
        yield f"label {label!r:.30}", functools.partial(_rows, text.encode(errors="replace").decode())
    for kind in ("pipe", "folder", "empty", "nowhere", "loop", "device", "above"):
        for name in FILES:
            if name != "validation":
                yield f"{kind} {name}", functools.partial(_beside, kind, name)
            yield f"{kind} {name} alone", functools.partial(_alone, kind, name)
    for size in ((1, 1), (1, 4000), (4000, 1), (1, 70_000), (49, 47)):
        yield f"picture of {size}", functools.partial(_sized, size)
    for count in (1, 127, 128, 200):
        yield f"{count} classes", lambda at, count=count: _folders(at, *map(str, range(count)))


def cases() -> Iterator[Case]:
    """All data sets; what is parsed of them goes into a temporary cache."""
    os.environ["FER2013_CACHE"] = CACHE.name
    for name, make in _sets():
        yield Case("data set", name, functools.partial(_complaint, make))
