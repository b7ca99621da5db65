"""scores.json, read and checked once."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, Final, Self

from hierarchy.errors import InputError
from hierarchy.fileio import read_json
from hierarchy.manifest import has_keys
from hierarchy.taxonomy import Tree

Row = Mapping[str, Any]  # n, accuracy, ci95 and more
Table = Mapping[str, Row]  # by name
KINDS: Final[dict[Any, type]] = {str: str, str | None: str, int: int, bool: bool, list[int]: list}


@dataclass(frozen=True)
class Scores:
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
    answer: str | None = None  # how several runs predict together

    @classmethod
    def from_dict(cls, values: Any, source: str) -> Self:
        """The scores that scores.json holds.

        Raises:
            InputError: a key is missing, unknown or of another type; names `source`.
        """
        fields = cls.__dataclass_fields__
        required = [name for name, field in fields.items() if field.default is MISSING]
        if not has_keys(values, *required):
            missing = ", ".join(sorted(set(required) - set(values if isinstance(values, dict) else ())))
            raise InputError(f"{source}: missing {missing}; write it again with `evaluate`")
        for key, value in values.items():
            kind = fields[key].type if key in fields else None
            if kind is None or not isinstance(value, KINDS.get(kind, dict)):
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
