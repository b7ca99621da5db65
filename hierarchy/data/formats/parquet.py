"""Parquet files with pictures as bytes, as data hubs distribute them.

The picture column holds a file's bytes, or Hugging Face's struct of bytes and path. Labels are names or
codes, which are FER-2013's unless the file's metadata names its classes. The split is a column, or the
beginning of the file's name (`train-00000-of-00001.parquet`), else Training, or PrivateTest where there is no
label column.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.data import images, splits
from hierarchy.data.dataset import SKETCH, FaceDataset, Split
from hierarchy.data.formats.codes import FER2013_NAMES
from hierarchy.data.formats.image_folder import png
from hierarchy.data.formats.rows import Row, dataset, label_name
from hierarchy.errors import InputError, error_context, first_line

if TYPE_CHECKING:
    import pyarrow

COLUMNS: Final[dict[str, tuple[str, ...]]] = {  # names of each column, the first that exists is read
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
    """Faces of Parquet files, one after another; rows count on from file to file.

    Raises:
        InputError: names the file, the row in it (from 0), and what is expected.
    """
    source = files[0].name if len(files) == 1 else f"{files[0].resolve().parent.name}/"
    return dataset(chain(*map(_file, files)), source)


def write(faces: FaceDataset, folder: Path) -> None:
    """One file: image (PNG bytes, and the row as path), label and split by name; all faces labelled."""
    import pyarrow
    from pyarrow import parquet

    pairs = zip(faces.pixels, faces.row, strict=True)
    columns = {
        "image": [{"bytes": png(pixels), "path": f"{row:05d}.png"} for pixels, row in pairs],
        "label": [faces.names[label] for label in faces.label],
        "split": [Split(split).name for split in faces.split],
    }
    parquet.write_table(pyarrow.table(columns), folder / f"{SKETCH if faces.drawn else 'faces'}.parquet")


def _file(file: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            yield from _rows(file, table)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{file}: not a readable Parquet file ({first_line(error)})") from None


def _rows(file: Path, table: "pyarrow.parquet.ParquetFile") -> Iterator[Row]:
    schema = table.schema_arrow
    present = {name.strip().lower(): name for name in schema.names}
    column = {
        key: present[name] for key, names in COLUMNS.items() for name in reversed(names) if name in present
    }
    if "picture" not in column:
        raise InputError(f"{file}: no picture column; expected one of {', '.join(COLUMNS['picture'])}")
    if not table.metadata.num_rows:
        raise InputError(f"{file}: contains no faces")
    classes = _classes(schema, column.get("label"))
    word = re.split(r"[^a-z]", file.name.lower())[0]
    split = splits.NAMES.get(word, Split.Training if "label" in column else Split.PrivateTest)
    batches = table.iter_batches(CHUNK, columns=list(column.values()))
    for number, row in enumerate(chain.from_iterable(batch.to_pylist() for batch in batches)):
        with error_context(f"{file}: row {number}"):
            pixels = _picture(row[column["picture"]])
            label = label_name(row[column["label"]], classes) if "label" in column else None
            if "split" in column:
                split = splits.named(str(row[column["split"]]))
        yield Row(pixels, label, split, "split" in column)


def _classes(schema: "pyarrow.Schema", label: str | None) -> Sequence[str]:
    """Names of the label codes: those in Hugging Face's metadata, else FER-2013's."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        names = about["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return FER2013_NAMES
    valid = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if valid else FER2013_NAMES


def _picture(value: Any) -> np.ndarray:
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise InputError("no picture; expected the bytes of a picture file, or a struct with them")
    return images.crop(images.read(data))
