"""Faces and names as `HierarchicalClassifier` takes them, as one FaceDataset."""

from dataclasses import replace
from typing import Any

import numpy as np

from hierarchy.data.dataset import FaceDataset, Split, as_pixels
from hierarchy.data.formats import FER2013_NAMES
from hierarchy.data.formats.rows import encode
from hierarchy.data.splits import add_validation_split
from hierarchy.errors import InputError
from hierarchy.taxonomy import Tree, spelling


def training_set(tree: Tree, X: Any, y: Any = None, validation: Any = None) -> FaceDataset:
    """The Training rows of `X`, and PublicTest rows from `validation`, else its own or a share of Training.

    The arguments are those of `HierarchicalClassifier.fit`.

    Raises:
        InputError: PrivateTest rows, missing or unknown names, wrong shapes.
    """
    if isinstance(y, FaceDataset):
        y, validation = None, y
    if isinstance(validation, FaceDataset):
        validation = (validation, None)
    if validation is not None and (not isinstance(validation, tuple | list) or len(validation) != 2):
        raise InputError("validation: expected (X, y), or a FaceDataset")
    parts = [labelled(tree, *part) for part in ((X, y), validation) if part is not None]
    for part in parts:
        if (part.split == Split.PrivateTest).any():
            raise InputError(f"{part.source}: PrivateTest rows are for reporting, not for fit")
    train, *others = parts
    if not others:
        split = add_validation_split(train.label, train.split, origin=train.origin)
        return replace(train, split=split)
    others = [replace(each, split=np.full_like(each.split, Split.PublicTest)) for each in others]
    return FaceDataset.joined([train.of(Split.Training), *others], train.source)


def labelled(tree: Tree, X: Any, y: Any = None) -> FaceDataset:
    """A data set with the names of `y`, or its own; an array of faces with those of `y`, all Training.

    Raises:
        InputError: missing or unknown names, wrong shapes.
    """
    if y is None and isinstance(X, FaceDataset):
        return X
    if y is None:
        raise InputError("an array of faces needs y, the class name of every face")
    pixels, known = as_pixels(X), dict.fromkeys((*tree.leaves, *FER2013_NAMES))
    plain = [tree.leaf_named(str(name)) or spelling(str(name)) for name in _names(y)]
    if unknown := [name for name in plain if name not in known]:
        raise InputError(f"y: unknown name {unknown[0]!r}: expected one of {', '.join(known)}")
    label, names = encode(plain)
    if isinstance(X, FaceDataset):
        return replace(X, label=label, names=names)
    row = np.arange(len(pixels), dtype=np.int32)
    return FaceDataset(pixels, label, np.zeros(len(row), np.int8), row, source="fit", names=names)


def _names(y: Any) -> list[Any]:
    try:
        if not isinstance(y, str | bytes):
            return list(y)
    except (TypeError, NotImplementedError):  # a number, for example, or memory of several axes
        pass
    raise InputError(f"y {y!r:.80}: expected the class name of every face")
