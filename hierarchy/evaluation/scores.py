"""scores.json, read and checked once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from hierarchy.errors import InputError
from hierarchy.fileio import read_json, typed
from hierarchy.taxonomy import Tree

Row = Mapping[str, Any]  # n, accuracy, ci95 and more
Table = Mapping[str, Row]  # by name


class Scores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The scores of a run on one split."""

    dataset: str
    split: str
    view: str
    n: int  # faces with a label of the tree
    recipe: str
    seeds: list[int]
    drawn: bool  # whether the faces are sketches
    has_tree: bool  # whether the run has all nets; if not, the scores are of the flat net's sums
    classes: Tree
    origins: Mapping[str, int]  # scored faces by where they come from
    left_out: Mapping[str, int]  # faces of each class that the tree lacks
    tree: Table  # by routing rule
    all_names: Table  # the same, classes that the tree lacks counted as wrong
    nodes: Table
    per_class: Table  # precision, recall, F1 and support of each leaf, by the soft rule
    coverage_80: Row  # the branch, on the 80 % of the faces where it is most confident
    selective: Row  # faces with a predicted leaf, where a minimum confidence is asked for
    nets_per_face: Mapping[str, float]  # by routing rule
    confusion: Mapping[str, Any]
    reliability: Mapping[str, Any]
    flat: Row | None = None
    soft_against_flat: Row | None = None
    ferplus: Row | None = None  # against the plurality of FER+ taggers
    leak_free: Row | None = None  # without copies in Training; None where they were not searched for
    leak_free_near: Row | None = None  # without near copies either
    prediction_sets: Mapping[str, Any] | None = None  # by coverage; None without conformal scores
    answer: str | None = None  # how several runs predict together

    @classmethod
    def from_dict(cls, values: Any, source: str) -> Self:
        """The scores that scores.json holds.

        Raises:
            InputError: a key is missing, unknown or of another type; names `source`.
        """
        if isinstance(values, dict) and "classes" in values:
            values = values | {"classes": Tree.from_dict(values["classes"], f"{source}: classes")}
        scores = typed(
            values, cls, f"{source}: not the scores of this version; write it again with `evaluate`"
        )
        tree = scores.classes
        expected = {"tree": ("soft", "hard", "lazy"), "nodes": tree.nodes, "per_class": tree.leaves}
        for key, names in expected.items():
            if not getattr(scores, key).keys() >= set(names):
                raise InputError(f"{source}: {key} needs {', '.join(names)}; write it again with `evaluate`")
        return scores

    @classmethod
    def read(cls, path: Path) -> Self:
        """The scores of a file.

        Raises:
            InputError: it cannot be read, or does not hold scores.
        """
        return cls.from_dict(read_json(path), str(path))
