"""Parquet files with pictures as bytes, as data hubs serve them.

The picture column holds a file's bytes, or Hugging Face's struct of bytes and path. Labels are names or
codes, which are FER-2013's unless the file's own metadata names its classes. The split is a column, or the
beginning of the file's name (`train-00000-of-00001.parquet`), else Training, or PrivateTest where no column
is a label.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.data import splits
from hierarchy.data.dataset import UNLABELLED, FaceDataset, Split
from hierarchy.data.formats.image_folder import png
from hierarchy.errors import InputError, error_context
from hierarchy.taxonomy import FER7, expression

if TYPE_CHECKING:
    import pyarrow

COLUMNS: Final[dict[str, tuple[str, ...]]] = {  # a column's names, the likeliest first
    "picture": ("image", "img", "picture", "bytes", "pixels"),
    "label": ("label", "labels", "emotion", "expression"),
    "split": ("split", "usage"),
}
CHUNK: Final = 1000  # rows read at once


def sources(path: Path) -> tuple[Path, ...]:
    """The Parquet files in a folder, sorted, or the one that `path` is."""
    if path.is_dir():
        return tuple(sorted(path.glob("*.parquet")))
    return (path,) if path.suffix == ".parquet" else ()


def read(files: Sequence[Path]) -> FaceDataset:
    """Faces of Parquet files, one after another; their rows count through.

    Raises:
        InputError: names the file, the row in it (from 0), what is wrong and what is allowed.
    """
    parts = [_one(file) for file in files]
    source = files[0].name if len(files) == 1 else f"{files[0].resolve().parent.name}/"
    whole = FaceDataset.joined([faces for faces, _ in parts], source)
    told = all(has_splits for _, has_splits in parts)
    return replace(
        whole,
        split=whole.split if told else splits.add_validation_split(whole.label, whole.split),
        row=np.arange(len(whole), dtype=np.int32),
    )


def write(faces: FaceDataset, path: Path) -> None:
    """One file: image (PNG bytes, and the row as path), label and split by name; every face labelled."""
    import pyarrow
    from pyarrow import parquet

    pairs = zip(faces.pixels, faces.row, strict=True)
    columns = {
        "image": [{"bytes": png(pixels), "path": f"{row:05d}.png"} for pixels, row in pairs],
        "label": [FER7[label] for label in faces.label],
        "split": [Split(split).name for split in faces.split],
    }
    parquet.write_table(pyarrow.table(columns), path)


def _one(file: Path) -> tuple[FaceDataset, bool]:
    """Faces of one file, and whether it has a column of splits."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            return _columns(file, table)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{file}: not a readable Parquet file ({str(error).splitlines()[0]})") from None


def _columns(file: Path, table: "pyarrow.parquet.ParquetFile") -> tuple[FaceDataset, bool]:
    schema = table.schema_arrow
    there = {name.strip().lower(): name for name in schema.names}
    column = {key: there[name] for key, names in COLUMNS.items() for name in reversed(names) if name in there}
    if "picture" not in column:
        raise InputError(f"{file}: missing column of pictures; allowed are {', '.join(COLUMNS['picture'])}")
    classes = _classes(schema, column.get("label"))
    implied = _implied(file, labelled="label" in column)
    pixels, label, split = [], [], []
    for number, row in enumerate(_rows(table, column)):
        where = f"{file}: row {number}"
        pixels.append(_picture(where, row["picture"]))
        label.append(_label(where, row["label"], classes) if "label" in row else UNLABELLED)
        split.append(_split(where, row["split"]) if "split" in row else implied)
    if not pixels:
        raise InputError(f"{file}: no face in it")
    codes, roles = np.array(label, dtype=np.int8), np.array(split, dtype=np.int8)
    faces = FaceDataset(np.stack(pixels), codes, roles, np.arange(len(pixels), dtype=np.int32))
    return faces, "split" in column


def _rows(table: "pyarrow.parquet.ParquetFile", column: dict[str, str]) -> Iterator[dict[str, Any]]:
    for batch in table.iter_batches(CHUNK, columns=list(column.values())):
        for row in batch.to_pylist():
            yield {key: row[name] for key, name in column.items()}


def _classes(schema: "pyarrow.Schema", label: str | None) -> Sequence[str]:
    """Names of the label codes: those in Hugging Face's metadata, else FER-2013's."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        found = about["info"]["features"][label]["names"]
        return found if isinstance(found, list) and all(isinstance(name, str) for name in found) else FER7
    except (KeyError, TypeError, ValueError):
        return FER7


def _implied(file: Path, labelled: bool) -> Split:
    """The split of a file without a column for it."""
    word = re.split(r"[^a-z]", file.name.lower())[0]
    if splits.known(word):
        return splits.named(word)
    return Split.Training if labelled else Split.PrivateTest


def _picture(where: str, value: Any) -> np.ndarray:
    from hierarchy.data import images

    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise InputError(f"{where}: no picture; allowed are a picture file's bytes, or a struct with them")
    return images.crop(images.read(data, where))


def _label(where: str, value: Any, classes: Sequence[str]) -> int:
    if isinstance(value, int) and 0 <= value < len(classes):
        value = classes[value]
    if not isinstance(value, str):
        codes = ", ".join(f"{code} {name}" for code, name in enumerate(classes))
        raise InputError(f"{where}: unknown label {value!r}; allowed are {codes}, or the names")
    with error_context(where):
        return FER7.index(expression(value))


def _split(where: str, value: Any) -> Split:
    with error_context(where):
        return splits.named(str(value))
