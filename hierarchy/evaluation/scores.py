"""scores.json, read and checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from hierarchy.errors import InputError
from hierarchy.fileio import read_json
from hierarchy.manifest import has_keys
from hierarchy.taxonomy import Tree

Row = Mapping[str, Any]  # n, accuracy, ci95 and more
TYPES: Final[dict[str, type]] = {
    **dict.fromkeys(("dataset", "split", "view", "recipe"), str),
    **dict.fromkeys(("n", "has_tree", "drawn"), int),
    **dict.fromkeys(("seeds",), list),
    **dict.fromkeys(("left_out", "origins", "classes", "tree", "nodes", "per_class", "all_names"), dict),
    **dict.fromkeys(("coverage_80", "selective", "nets_per_face", "confusion", "reliability"), dict),
}


@dataclass(frozen=True)
class Scores:
    """The scores of a run on one split.

    Attributes:
        dataset, split, view: what was scored.
        n: faces with a label of the tree.
        recipe, seeds: of the run.
        drawn: whether the faces are sketches.
        has_tree: whether the run has all nets of the tree; if not, the scores are of the flat net's sums.
        classes: the tree.
        origins: scored faces by where they come from: real, sketch.
        left_out: faces of each class that the tree lacks.
        tree: the tree's scores by routing rule: soft, hard, lazy.
        all_names: the same, with the classes that the tree lacks counted as wrong.
        nodes: scores of router and specialists.
        per_class: precision, recall, F1 and support of each leaf, by the soft rule.
        coverage_80: the branch, on the 80 % of the faces where it is most confident.
        selective: faces with a predicted leaf, where a minimum confidence is asked for.
        nets_per_face: mean number of nets run, by routing rule.
        confusion, reliability: counts for plots.
        flat, soft_against_flat: the flat net's scores, and its comparison with the tree; None without it.
        ferplus: against the plurality of FER+ taggers; None without votes.
        leak_free, leak_free_near: on faces without a copy, and without a near copy, in Training; None where
            copies were not searched for.
        answer: how several runs predict together; None for a single run.
    """

    dataset: str
    split: str
    view: str
    n: int
    recipe: str
    seeds: list[int]
    drawn: bool
    has_tree: bool
    classes: Tree
    origins: Mapping[str, int]
    left_out: Mapping[str, int]
    tree: Mapping[str, Row]
    all_names: Mapping[str, Row]
    nodes: Mapping[str, Row]
    per_class: Mapping[str, Row]
    coverage_80: Row
    selective: Row
    nets_per_face: Mapping[str, float]
    confusion: Mapping[str, Any]
    reliability: Mapping[str, Any]
    flat: Row | None = None
    soft_against_flat: Row | None = None
    ferplus: Row | None = None
    leak_free: Row | None = None
    leak_free_near: Row | None = None
    answer: str | None = None

    @classmethod
    def from_dict(cls, values: Any, source: str) -> Self:
        """The scores that scores.json holds.

        Raises:
            InputError: a key is missing, unknown or of another type; names `source`.
        """
        if not has_keys(values, *TYPES):
            missing = sorted(set(TYPES) - set(values if isinstance(values, dict) else ()))
            raise InputError(f"{source}: missing {', '.join(missing)}; write it again with `evaluate`")
        for key, value in values.items():
            if key not in cls.__dataclass_fields__ or not isinstance(value, TYPES.get(key, (dict, str))):
                raise InputError(f"{source}: unexpected {key}; write it again with `evaluate`")
        tree = Tree.from_dict(values["classes"], f"{source}: classes")
        expected = {"tree": ("soft", "hard", "lazy"), "nodes": tree.nodes, "per_class": tree.leaves}
        for key, names in expected.items():
            if not all(has_keys(values[key].get(name)) for name in names):
                raise InputError(f"{source}: {key} needs {', '.join(names)}")
        return cls(**{**values, "classes": tree})

    @classmethod
    def read(cls, path: Path) -> Self:
        """The scores of a file.

        Raises:
            InputError: it cannot be read, or does not hold scores.
        """
        return cls.from_dict(read_json(path), str(path))
