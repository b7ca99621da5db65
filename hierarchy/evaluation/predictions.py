"""predictions.npz: the logits of every net of a run on every face of a split, before calibration.

All scores can be computed from it again; pixels are not stored.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import runs
from hierarchy.data.dataset import Split
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.errors import InputError
from hierarchy.fileio import check_archive
from hierarchy.manifest import RunManifest
from hierarchy.runs import Run
from hierarchy.taxonomy import FLAT, Tree

FILE: Final = "predictions.npz"
MAIN: Final = (Split.PrivateTest.name, "single")  # split and view of the report at a run's top
LEAKS: Final = {"twin", "near"}  # columns that stand together
COLUMNS: Final = ("row", "split", "label", "nets", "names", "twin", "near")
MARK: Final = "logits of "  # before a node's name that is also a column's


@dataclass(frozen=True)
class Leakage:
    """Which of the scored faces have a copy among the Training faces."""

    exact: np.ndarray  # bool[N], the same pixels
    near: np.ndarray  # bool[N], the same photo in another crop or tone

    @property
    def free(self) -> dict[str, np.ndarray]:
        """Faces without copies, bool[N], by their key in scores.json."""
        return {"leak_free": ~self.exact, "leak_free_near": ~self.exact & ~self.near}


@dataclass(frozen=True)
class StoredPredictions:
    """Logits for N faces, and what is needed to score them."""

    row: np.ndarray  # int32[N], each face's row in its file
    split: np.ndarray  # int8[N], values of Split
    label: np.ndarray  # int8[N], index into `names`; -1: unlabelled
    logits: Mapping[str, np.ndarray]  # node -> float32[N, its classes], before calibration
    leaks: Leakage | None = None  # None where copies in Training were not searched for
    nets: Mapping[str, str] = field(default_factory=dict)  # node -> checksum of the net of its logits
    names: tuple[str, ...] = FER2013_NAMES  # what the labels mean

    def target(self, tree: Tree) -> np.ndarray:
        """Index into the tree's leaves, int64[N]; -1: unlabelled, or a class that the tree lacks."""
        codes = [tree.class_index(FLAT, tree.leaf_named(name)) for name in self.names]
        return np.array([*codes, -1])[self.label]

    def to_bytes(self) -> bytes:
        """A compressed .npz archive without pickles."""
        columns: dict[str, Any] = {"row": self.row, "split": self.split, "label": self.label}
        columns |= {_column(node): logits for node, logits in self.logits.items()}
        columns |= {} if self.leaks is None else {"twin": self.leaks.exact, "near": self.leaks.near}
        columns["nets"] = np.array(json.dumps(dict(self.nets)))
        columns |= {} if self.names == FER2013_NAMES else {"names": np.array(self.names)}
        out = io.BytesIO()
        np.savez_compressed(out, allow_pickle=False, **columns)
        return out.getvalue()


def _column(node: str) -> str:
    return f"{MARK}{node}" if node in (*COLUMNS, "file", "allow_pickle") else node


def folder_of(run: Run, split: str, view: str) -> Path:
    """Folder of a run's report: for the single view of PrivateTest the run's own."""
    return run.folder if (split, view) == MAIN else run.folder / f"{split}-{view}"


def path_of(name: str, split: str, view: str) -> Path:
    """File of a run's predictions on a split, whether it exists or not."""
    return folder_of(runs.run(name), split, view) / FILE


def of_run(manifest: RunManifest, split: str, view: str) -> StoredPredictions:
    """The stored predictions of a run on a split.

    Raises:
        InputError: it was not evaluated there in that view, or its nets have changed since.
    """
    name = manifest.run
    path = path_of(name, split, view)
    if not path.is_file():
        raise InputError(
            f"run {name!r}: no predictions of {split}, {view}; "
            f"write them with: evaluate --run {name} --split {split} --tta {view}"
        )
    stored = read(path)
    if stored.nets != {node: manifest.checksums.get(node) for node in stored.logits}:
        raise InputError(f"{path}: made with other nets than the run's; evaluate it again")
    for node, logits in stored.logits.items():
        if logits.shape[1] != (classes := len(manifest.tree.classes_of(node))):
            raise InputError(f"{path}: {logits.shape[1]} logits of the {node} net; expected {classes}")
    if (stored.target(manifest.tree) < 0).all():
        raise InputError(f"{path}: no face has a label of the tree ({manifest.tree})")
    return stored


def _check_rows(columns: Mapping[str, np.ndarray]) -> None:
    """Refuse columns of different lengths, and logits that are no numbers: ValueError."""
    rows = columns["row"].shape
    for name, values in columns.items():
        if name not in ("nets", "names") and values.shape[:1] != rows:
            raise ValueError(f"{name} has other rows")
        if name in ("row", "split", "label") and (values.ndim != 1 or values.dtype.kind not in "iu"):
            raise ValueError(f"{name} is not a list of whole numbers")
        if name in ("twin", "near") and (values.ndim != 1 or values.dtype != bool or LEAKS - columns.keys()):
            raise ValueError(f"{name} is not one of two masks")
        if name not in COLUMNS and (values.ndim != 2 or values.dtype.kind != "f"):
            raise ValueError(f"{name} is not a table of logits")


def read(path: Path) -> StoredPredictions:
    """The predictions that `to_bytes` wrote.

    Raises:
        InputError: the file is missing, damaged, or not one of predictions.
    """
    try:
        check_archive(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            columns = dict(archive)
        row, split, label = (columns[name] for name in COLUMNS[:3])
        nets = json.loads(str(columns["nets"]))
        _check_rows(columns)
        names = tuple(map(str, columns.get("names", FER2013_NAMES)))
        if not -1 <= label.min() <= label.max() < len(names):
            raise ValueError("label has other codes than those of names")
    except Exception:  # NumPy meets damaged files with nearly any exception
        raise InputError(f"{path}: cannot be read as predictions; write them with `evaluate`") from None
    leaks = Leakage(columns["twin"], columns["near"]) if "twin" in columns else None
    logits = {key.removeprefix(MARK): value for key, value in columns.items() if key not in COLUMNS}
    return StoredPredictions(row, split, label, logits, leaks, nets, names)
