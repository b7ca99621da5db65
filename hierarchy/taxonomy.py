"""THE tree of expressions, and the flat label sets of the public data. No other file lists classes.

A face is sent by the router to a branch, and by that branch's specialist to a leaf.
Every order and every count in this package is read from here.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final

from hierarchy.errors import InputError

TREE: Final[dict[str, tuple[str, ...]]] = {
    "positive": ("happy", "surprise", "neutral"),
    "negative": ("angry", "fear", "sad"),
}
BRANCHES: Final = tuple(TREE)
LEAVES: Final = tuple(leaf for leaves in TREE.values() for leaf in leaves)

ROUTER: Final = "router"
FLAT: Final = "flat"  # one net over all leaves: what the tree is compared with, and warm-started from
NODES: Final = (ROUTER, *BRANCHES)

FER7: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # FER-2013's codes 0-6
FERPLUS8: Final = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
LEFT_OUT: Final = tuple(name for name in FER7 if name not in LEAVES)  # counted and reported, never trained

ALIASES: Final[dict[str, str]] = {
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


def classes_of(node: str) -> tuple[str, ...]:
    """Class names of a node's outputs, in order.

    Raises:
        InputError: there is no such node.
    """
    if node == ROUTER:
        return BRANCHES
    if node == FLAT:
        return LEAVES
    if node in TREE:
        return TREE[node]
    raise InputError(f"unknown node {node!r}: allowed are {', '.join((*NODES, FLAT))}")


def nodes_named(name: str) -> tuple[str, ...]:
    """The nodes that names parted by commas stand for; `all` is the whole tree.

    Raises:
        InputError: there is no such node.
    """
    nodes: dict[str, None] = {}
    for node in name.split(","):
        if node not in ("all", *NODES, FLAT):
            raise InputError(f"unknown node {node!r}: allowed are {', '.join(('all', *NODES, FLAT))}")
        nodes |= dict.fromkeys(NODES if node == "all" else (node,))
    return tuple(nodes)


def branch_of(leaf: str) -> str:
    """The branch that holds a leaf."""
    return next(branch for branch, leaves in TREE.items() if leaf in leaves)


def leaf_slice(branch: str) -> slice:
    """Where a branch's leaves stand among LEAVES."""
    start = LEAVES.index(TREE[branch][0])
    return slice(start, start + len(TREE[branch]))


def node_target(node: str, name: str) -> int:
    """Class index that a face of expression `name` has at a node; -1 where the node does not train on it."""
    if name not in LEAVES:
        return -1
    classes = classes_of(node)
    wanted = branch_of(name) if node == ROUTER else name
    return classes.index(wanted) if wanted in classes else -1


def members(node: str) -> list[list[int]]:
    """For each class of a node, the indices in LEAVES of the leaves that it stands for."""
    codes = [node_target(node, leaf) for leaf in LEAVES]
    return [[i for i, code in enumerate(codes) if code == k] for k in range(len(classes_of(node)))]


def expression(name: str) -> str:
    """The canonical FER7 name of a spelling such as a folder's (`Anger`, ` happiness`).

    Raises:
        InputError: the spelling is of no known expression.
    """
    spelling = name.strip().lower()
    spelling = ALIASES.get(spelling, spelling)
    if spelling not in FER7:
        allowed = ", ".join((*FER7, *ALIASES))
        raise InputError(f"unknown expression {name.strip()!r}: allowed are {allowed}")
    return spelling


def tree_hash(tree: Mapping[str, Sequence[str]] = TREE) -> str:
    """Twelve hex digits that change with any name or order in the tree."""
    canonical = json.dumps([[branch, list(leaves)] for branch, leaves in tree.items()])
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def describe(tree: Mapping[str, Sequence[str]] = TREE) -> str:
    """The tree on one line: `positive: happy, surprise, neutral | negative: ...`."""
    return " | ".join(f"{branch}: {', '.join(leaves)}" for branch, leaves in tree.items())


def check_tree(tree: Mapping[str, Sequence[str]], source: str) -> None:
    """Refuse weights or predictions made for another tree.

    Raises:
        InputError: names `source` and prints both trees.
    """
    if tree_hash(tree) != tree_hash():
        raise InputError(
            f"{source}: made for another tree ({describe(tree)}); this package has ({describe()})"
        )
