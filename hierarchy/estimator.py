"""What scikit-learn expects of an estimator besides fit and predict: tags, and state that can be pickled.

Nothing here is imported to load a run or to predict; scikit-learn itself is imported by `tags` only, which
it alone calls. A pickle holds the name of a stored run, or the files of a fitted one, and never a net in memory.
"""

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchy import runs
from hierarchy.fileio import write_atomic

if TYPE_CHECKING:
    from sklearn.utils import Tags

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
        input_tags=InputTags(two_d_array=flat_rows, three_d_array=True),
        non_deterministic=True,
    )


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
