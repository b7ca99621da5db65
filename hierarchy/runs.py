"""A run is a folder: what was trained, on what, with which recipe, and the files it left.

results/<run>/recipe.json is the run's manifest: recipe, tree, data, versions, and for every net its file with
its checksum. It is read and checked once a process. Whatever is written here appears whole or not at all.
"""

import csv
import functools
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from hierarchy.errors import CHECKOUT, DISTRIBUTION, InputError, first_line
from hierarchy.fileio import check_file, folder_lock, read_json, read_text, sha256, write_atomic, write_json
from hierarchy.manifest import RunManifest, sealed
from hierarchy.taxonomy import TRUNK, Tree

DEFAULT_RUN: Final = "fer2013"  # the run that predict and evaluate use when none is named
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # of a run
LONGEST: Final = 3000  # bytes of the home folder's path; a file's may have 4,096
MANIFEST: Final = "recipe.json"
HISTORY: Final = "history.csv"
SHIPPED: Final = Path(__file__).with_name("weights")  # runs inside an installed package; read only
REPOSITORY_ONLY: Final = "the installed package holds exported nets only, the repository all of them"
SKETCH: Final = "sketch"  # the source of drawn faces
LIBRARIES: Final = (DISTRIBUTION, "keras", "numpy", "imbalanced-learn", "scikit-learn")
BACKENDS: Final = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax",),
    "torch": ("torch",),
    "pytorch": ("torch",),
}


def home() -> Path:
    """The folder of results/, logs/ and data/: $HIERARCHY_HOME, else the checkout, else the user's data."""
    if folder := os.environ.get("HIERARCHY_HOME"):
        if len(os.fsencode(folder)) > LONGEST:
            raise InputError(f"$HIERARCHY_HOME: more than {LONGEST:,} bytes, expected the path of a folder")
        return Path(folder)
    if CHECKOUT:
        return CHECKOUT
    import platformdirs

    return platformdirs.user_data_path(DISTRIBUTION, appauthor=False)


def places() -> tuple[Path, ...]:
    """Where runs are looked for: results/, and the shipped runs of an installed package."""
    return (home() / "results", *(place for place in (SHIPPED,) if place.is_dir()))


def folder_with(name: str, file: str) -> Path:
    """The first folder of a name that holds a file; without any, the one in results/."""
    folders = [place / name for place in places()]
    return next((folder for folder in folders if (folder / file).is_file()), folders[0])


def versions(backend: str) -> dict[str, str]:
    """Versions of this package and of the libraries that a net trained on a backend depends on."""
    from importlib import metadata  # which takes longer than this module

    found = {}
    for name in (*LIBRARIES, *BACKENDS[backend]):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


@functools.lru_cache(maxsize=64)
def _manifest(path: Path, changed: tuple[int, int, int]) -> RunManifest:
    """The manifest of a file, checked once for each state of it."""
    return RunManifest.from_dict(read_json(path), str(path))


@dataclass(frozen=True)
class Run:
    """The two folders of a run: `folder` under results/ is kept, `log` under logs/ serves the training."""

    name: str
    folder: Path
    log: Path

    @property
    def trained(self) -> bool:
        """Whether the run has a manifest, and so at least one net."""
        return (self.folder / MANIFEST).is_file()

    @property
    def shipped(self) -> bool:
        """Whether the run is part of an installed package, and so read only."""
        return self.folder.parent == SHIPPED

    def manifest(self) -> RunManifest:
        """The run's manifest.

        Raises:
            InputError: there is none, or it is damaged.
        """
        if not self.trained:
            looked, known = " and ".join(map(str, places())), ", ".join(names())
            raise InputError(f"run {self.name!r} not found in {looked}: there are {known or 'no runs yet'}")
        path = self.folder / MANIFEST
        about = path.stat()
        found = _manifest(path, (about.st_mtime_ns, about.st_size, about.st_ino))
        return found if found.run == self.name else replace(found, run=self.name)  # its folder was renamed

    def add_net(
        self,
        node: str,
        data: bytes,
        about: Mapping[str, Any],
        identity: Mapping[str, Any],
        tree: Tree,
        suffix: str = ".keras",
    ) -> None:
        """Store a net, then add its nodes to the manifest with what is recorded of the whole run.

        The trunk's head over all leaves only helps to train it, and is no node of the manifest.
        """
        file = f"{node}{suffix}"
        versioned = {"versions": versions(about["backend"]), **about}
        record = {"file": file, "bytes": len(data), "sha256": sha256(data), **versioned}
        nets = {node: record}
        if node == TRUNK:
            heads = {head: {"classes": list(tree.classes_of(head)), "shared": True} for head in tree.nodes}
            nets = {head: record | own for head, own in heads.items()}
        with self._changing(new=True) as stored:
            write_atomic(self.folder / file, data)
            nets = stored.get("nets", {}) | nets
            stored.clear()
            stored |= {"run": self.name, "tree": tree.to_dict(), "tree_hash": tree.hash}
            stored |= {**identity, "nets": nets}

    def history(self) -> list[dict[str, str]]:
        """Rows of the run's history.csv, one per epoch and node; empty where it kept no history."""
        path = self.folder / HISTORY
        if not path.is_file():
            return []
        text, rows = read_text(path), []
        try:
            for row in csv.DictReader(io.StringIO(text, newline=""), strict=True):
                for cell in (row | {"node": ""}).values():  # of more or fewer columns: a list or None
                    float("0" if cell == "" else cell)
                rows.append({**row, "node": row["node"]})
        except (csv.Error, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a history ({first_line(error)})") from None
        return rows

    def amend(self, values: Mapping[str, Any]) -> None:
        """Put values into the manifest, in place of those of the same name."""
        with self._changing() as stored:
            stored |= values

    def add_export(self, engine: str, files: Mapping[str, Any]) -> None:
        """Put what was exported for an engine into the manifest, beside that for others."""
        with self._changing() as stored:
            stored["exports"] = stored.get("exports", {}) | {engine: dict(files)}

    @contextmanager
    def _changing(self, new: bool = False) -> Iterator[dict[str, Any]]:
        """The manifest's values to be changed, none yet if it may be new; they are written at the end."""
        with folder_lock(self.folder):  # no process writes what another one has read
            stored = {} if new and not self.trained else self._stored()
            yield stored
            write_json(self.folder / MANIFEST, sealed(stored))

    def net(self, node: str) -> Path:
        """File of a node's net, its checksum compared.

        Raises:
            InputError: the run has no such net, or its bytes are not those that were written.
        """
        nets = self.manifest().nets
        if node not in nets:
            raise InputError(f"run {self.name!r} has no {node} net: it has {', '.join(nets)}")
        path = self.folder / nets[node].file
        check_file(path, nets[node].sha256, REPOSITORY_ONLY if self.shipped else "")
        return path

    def _stored(self) -> dict[str, Any]:
        """The manifest's file as plain values, checked."""
        self.manifest()
        stored: dict[str, Any] = read_json(self.folder / MANIFEST)
        return stored


def sketched(manifest: RunManifest) -> bool:
    """Whether a run was trained on drawn faces: the rule of `FaceDataset.drawn`."""
    return str(manifest.data.get("source", "")).split(".")[0] == SKETCH


def write_history(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write history.csv: a row per epoch and node, a column for every key."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(dict.fromkeys(chain(*rows))), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(folder / HISTORY, text.getvalue().encode())


def copy_net(source: Run, target: Run, node: str, identity: Mapping[str, Any]) -> None:
    """Give a new run another run's net as it is, with its history and what is recorded of its training.

    Raises:
        InputError: there is no such net, or it is damaged.
    """
    data, about = source.net(node).read_bytes(), source._stored()["nets"][node]
    if history := [row for row in source.history() if row["node"] == node]:
        write_history(target.folder, history)
    recorded = {**about, "from": source.name}
    target.add_net(node, data, recorded, identity, source.manifest().tree, Path(about["file"]).suffix)


def copy(source: Run, target: Run) -> None:
    """Copy a run's files under another name.

    Raises:
        InputError: the target is there already.
    """
    if target.trained:
        raise InputError(f"run {target.name!r} exists already: choose another name")
    # not the folders, which hold reports on other views; the manifest last, since it makes a run
    files = sorted(filter(Path.is_file, source.folder.iterdir()), key=lambda path: path.name == MANIFEST)
    for path in files:
        write_atomic(target.folder / path.name, path.read_bytes())
    target.amend({"run": target.name})


def names() -> list[str]:
    """Names of all trained runs; folders whose names no run can have are left out."""
    folders = {path.parent.name for place in places() for path in place.glob(f"*/{MANIFEST}")}
    return sorted(filter(NAME.fullmatch, folders))


def run(name: str) -> Run:
    """The run of a name, trained or not.

    Raises:
        InputError: the name could leave the results folder, or is too long for one.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(f"run name {name!r:.200}: expected at most 100 letters, digits, '.', '_' and '-'")
    return Run(name, folder_with(name, MANIFEST), home() / "logs" / name)
