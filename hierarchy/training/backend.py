"""What fits a net and opens it: Keras, PyTorch, or another that hands itself in. All the rest is shared."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierarchy.backends import Backend
from hierarchy.config.backbones import BACKBONES
from hierarchy.config.schema import PretrainedConfig, Recipe, TrainConfig
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.errors import InputError
from hierarchy.runs import Run
from hierarchy.taxonomy import FLAT, NODES, classes_of
from hierarchy.training.checkpoints import CheckpointManager, EpochCallback, write_history

if TYPE_CHECKING:
    from hierarchy.training.progress import Progress

ORDER = (FLAT, *NODES)  # of training: the others may start from the flat net
VALIDATION_BATCH = 256
DOORS = {"Keras": "python tf_model.py", "PyTorch": "python -m pt_files"}  # framework -> its command


@dataclass(frozen=True)
class TrainTask:
    """One net to be fitted.

    Attributes:
        node: which one.
        recipe: of the run.
        fit: the part of the recipe that is this net's.
        seed: of weights, order, augmentation and dropout.
        run: where net, history and checkpoints go.
        train: Training faces.
        valid: PublicTest faces of the node's own classes, which choose the best epoch.
        identity: what the run's card says besides its nets.
        taught: float[N, leaves], what other nets say of `train`, where the recipe asks for it.
        start: file of the flat net whose weights the net starts from; None: random ones.
        watch: is told of every epoch, see `CheckpointManager`.
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
    start: Path | None = None
    on_epoch_end: EpochCallback | None = None

    @property
    def rng_seed(self) -> int:
        """A seed of this net's own."""
        return int(np.random.default_rng([self.seed, ORDER.index(self.node)]).integers(2**31))

    def training_summary(self, logbook: CheckpointManager) -> dict[str, Any]:
        """What the run's card says of the net, by its whole epochs."""
        rows = logbook.rows
        return {
            "classes": list(classes_of(self.node)),
            "seed": self.seed,
            "epochs": len(rows),
            "best_epoch": logbook.best["epoch"],
            "public_test_accuracy": logbook.best["val_accuracy"],
            "minutes": logbook.minutes,
            "images_per_second": float(np.median([row["images_per_second"] for row in rows])),
            "warm_start": self.start is not None,
            "balanced": self.fit.balanced,
        }


def run_training(
    task: TrainTask,
    logbook: CheckpointManager,
    epochs: Callable[["Progress"], None],
    packed: Callable[[Path], tuple[bytes, dict[str, Any]]],
    suffix: str,
) -> None:
    """Fit what is left to be fitted, then store the best epoch's net, even when it was interrupted.

    Args:
        task: what is fitted.
        logbook: of the task.
        epochs: fits the epochs that are left and adds each to the logbook.
        packed: from the best weights, the net's file and what the card says of its size.
        suffix: of the net's file.

    Raises:
        KeyboardInterrupt: as it came, after the best weights so far have been stored.
    """
    from hierarchy.training.progress import Progress  # its bar is slow to import, and predict needs none

    interrupted = False
    try:
        if not logbook.done:
            with Progress(task.node, task.fit) as progress:
                epochs(progress)
    except KeyboardInterrupt:
        interrupted = True
    if logbook.best_weights:
        data, size = packed(logbook.best_weights)
        about = task.training_summary(logbook) | size | {"finished": not interrupted}
        task.run.add_net(task.node, data, about, task.identity, suffix)
        write_history(task.run, task.run.folder)
    if interrupted:
        raise KeyboardInterrupt


def check_roles(task: TrainTask) -> None:
    """Refuse faces that a task must not have.

    Raises:
        InputError: a split is empty for the node.
        ValueError: faces of another split.
    """
    for faces, role in ((task.train, Split.Training), (task.valid, Split.PublicTest)):
        if (faces.split != role).any():
            raise ValueError(f"{task.node}: faces of another split than {role.name}")
        check_there(faces, role, task.node)


def check_there(faces: FaceDataset, role: Split, node: str) -> None:
    """Refuse faces without any of a node's own in a split.

    Raises:
        InputError: the split is empty for the node.
    """
    if not ((faces.split == role) & (faces.target(node) >= 0)).any():
        classes = ", ".join(classes_of(node))
        raise InputError(f"{faces.source}: no {role.name} faces for the {node} net ({classes})")


def check_home(recipe: Recipe, framework: Backend) -> None:
    """Refuse a published net that another framework's library builds.

    Raises:
        InputError: names the door that leads there.
    """
    if (
        isinstance(recipe.net, PretrainedConfig)
        and (home := BACKBONES[recipe.net.backbone].framework) != framework.name
    ):
        raise InputError(
            f"{recipe.net.backbone} is a net of {home}'s library, not of {framework.name}'s: "
            f"{DOORS[home]} trains it"
        )
