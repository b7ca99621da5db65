"""What scikit-learn expects of an estimator besides fit and predict: tags, checks, state that can be pickled.

Nothing here is imported to load a run or to predict. A pickle holds the name of a stored run, or the files of
a fitted one, and never a net in memory.
"""

import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierarchy import runs
from hierarchy.data.dataset import FaceDataset
from hierarchy.errors import InputError, NotFittedError, first_line
from hierarchy.fileio import write_atomic
from hierarchy.models.keras_backend import KERAS_BACKEND
from hierarchy.taxonomy import Tree

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from hierarchy.classifier import HierarchicalClassifier
    from hierarchy.config.schema import Recipe

Packed = str | dict[str, bytes]  # name of a run in results/, or the files of another one


def tags(flat_rows: bool) -> "Tags":
    """The tags of a classifier of faces; arrays of two axes are accepted if `flat_rows` is set.

    `fit` is not deterministic to the bit: sums run in parallel.
    """
    from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

    return Tags(
        estimator_type="classifier",
        target_tags=TargetTags(required=True),
        classifier_tags=ClassifierTags(),
        input_tags=InputTags(two_d_array=flat_rows, three_d_array=True, positive_only=True),
        non_deterministic=True,
    )


def trained(
    owner: "HierarchicalClassifier",
    tree: Tree | None,
    crops: Callable[[Any], Any],
    X: Any,
    y: Any,
    validation: Any,
    verbose: bool,
) -> runs.Run:
    """A run of the nets of a classifier, trained as `HierarchicalClassifier.fit` says; deleted with it.

    Args:
        owner: the classifier.
        tree: None: the recipe's.
        crops: faces of any type -> uint8[N,48,48] or FaceDataset.
        X: as of `fit`, like the others.
        y: names.
        validation: faces and names that choose the epochs.
        verbose: whether progress is printed.

    Raises:
        InputError: as `fit`.
    """
    from hierarchy.data import labelling, loading
    from hierarchy.training.train import train

    recipe, settings = _recipe(owner)
    recipe = replace(recipe, tree=tree or recipe.tree)
    if not isinstance(X, FaceDataset):
        X, y = checked(X, y)
    if isinstance(validation, tuple | list):
        validation = *map(crops, validation[:1]), *validation[1:]
    faces = labelling.training_set(recipe.tree, crops(X), y, validation)
    loading.report_left_out(faces, recipe.tree)
    identity = {
        "recipe": recipe.as_dict(),
        "settings": settings,
        "seed": int(owner.seed),
        "data": loading.describe(faces, recipe.tree),
    }
    KERAS_BACKEND.start()
    run, nodes = own_run(owner), recipe.tree.nodes
    train(run, faces, recipe, nodes=nodes, identity=identity, backend=KERAS_BACKEND, verbose=verbose)
    return run


def _recipe(owner: "HierarchicalClassifier") -> tuple["Recipe", list[str]]:
    """The recipe of a classifier's parameters, and its settings as a list.

    Raises:
        InputError: a parameter of another type; no such recipe or setting.
    """
    from hierarchy.training.train import recipe_named

    settings = [owner.settings] if isinstance(owner.settings, str) else owner.settings
    if not isinstance(owner.recipe, str):
        raise InputError(f"recipe {owner.recipe!r:.80}: expected the name or file of a recipe")
    if not isinstance(settings, list | tuple) or not all(isinstance(each, str) for each in settings):
        raise InputError(f"settings {settings!r:.80}: expected key=value, or a list of such")
    if not isinstance(owner.seed, int | np.integer) or owner.seed < 0:
        raise InputError(f"seed {owner.seed!r:.80}: expected an integer from 0")
    return recipe_named(owner.recipe, settings, None, KERAS_BACKEND), list(settings)


def checked(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Arrays of faces and of their names, checked as scikit-learn checks them, with its reasons.

    Raises:
        InputError: sparse, complex, negative, NaN or infinite faces; no names, names that are numbers, fewer
            than two different ones, or another number of them than of faces.
    """
    from sklearn.utils import check_array, check_consistent_length, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_non_negative

    if y is None:
        raise InputError(
            "fit requires y to be passed, but the target y is None: name the class of every face"
        )
    try:
        X = check_array(X, dtype=None, allow_nd=True, ensure_min_samples=2, input_name="X")
        if X.dtype.kind in "if":
            check_non_negative(X, "fit")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        check_consistent_length(X, y)
    except (TypeError, ValueError) as error:
        raise InputError(f"fit: {first_line(error)}") from None
    if len(names := np.unique(y.astype(str))) < 2:
        raise InputError(f"fit: y has one class, {names[0]!r}; a tree needs faces of every class")
    return X, y


def not_fitted(message: str) -> NotFittedError:
    """The error of an unfitted classifier; scikit-learn's own kind too, for programs that imported it."""
    if "sklearn" not in sys.modules:
        return NotFittedError(message)
    from sklearn import exceptions

    class Unfitted(NotFittedError, exceptions.NotFittedError):
        def __reduce__(self) -> tuple[Any, ...]:  # a class made here cannot be found by its name
            return not_fitted, self.args

    return Unfitted(message)


def own_run(owner: object) -> runs.Run:
    """A run in a temporary folder, which is deleted with `owner`."""
    root = Path(tempfile.mkdtemp(prefix="hierarchy-fit-"))
    weakref.finalize(owner, _delete, root, os.getpid())
    return runs.Run("fit", root / "results", root / "logs")


def _delete(root: Path, process: int) -> None:
    if os.getpid() == process:  # not in a fork, where the owner is a copy
        shutil.rmtree(root, ignore_errors=True)


def packed(run: runs.Run) -> Packed:
    """What a pickle holds of a run: its name if it is found by it, else its files."""
    if run == runs.run(run.name):
        return run.name
    return {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}


def unpacked(stored: Packed, owner: Any) -> runs.Run:
    """The run that `packed` was given; one of files is deleted with `owner`.

    Raises:
        InputError: the temporary folder cannot be written.
    """
    if isinstance(stored, str):
        return runs.run(stored)
    run = own_run(owner)
    for name, data in stored.items():
        write_atomic(run.folder / name, data)
    return run
