"""predictions.npz: what every net of a run said of every face of a split, so that any score can be repeated.

Logits are kept as the nets gave them, before calibration; pixels are not kept.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from hierarchy import runs
from hierarchy.data.dataset import Split
from hierarchy.errors import InputError
from hierarchy.evaluation.metrics import Leakage
from hierarchy.runs import Run
from hierarchy.taxonomy import FER7, FLAT, LEAVES, NODES

FILE: Final = "predictions.npz"
MAIN: Final = (Split.PrivateTest.name, "single")  # the split and view whose report stands at a run's top
COLUMNS: Final = ("row", "split", "label", "nets", "twin", "near")
CODES: Final = np.array([LEAVES.index(name) if name in LEAVES else -1 for name in FER7])


@dataclass(frozen=True)
class StoredPredictions:
    """The nets' answers to N faces, and what is needed to judge them.

    Attributes:
        row: int32[N], each face's row in its file.
        split: int8[N], values of Split.
        label: int8[N], index into FER7; -1: unlabelled.
        logits: node -> float32[N, its classes], before calibration.
        leaks: which faces have copies in Training; None where nobody looked.
        nets: node -> checksum of the net that gave its logits.
    """

    row: np.ndarray
    split: np.ndarray
    label: np.ndarray
    logits: Mapping[str, np.ndarray]
    leaks: Leakage | None = None
    nets: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> np.ndarray:
        """Index into LEAVES, int64[N]; -1: unlabelled, or an expression that is left out of the tree."""
        return np.where(self.label < 0, -1, CODES[self.label])

    def to_bytes(self) -> bytes:
        """The whole as a compressed .npz archive without pickles."""
        columns: dict[str, Any] = {"row": self.row, "split": self.split, "label": self.label, **self.logits}
        columns |= {} if self.leaks is None else vars(self.leaks)
        columns["nets"] = np.array(json.dumps(dict(self.nets)))
        out = io.BytesIO()
        np.savez_compressed(out, allow_pickle=False, **columns)
        return out.getvalue()


def folder_of(run: Run, split: str, view: str) -> Path:
    """Where the report of a run lies: the single view of PrivateTest at its top."""
    return run.folder if (split, view) == MAIN else run.folder / f"{split}-{view}"


def path_of(name: str, split: str, view: str) -> Path:
    """Where a run's predictions of a split lie, evaluated or not."""
    return folder_of(runs.run(name), split, view) / FILE


def of_run(card: Mapping[str, Any], split: str, view: str) -> StoredPredictions:
    """What a run's nets said of a split.

    Raises:
        InputError: it was not evaluated there in that view, or other nets than its own were.
    """
    path = path_of(card["run"], split, view)
    if not path.is_file():
        raise InputError(
            f"run {card['run']!r}: no predictions of {split}, {view}; "
            f"evaluate --run {card['run']} --split {split} --view {view} writes them"
        )
    kept = read(path)
    if kept.nets != {node: runs.checksums(card).get(node) for node in kept.logits}:
        raise InputError(f"{path}: of other nets than the run's; evaluate it again")
    return kept


def read(path: Path) -> StoredPredictions:
    """What `to_bytes` wrote.

    Raises:
        InputError: the file is missing, damaged, or something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            columns = dict(kept)
        row, split, label = (columns[name] for name in COLUMNS[:3])
        nets = json.loads(str(columns["nets"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise InputError(f"{path}: cannot be read as predictions; evaluate writes them") from None
    leaks = Leakage(columns["twin"], columns["near"]) if "twin" in columns else None
    logits = {node: columns[node] for node in (FLAT, *NODES) if node in columns}
    return StoredPredictions(row, split, label, logits, leaks, nets)
