"""Parquet files with pictures as bytes, as data hubs distribute them.

The picture column holds a file's bytes, or Hugging Face's struct of bytes and path. Labels are names or
codes, which are FER-2013's unless the file's metadata names its classes. The split is a column, or the
beginning of the file's name (`train-00000-of-00001.parquet`), else Training, or PrivateTest where there is no
label column.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.data import images, splits
from hierarchy.data.dataset import SKETCH, FaceDataset, Origin, Split
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.data.formats.image_folder import png
from hierarchy.data.formats.rows import Row, dataset, label_name
from hierarchy.errors import InputError, error_context, first_line

if TYPE_CHECKING:
    import pyarrow

COLUMNS: Final[dict[str, tuple[str, ...]]] = {  # names of each column, the first that exists is read
    "picture": ("image", "img", "picture", "bytes", "pixels"),
    "label": ("label", "labels", "emotion", "expression"),
    "split": ("split", "usage"),
    "origin": ("origin",),  # of generated faces; every other value is as none
}
CHUNK: Final = 1000  # rows read at once
MAX_UNPACKED: Final = 2**28  # bytes of rows that are stored together, if RATIO times the size of the file
RATIO: Final = 20


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
    return dataset(chain.from_iterable(map(_rows, files)), source)


def write(faces: FaceDataset, folder: Path) -> None:
    """One file, see `write_file`: sketch.parquet of drawn faces, faces.parquet of others."""
    write_file(faces, folder / f"{SKETCH if faces.drawn else 'faces'}.parquet")


def write_file(faces: FaceDataset, file: Path) -> None:
    """Write image (PNG bytes, and the row as path), label and split by name; all faces labelled.

    Where some are generated, the origin of each too.
    """
    import pyarrow
    from pyarrow import parquet

    pairs = zip(faces.pixels, faces.row, strict=True)
    columns = {
        "image": [{"bytes": png(pixels), "path": f"{row:05d}.png"} for pixels, row in pairs],
        "label": [faces.names[label] for label in faces.label],
        "split": [Split(split).name for split in faces.split],
    }
    if faces.generated.any():
        columns["origin"] = [Origin(origin).name for origin in faces.origin]
    parquet.write_table(pyarrow.table(columns), file)


def faces(file: Path) -> Iterator[np.ndarray | InputError]:
    """The pixels of each row, or why there are none, one row at a time; whatever the other columns hold.

    Raises:
        InputError: no picture column, no row, or the file is damaged.
    """
    with opened(file, str(file)) as table:
        column = _present(table)["picture"]
        for number, (value,) in enumerate(values(table, [column])):
            try:
                yield _picture(value)
            except InputError as error:
                yield InputError(f"row {number}: {error}")


@contextmanager
def opened(file: Any, source: str) -> Iterator["pyarrow.parquet.ParquetFile"]:
    """A Parquet file, read in small pieces; texts and bytes that repeat are held once, as in the file.

    Args:
        file: path, or an open file.
        source: named in errors.

    Raises:
        InputError: it is not readable, or turns out so inside the block; or rows that are stored together
            unpack to more than MAX_UNPACKED bytes and RATIO times the size of the file.
    """
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(file)
        _check_size(metadata, file.stat().st_size if isinstance(file, Path) else file.seek(0, os.SEEK_END))
        leaves = map(metadata.schema.column, range(metadata.num_columns))
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        options = {"buffer_size": 2**20, "pre_buffer": False, "arrow_extensions_enabled": False}
        with parquet.ParquetFile(file, metadata=metadata, read_dictionary=texts, **options) as table:
            yield table
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except ImportError:
        raise
    except Exception as error:  # of Arrow and the operating system; names and texts that are not UTF-8
        raise InputError(f"{source}: not a readable Parquet file ({first_line(error)})") from None


def _check_size(metadata: "pyarrow.parquet.FileMetaData", size: int) -> None:
    for group in range(metadata.num_row_groups):  # those of a column cannot be asked for: Arrow may abort
        unpacked = metadata.row_group(group).total_byte_size
        if unpacked > max(MAX_UNPACKED, RATIO * size):
            most = f"expected at most {MAX_UNPACKED // 2**20} MiB"
            raise InputError(f"row group {group}: {unpacked:,} bytes in a file of {size:,}; {most}")


def values(table: "pyarrow.parquet.ParquetFile", columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values of columns, row by row; of a struct with bytes, these.

    Raises:
        InputError: a column of lists or of other structs.
    """
    leaves = [_leaf(table, column) for column in columns]
    for batch in table.iter_batches(CHUNK, columns=leaves):
        arrays = [batch.column(column) for column in columns]
        arrays = [array.field(0) if array.type.num_fields else array for array in arrays]
        for cells in zip(*arrays, strict=True):  # one at a time: a batch may repeat a large one
            yield tuple(cell.as_py() for cell in cells)


def _leaf(table: "pyarrow.parquet.ParquetFile", column: str) -> str:
    """The path of a column's values."""
    from pyarrow import types

    kind = table.schema_arrow.field(column).type
    inner = types.is_struct(kind) and "bytes" in [field.name for field in kind]
    if types.is_nested(kind.field("bytes").type if inner else kind):
        raise InputError(f"column {column}: holds {str(kind)!r:.40}; expected bytes, texts or numbers")
    return f"{column}.bytes" if inner else column


def _nested(table: "pyarrow.parquet.ParquetFile", column: str) -> bool:
    from pyarrow import types

    return bool(types.is_nested(table.schema_arrow.field(column).type))


def _rows(file: Path) -> Iterator[Row]:
    with opened(file, str(file)) as table:
        column = _present(table)
        classes = _classes(table.schema_arrow, column.get("label"))
        word = re.split(r"[^a-z]", file.name.lower())[0]
        split = splits.NAMES.get(word, Split.Training if "label" in column else Split.PrivateTest)
        for number, cells in enumerate(values(table, list(column.values()))):
            row = dict(zip(column, cells, strict=True))
            with error_context(f"row {number}"):
                pixels = _picture(row["picture"])
                label = label_name(row["label"], classes) if "label" in row else None
                if "split" in row:
                    split = splits.named(str(row["split"]))
            yield Row(pixels, label, split, "split" in row, row.get("origin") == Origin.generated.name)


def _present(table: "pyarrow.parquet.ParquetFile") -> dict[str, str]:
    """The name of each column that exists."""
    present = {name.strip().lower(): name for name in table.schema_arrow.names}
    column = {
        key: present[name] for key, names in COLUMNS.items() for name in reversed(names) if name in present
    }
    if "origin" in column and _nested(table, column["origin"]):
        del column["origin"]  # another program's
    if "picture" not in column:
        raise InputError(f"no picture column; expected one of {', '.join(COLUMNS['picture'])}")
    if not table.metadata.num_rows:
        raise InputError("contains no faces")
    return column


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
