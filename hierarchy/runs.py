"""A run is a folder: what was trained, on what, with which recipe, and the files it left.

results/<run>/recipe.json is the run's identity card: recipe, tree, data, versions, and for every net its
file with its checksum. Whatever is written here appears whole or not at all.
"""

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any, Final

from hierarchy.errors import InputError
from hierarchy.fileio import check_file, read_json, sha256, write_atomic, write_json
from hierarchy.taxonomy import TREE, check_tree, tree_hash

SHIPPED: Final = "fer2013"  # the run that predict and evaluate use when none is named
CARD: Final = "recipe.json"
TOLD: Final = ("tree", "nets", "recipe")  # what every card tells, each as an object
HISTORY: Final = "history.csv"
SKETCH: Final = "sketch"  # the source of drawn faces
LIBRARIES: Final = ("hierarchy", "keras", "numpy", "imbalanced-learn", "scikit-learn")
BACKENDS: Final = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax",),
    "torch": ("torch",),
    "pytorch": ("torch",),
}


def home() -> Path:
    """The folder that holds results/, logs/ and data/: the repository, or $HIERARCHY_HOME."""
    return Path(os.environ.get("HIERARCHY_HOME") or Path(__file__).resolve().parents[1])


def versions(backend: str) -> dict[str, str]:
    """Versions of this package and of the libraries that a net trained on a backend depends on."""
    found = {}
    for name in (*LIBRARIES, *BACKENDS[backend]):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def tells(value: Any, *keys: str) -> bool:
    """Whether a value of a card is an object with these keys."""
    return isinstance(value, dict) and value.keys() >= set(keys)


@dataclass(frozen=True)
class Run:
    """The two folders of a run: `folder` under results/ is kept, `log` under logs/ serves the training."""

    name: str
    folder: Path
    log: Path

    @property
    def trained(self) -> bool:
        """Whether the run has an identity card, and so at least one net."""
        return (self.folder / CARD).is_file()

    def card(self) -> dict[str, Any]:
        """The identity card.

        Raises:
            InputError: there is none, it is damaged, or it is of another tree.
        """
        if not self.trained:
            raise InputError(
                f"run {self.name!r} has not been trained: there are {', '.join(names()) or 'no runs yet'}"
            )
        card = read_json(self.folder / CARD)
        if not isinstance(card, dict) or any(not isinstance(card.get(key), dict) for key in TOLD):
            raise InputError(f"{self.folder / CARD}: not a run's recipe.json (needs {', '.join(TOLD)})")
        if not all(tells(net, "file", "sha256") for net in card["nets"].values()):
            raise InputError(f"{self.folder / CARD}: every net needs its file and sha256")
        exports = card.get("exports", {})
        made = exports.values() if tells(exports) else [exports]
        if not all(tells(each) and all(tells(net, "files", "net") for net in each.values()) for each in made):
            raise InputError(f"{self.folder / CARD}: every exported net needs its files and net")
        check_tree(card["tree"], str(self.folder))
        return card

    def add_net(
        self,
        node: str,
        data: bytes,
        about: Mapping[str, Any],
        identity: Mapping[str, Any],
        suffix: str = ".keras",
    ) -> None:
        """Store a node's net, then name it on the card together with what the card says of the whole run."""
        card = self.card() if self.trained else {"nets": {}}
        file = f"{node}{suffix}"
        write_atomic(self.folder / file, data)
        versioned = {"versions": versions(about["backend"]), **about}
        nets = card["nets"] | {node: {"file": file, "bytes": len(data), "sha256": sha256(data), **versioned}}
        whole = {"run": self.name, "tree": TREE, "tree_hash": tree_hash()}
        write_json(self.folder / CARD, whole | dict(identity) | {"nets": nets})

    def check_writable(self) -> None:
        """Refuse a results folder that cannot be written before hours are spent on it.

        Raises:
            InputError: nothing can be written there.
        """
        probe = self.folder / ".probe"
        write_atomic(probe, b"")
        probe.unlink()

    def history(self) -> list[dict[str, str]]:
        """Rows of the run's history.csv, one an epoch and node; none where it kept no history."""
        path = self.folder / HISTORY
        if not path.is_file():
            return []
        with path.open(newline="") as file:
            return list(csv.DictReader(file))

    def amend(self, values: Mapping[str, Any]) -> None:
        """Put values on the card, in place of those of the same name."""
        write_json(self.folder / CARD, self.card() | dict(values))

    def net(self, node: str) -> Path:
        """File of a node's net, its checksum compared.

        Raises:
            InputError: the run has no such net, or its bytes are not those that were written.
        """
        nets = self.card()["nets"]
        if node not in nets:
            raise InputError(f"run {self.name!r} has no {node} net: it has {', '.join(nets)}")
        path = self.folder / nets[node]["file"]
        check_file(path, nets[node]["sha256"])
        return path


def checksums(card: Mapping[str, Any]) -> dict[str, str]:
    """Checksum of every net's file that a card names, by node."""
    return {node: net["sha256"] for node, net in card["nets"].items()}


def sketched(card: Mapping[str, Any]) -> bool:
    """Whether a run was trained on drawn faces: the rule of `Faces.drawn`, applied to the recorded source."""
    return str(card.get("data", {}).get("source", "")).split(".")[0] == SKETCH


def write_history(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write history.csv: a row an epoch and node, a column for every key."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(dict.fromkeys(chain(*rows))), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(folder / HISTORY, text.getvalue().encode())


def adopt(source: Run, target: Run, node: str, identity: Mapping[str, Any]) -> None:
    """Give a new run another run's net as it is, with its history and what is known of its training.

    Raises:
        InputError: there is no such net, or it is damaged.
    """
    data, about = source.net(node).read_bytes(), source.card()["nets"][node]
    if history := [row for row in source.history() if row["node"] == node]:
        write_history(target.folder, history)
    target.add_net(node, data, {**about, "from": source.name}, identity, Path(about["file"]).suffix)


def copy(source: Run, target: Run) -> None:
    """Copy a run's files under another name.

    Raises:
        InputError: the target is there already.
    """
    if target.trained:
        raise InputError(f"run {target.name!r} is there already: choose another name")
    # not the folders, which hold reports on other views; the card last, since it makes a run
    files = sorted(filter(Path.is_file, source.folder.iterdir()), key=lambda path: path.name == CARD)
    for path in files:
        write_atomic(target.folder / path.name, path.read_bytes())
    target.amend({"run": target.name})


def names() -> list[str]:
    """Names of all trained runs."""
    return sorted(path.parent.name for path in (home() / "results").glob(f"*/{CARD}"))


def run(name: str) -> Run:
    """The run of a name, trained or not.

    Raises:
        InputError: the name could leave the results folder, or is too long for one.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InputError(f"run name {name!r}: allowed are at most 100 letters, digits, '.', '_' and '-'")
    return Run(name, home() / "results" / name, home() / "logs" / name)
