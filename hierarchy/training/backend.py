"""The part of training one net that Keras and PyTorch share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hierarchy.backends import COMMANDS, KERAS, Backend
from hierarchy.config.backbones import BACKBONES
from hierarchy.config.schema import ParallelConfig, PretrainedConfig, Recipe, TrainConfig
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.errors import InputError
from hierarchy.runs import Run
from hierarchy.taxonomy import TRUNK, Tree
from hierarchy.training.checkpoints import CheckpointManager, EpochCallback, write_history

if TYPE_CHECKING:
    from hierarchy.training.progress import Progress

VALIDATION_BATCH: Final = 256


@dataclass(frozen=True)
class TrainTask:
    """The training of one net.

    Attributes:
        node: name of the net.
        recipe: of the run; holds the tree.
        fit: the section of the recipe for this net.
        seed: of weights, order, augmentation and dropout.
        run: where net, history and checkpoints go.
        train: Training faces.
        valid: PublicTest faces of the node's classes, which choose the best epoch.
        identity: values of the manifest besides the nets.
        taught: float[N, leaves], the teacher's probabilities for `train`, where the recipe needs them.
        start: files of the flat nets that weights are initialised from, one for each body; none: at random.
        on_epoch_end: called with each epoch's history row; may stop the training by an exception.
        verbose: whether progress and epochs are printed.
    """

    node: str
    recipe: Recipe
    fit: TrainConfig
    seed: int
    run: Run
    train: FaceDataset
    valid: FaceDataset
    identity: dict[str, Any]
    taught: np.ndarray | None = None
    start: tuple[Path, ...] = ()
    on_epoch_end: EpochCallback | None = None
    verbose: bool = True

    @property
    def tree(self) -> Tree:
        """The tree of the node."""
        return self.recipe.tree

    @property
    def classes(self) -> int:
        """Number of the node's classes."""
        return len(self.tree.classes_of(self.node))

    @property
    def frozen(self) -> str | None:
        """The last layer that stays as it is; "": all but the head do; None: all are trained."""
        last = self.recipe.net.freeze_to if isinstance(self.recipe.net, PretrainedConfig) else ""
        return "" if self.fit.freeze_backbone else last or None

    @property
    def rng_seed(self) -> int:
        """The seed of this net: another for each node."""
        place = (*self.tree.nets, TRUNK).index(self.node)
        return int(np.random.default_rng([self.seed, place]).integers(2**31))

    def checkpoints(self, suffix: str) -> CheckpointManager:
        """The net's checkpoints, with weights in files of a suffix."""
        return CheckpointManager(self, suffix)

    def training_summary(self, checkpoints: CheckpointManager) -> dict[str, Any]:
        """The values of the manifest for this net, from its epochs."""
        rows = checkpoints.rows
        return {
            "classes": list(self.tree.classes_of(self.node)),
            "seed": self.seed,
            "epochs": len(rows),
            "best_epoch": checkpoints.best["epoch"],
            "public_test_accuracy": checkpoints.best["val_accuracy"],
            "minutes": checkpoints.minutes,
            "images_per_second": float(np.median([row["images_per_second"] for row in rows])),
            "warm_start": bool(self.start),
            "balanced": self.fit.balanced,
        }


def run_training(
    task: TrainTask,
    checkpoints: CheckpointManager,
    epochs: Callable[["Progress"], None],
    packed: Callable[[Path], tuple[bytes, dict[str, Any]]],
    suffix: str,
) -> None:
    """Train the remaining epochs, then store the best epoch's net, even after Ctrl-C.

    Args:
        task: the training.
        checkpoints: of the task.
        epochs: trains the remaining epochs and adds each to the checkpoints.
        packed: from the file of the best weights, the net's bytes and values of the manifest.
        suffix: of the net's file.

    Raises:
        KeyboardInterrupt: after the best weights so far have been stored.
    """
    from hierarchy.training.progress import Progress  # rich is slow to import

    interruption = None
    try:
        if not checkpoints.done:
            progress = Progress(task.node, task.fit)
            progress.bar.console.quiet = not task.verbose
            with progress:
                epochs(progress)
    except KeyboardInterrupt as error:  # or a signal that ends the command in the same way
        interruption = error
    if checkpoints.best_weights:
        with checkpoints.reading(checkpoints.best_weights):
            data, size = packed(checkpoints.best_weights)
        about = task.training_summary(checkpoints) | size | {"finished": interruption is None}
        task.run.add_net(task.node, data, about, task.identity, task.tree, suffix)
        write_history(task.run, task.tree, task.run.folder)
    if interruption:
        raise interruption


def check_roles(task: TrainTask) -> None:
    """Refuse faces of another split than a task trains or chooses on.

    Raises:
        ValueError: it has some.
    """
    for faces, role in ((task.train, Split.Training), (task.valid, Split.PublicTest)):
        if (faces.split != role).any():
            raise ValueError(f"{task.node}: faces of another split than {role.name}")


def check_backend(recipe: Recipe, backend: Backend) -> None:
    """Refuse a pretrained backbone of another backend's library, and what the PyTorch mirror lacks.

    Raises:
        InputError: names the command that trains it.
    """
    shared = recipe.heads == "shared" or isinstance(recipe.net, ParallelConfig)
    if shared and backend.name != KERAS:
        raise InputError(f"heads=shared and net.bodies need Keras, not {backend.name}: use {COMMANDS[KERAS]}")
    if not isinstance(recipe.net, PretrainedConfig):
        return
    home = BACKBONES[recipe.net.backbone].framework
    if home != backend.name:
        raise InputError(
            f"net.backbone={recipe.net.backbone} needs {home}, not {backend.name}: use {COMMANDS[home]}"
        )
