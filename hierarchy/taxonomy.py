"""Trees of expressions: branches and their leaves as data. No other module lists classes.

A face is sent by the router to a branch, and by that branch's specialist to a leaf. Names, order and counts
are read from the `Tree` that a run carries.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from hierarchy.errors import InputError, error_context
from hierarchy.fileio import read_toml

ROUTER: Final = "router"
FLAT: Final = "flat"  # one net over all leaves: the baseline, and the start of warm-started nodes
TRUNK: Final = "trunk"  # one net that has a head for every node, and one over all leaves
ALL: Final = "all"
LEAVES: Final = 100  # of a tree, at most
SPELLINGS: Final = 1000  # aliases of a tree, at most
TOML_BYTES: Final = 1 << 16  # of a tree's file, at most: parsing time may grow with its square
RESERVED: Final = (ROUTER, FLAT, TRUNK, ALL, "tree")  # names of nets, which no branch or leaf may have
COLUMNS: Final = (  # of tables of predictions, beside one column per leaf
    *("path", "x", "y", "width", "height", "score", "branch", "label", "confidence"),
    *("face", "error", "frame", "time", "track", "prediction_set"),
)

ALIASES: Final[dict[str, str]] = {  # common spellings of expressions in public data sets
    "anger": "angry",
    "afraid": "fear",
    "fearful": "fear",
    "disgusted": "disgust",
    "happiness": "happy",
    "joy": "happy",
    "neutrality": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
}


def spelling(name: str) -> str:
    """The common spelling of a name such as a folder's: `Anger` and ` angry` are one."""
    plain = name.strip().lower()
    return ALIASES.get(plain, plain)


@dataclass(frozen=True, eq=False)
class Tree:
    """Branches in order, each with its leaves in order; another order is another tree.

    Attributes:
        children: branch -> leaves; two or more branches, one or more leaves each. A branch of one leaf needs
            no specialist.
        aliases: other spellings of leaves in data sets -> leaf.
        name: for people; not part of the identity.

    Raises:
        InputError: fewer than two branches, an empty branch, a name twice or reserved, an alias of no leaf.
    """

    children: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.children, Mapping) or len(self.children) < 2:
            raise InputError("a tree needs two or more branches, each with a list of leaves")
        for branch, leaves in self.children.items():
            if isinstance(leaves, str) or not isinstance(leaves, Sequence) or not leaves:
                raise InputError(f"branch {branch!r} of a tree needs a list of one or more leaves")
        if sum(map(len, self.children.values())) > LEAVES:
            raise InputError(f"a tree has at most {LEAVES} leaves")
        children = {branch: tuple(leaves) for branch, leaves in self.children.items()}
        object.__setattr__(self, "children", children)
        for branch in children:
            _check_name(branch, RESERVED)
        for leaf in self.leaves:
            _check_name(leaf, (*RESERVED, *COLUMNS))
        # a branch of one leaf may have that leaf's name
        names = [*self.leaves, *(branch for branch, leaves in children.items() if leaves != (branch,))]
        spelled = [leaf.lower() for leaf in self.leaves]  # data sets name leaves in any case
        if twice := [name for name in names if names.count(name) > 1 or spelled.count(name.lower()) > 1]:
            raise InputError(f"a tree needs distinct names: {twice[0]!r} appears twice")
        if not isinstance(self.aliases, Mapping) or len(self.aliases) > SPELLINGS:
            raise InputError(f"aliases must be a table of at most {SPELLINGS:,} spelling = leaf")
        for alias, leaf in self.aliases.items():
            if leaf not in self.leaves:
                raise InputError(f"alias {alias!r}: {leaf!r} is not a leaf of the tree ({self})")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __str__(self) -> str:
        return " | ".join(f"{branch}: {', '.join(leaves)}" for branch, leaves in self.children.items())

    @cached_property
    def branches(self) -> tuple[str, ...]:
        """Names of the branches, in order."""
        return tuple(self.children)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """Names of all leaves, branch by branch."""
        return tuple(leaf for leaves in self.children.values() for leaf in leaves)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The nets of the tree: the router and a specialist for every branch of two or more leaves."""
        return (ROUTER, *(branch for branch, leaves in self.children.items() if len(leaves) > 1))

    @cached_property
    def nets(self) -> tuple[str, ...]:
        """All nets that can be trained: the flat net first, since the others may start from it."""
        return (FLAT, *self.nodes)

    @cached_property
    def branch_of_leaf(self) -> tuple[int, ...]:
        """Index of the branch of every leaf."""
        return tuple(place for place, leaves in enumerate(self.children.values()) for _ in leaves)

    @cached_property
    def hash(self) -> str:
        """Twelve hex digits that change with any name or order."""
        canonical = json.dumps([[branch, list(leaves)] for branch, leaves in self.children.items()])
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def branch_of(self, leaf: str) -> str:
        """Name of the branch that holds a leaf."""
        return self.branches[self.branch_of_leaf[self.leaves.index(leaf)]]

    def leaf_slice(self, branch: str) -> slice:
        """Position of a branch's leaves among `leaves`."""
        start = self.branch_of_leaf.index(self.branches.index(branch))
        return slice(start, start + len(self.children[branch]))

    def heads(self, net: str) -> tuple[str, ...]:
        """The nodes that a net answers for, in the order of its outputs: itself, or all of the trunk's."""
        return (*self.nodes, FLAT) if net == TRUNK else (net,)

    def columns(self, net: str) -> dict[str, slice]:
        """The outputs of a net that belong to each of its heads."""
        sizes = [len(self.classes_of(node)) for node in self.heads(net)]
        ends = accumulate(sizes)
        return {
            node: slice(end - size, end) for node, size, end in zip(self.heads(net), sizes, ends, strict=True)
        }

    def classes_of(self, node: str) -> tuple[str, ...]:
        """Class names of a net's outputs, in order.

        Raises:
            InputError: there is no such node.
        """
        if node == TRUNK:
            return tuple(name for head in self.heads(node) for name in self.classes_of(head))
        if node not in self.nets:
            raise InputError(f"unknown node {node!r}: expected one of {', '.join(self.nets)}")
        return {ROUTER: self.branches, FLAT: self.leaves, **self.children}[node]

    def members(self, node: str) -> list[list[int]]:
        """For each class of a net, the indices among `leaves` that it stands for."""
        if node == TRUNK:
            return [group for head in self.heads(node) for group in self.members(head)]
        if node == ROUTER:
            return [list(range(len(self.leaves)))[self.leaf_slice(branch)] for branch in self.branches]
        return [[self.leaves.index(leaf)] for leaf in self.classes_of(node)]

    def class_index(self, node: str, leaf: str | None) -> int:
        """Class of a leaf at a net; -1 where the net is not trained on it, or for None."""
        if leaf is None:
            return -1
        place = self.leaves.index(leaf)
        return next((k for k, group in enumerate(self.members(node)) if place in group), -1)

    def leaf_named(self, name: str) -> str | None:
        """The leaf that a name in a data set means, whatever its spelling; None where there is none."""
        plain = name.strip().lower()
        own = {leaf.lower(): leaf for leaf in self.leaves}
        others = {alias.strip().lower(): leaf for alias, leaf in self.aliases.items()}
        common = {spelling(leaf): leaf for leaf in self.leaves}
        return own.get(plain) or others.get(plain) or common.get(spelling(name))

    def nodes_named(self, names: str) -> tuple[str, ...]:
        """The nets that names separated by commas stand for; `all` is the whole tree.

        Raises:
            InputError: there is no such node.
        """
        nodes = {ALL: self.nodes} | {node: (node,) for node in self.nets}
        if unknown := [name for name in names.split(",") if name not in nodes]:
            raise InputError(f"unknown node {unknown[0]!r}: expected one of {', '.join(nodes)}")
        return tuple(dict.fromkeys(node for name in names.split(",") for node in nodes[name]))

    def complete(self, nets: Mapping[str, Any]) -> bool:
        """Whether all nets of the tree are among these."""
        return set(self.nodes) <= nets.keys()

    def check_same(self, other: "Tree", source: str) -> None:
        """Refuse weights or predictions that were made for another tree.

        Raises:
            InputError: names `source` and prints both trees.
        """
        if self != other:
            raise InputError(f"{source}: made for another tree ({other}); expected ({self})")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: branch -> leaves, or `branches` and `aliases` where there are aliases."""
        branches = {branch: list(leaves) for branch, leaves in self.children.items()}
        return {"branches": branches, "aliases": dict(self.aliases)} if self.aliases else branches

    @classmethod
    def from_dict(cls, values: Any, source: str = "tree", name: str = "") -> "Tree":
        """The tree that `to_dict` gave; one of the named trees where it is the same.

        Raises:
            InputError: not a tree; names `source`.
        """
        nested = isinstance(values, Mapping) and isinstance(values.get("branches"), Mapping)
        branches, aliases = (values["branches"], values.get("aliases", {})) if nested else (values, {})
        with error_context(source):
            tree = cls(branches, aliases, name)
        known = None if name or aliases else next((each for each in TREES.values() if each == tree), None)
        return known or tree

    @classmethod
    def from_toml(cls, path: Path | str) -> "Tree":
        """The tree of a TOML file with a table `branches`, and optional `aliases` and `name`.

        Raises:
            InputError: the file is missing, not TOML, or not a tree.
        """
        values = read_toml(Path(path), TOML_BYTES)
        if unknown := sorted(set(values) - {"branches", "aliases", "name"}):
            raise InputError(f"{path}: unknown key {unknown[0]!r}; expected branches, aliases, name")
        if not isinstance(values.get("branches"), dict):
            raise InputError(f"{path}: expected a table `branches` with a list of leaves per branch")
        return cls.from_dict(values, str(path), str(values.get("name", Path(path).stem)))


def _check_name(name: Any, reserved: Sequence[str]) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[^\W_][\w .+-]{0,39}", name):
        raise InputError(
            f"tree name {name!r}: expected at most 40 letters, digits, spaces, '_', '.', '+', '-'"
        )
    if name.lower() in reserved:
        raise InputError(f"tree name {name!r} is reserved, as {', '.join(reserved)} are")


TREES: Final[dict[str, Tree]] = {
    name: Tree({"positive": ("happy", "surprise", "neutral"), "negative": negative}, name=name)
    for name, negative in (
        ("valence", ("angry", "fear", "sad")),
        ("valence7", ("angry", "disgust", "fear", "sad")),
        ("ferplus8", ("angry", "disgust", "fear", "sad", "contempt")),
    )
}
VALENCE: Final = TREES["valence"]


def tree_named(name: str) -> Tree:
    """A named tree, or the tree of a TOML file.

    Raises:
        InputError: no such tree or file, or a file that does not hold a tree.
    """
    if name in TREES:
        return TREES[name]
    if name.endswith(".toml"):
        return Tree.from_toml(name)
    raise InputError(f"unknown tree {name!r}: expected one of {', '.join(TREES)}, or a .toml file")


COLOURS: Final[dict[str, str]] = {
    # Expressions have the hues of Okabe and Ito, each at least 3:1 on white and a CIE76 distance of 20 apart,
    # for colour-blind eyes too; nets and branches are at least 4.5:1 on white, where they are text.
    "happy": "#c08700",
    "surprise": "#2a95ea",
    "neutral": "#919191",
    "angry": "#9e450b",
    "fear": "#98609f",
    "sad": "#06366e",
    "disgust": "#047249",
    "contempt": "#2c260b",
    "positive": "#14796d",
    "negative": "#7b4fa3",
    ROUTER: "#333333",
    FLAT: "#8a6136",
}
CYCLE: Final = tuple(COLOURS.values())[:8]


def colour(name: str) -> str:
    """The colour of a node or class in every picture: its own, or one that follows from its name."""
    if name in COLOURS:
        return COLOURS[name]
    return CYCLE[int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(CYCLE)]


def ink(ground: str) -> str:
    """White or black, which is more legible on a colour: at least 4.5:1 (WCAG 2, level AA) on any.

    Args:
        ground: as `#rrggbb`.
    """
    parts = [int(ground[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return "#ffffff" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179 else "#000000"
