"""Hyper-parameter search for one node with Optuna: trained on Training, chosen on PublicTest.

A study is stored in a journal that several processes may share; trials that were killed are repeated.
"""

import logging
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from filelock import FileLock

from hierarchy import runs
from hierarchy.backends import Backend
from hierarchy.config.overrides import store, translated
from hierarchy.config.schema import Recipe, VGGConfig
from hierarchy.data import loading
from hierarchy.data.dataset import FaceDataset
from hierarchy.errors import InputError, first_line, require
from hierarchy.reports import tuning_plots
from hierarchy.training import train

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

BATCHES: Final = (32, 64, 128)
STUDIES: Final = ["study_id", "study_name"]  # the columns of its first table
TABLES: Final = ("stud", "trial", "version_info", "alembic_version")  # how names of Optuna's tables begin
MOST: Final = 1 << 28  # bytes of a journal, which is held in memory; some million lines
BEGINNING: Final = b'{"op_code":'  # of a journal
FIRST: Final = 4  # trials before any is pruned


def tune(
    node: str,
    trials: int,
    *,
    data: str | None,
    recipe: str,
    settings: list[str],
    name: str | None,
    storage: str | None,
    seed: int,
    tree: str | None = None,
    backend: Backend,
) -> Path:
    """Run a study until it has a number of finished trials, and write its results.

    Args:
        node: net to tune.
        trials: finished trials of the study in total.
        data: as in `train.run`.
        recipe: name or file of the recipe that the search starts from.
        settings: changes to it, e.g. fit.epochs=4.
        name: of the study; None: NODE-RECIPE.
        storage: journal file or database address; None: a journal in logs/.
        seed: of the search and of every training.
        tree: name or .toml file of a tree; None: the recipe's.
        backend: that fits the nets.

    Returns:
        The folder with the best recipe, history and importance of the parameters.

    Raises:
        InputError: an unknown node, recipe or tree, Optuna is missing, or the storage cannot be used.
    """
    base = train.recipe_named(recipe, settings, tree, backend)
    if node not in base.tree.nets:
        raise InputError(f"--node {node}: expected one of {', '.join(base.tree.nets)}")
    soft = any(fit.distillation_weight or fit.soft_label_weight for fit in base.fits)
    if not isinstance(base.net, VGGConfig) or soft:
        raise InputError(f"recipe {base.name!r}: expected a VGG-style net without soft labels")
    require("optuna")
    import optuna

    study_name = runs.run(name or f"{node}-{base.name}").name
    faces = loading.training_faces(data)
    about = {"node": node, "recipe": base.as_dict(), "data": loading.fingerprint(faces)}
    study = _study(study_name, storage, about)
    _check_trials(study, base, storage)
    backend.start()

    def objective(trial: "optuna.Trial") -> float:
        # a shared seed would repeat proposals in every process
        number = np.random.SeedSequence((seed, trial.number)).generate_state(1)[0]
        trial.study.sampler = optuna.samplers.TPESampler(seed=int(number))
        recipe = replace(proposed(trial, base), warm_start=None)
        return _trained(trial, faces, recipe, node, seed, backend)

    def report(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        pruned = ", pruned" if trial.state.name == "PRUNED" else ""
        log.info(f"trial {trial.number}: PublicTest {trial.value:.4f}{pruned}; best {study.best_value:.4f}")

    finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    while len(study.get_trials(deepcopy=False, states=finished)) < trials:
        study.optimize(objective, n_trials=1, callbacks=[report])
    if not study.get_trials(deepcopy=False, states=finished[:1]):
        raise InputError(f"study {study_name!r}: every trial was pruned; ask for more --trials")
    best = replace(proposed(optuna.trial.FixedTrial(study.best_params), base), name=study_name)
    folder = runs.home() / "results" / "tune" / study_name
    store(best, folder / "recipe.json")
    tuning_plots.write(study, node, folder)
    return folder


def proposed(trial: Any, base: Recipe) -> Recipe:
    """The recipe of a trial: the base with the suggested values.

    Args:
        trial: of Optuna.
        base: of a VGG-style net.
    """
    net = cast(VGGConfig, base.net)
    width = trial.suggest_categorical("width", [0.5, 0.75, 1.0, 1.5])
    strength = trial.suggest_float("augmentation", 0.0, 1.6)
    wide = tuple(tuple(max(4, round(width * each)) for each in stage) for stage in net.stages)
    moved = {name: min(strength * getattr(base.augment, name), 0.9) for name in ("scale", "shift")}
    return replace(
        base,
        net=replace(net, stages=wide, dropout=trial.suggest_float("dropout", 0.0, 0.6)),
        augment=replace(base.augment, rotation=strength * base.augment.rotation, **moved),
        fit=replace(
            base.fit,
            learning_rate=trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
            batch_size=trial.suggest_categorical("batch_size", list(BATCHES)),
            weight_decay=trial.suggest_float("weight_decay", 1e-5, 3e-3, log=True),
        ),
    )


def _trained(
    trial: "optuna.Trial",
    faces: FaceDataset,
    recipe: Recipe,
    node: str,
    seed: int,
    backend: Backend,
) -> float:
    """PublicTest accuracy of a node's best epoch; its files are deleted."""
    import optuna

    def report(row: Mapping[str, Any]) -> None:
        trial.report(row["val_accuracy"], row["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    with tempfile.TemporaryDirectory(prefix="hierarchy-trial-") as folder:
        run = runs.Run("trial", Path(folder) / "results", Path(folder) / "logs")
        identity = {"recipe": recipe.as_dict(), "seed": seed}
        train.train(run, faces, recipe, nodes=[node], identity=identity, backend=backend, on_epoch_end=report)
        return float(run.manifest().nets[node].public_test_accuracy)


def _study(name: str, storage: str | None, about: dict[str, Any]) -> "optuna.Study":
    """The study of that name, created or loaded.

    Raises:
        InputError: the storage cannot be used, or holds another study of that name.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    place = storage or str(runs.home() / "logs" / "tune" / f"{name}.log")
    try:
        if "://" in place:
            _check_database(place)
            backing: Any = place
        else:
            _check_journal(Path(place))
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            lock: Any = _JournalLock(place)  # with the methods of optuna's, not of its class
            backing = optuna.storages.JournalStorage(JournalFileBackend(place, lock))
        study = optuna.create_study(
            storage=backing,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=1),
        )
    except Exception as error:  # each database raises its own errors
        place = re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", place)  # a password
        raise InputError(f"--storage {place}: cannot be used ({first_line(error)})") from None
    stored = study.user_attrs.get("about", about)
    if not isinstance(stored, dict) or not isinstance(stored.get("recipe"), dict):
        raise InputError(f"--storage {place}: study {name!r} is of another program; choose another --name")
    stored = stored | {"recipe": translated(stored["recipe"], f"study {name!r}")}
    if stored != about:
        other = ", ".join(key for key in about if stored.get(key) != about[key])
        raise InputError(f"study {name!r} was begun with another {other}; choose another --name")
    study.set_user_attr("about", about)
    return study


def _check_trials(study: "optuna.Study", base: Recipe, storage: str | None) -> None:
    """Refuse a study whose trials were edited, or are of another program.

    Raises:
        InputError: it is not one of a single maximised value, or a complete trial gives no recipe.
    """
    import optuna

    try:
        if study.direction.name != "MAXIMIZE":
            raise ValueError("it minimises")
        for trial in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)):
            proposed(optuna.trial.FixedTrial(trial.params), base)
            if not 0 <= float(trial.value or 0) <= 1:
                raise ValueError(f"trial {trial.number} has value {trial.value}")
    except Exception as error:  # Optuna has many
        raise InputError(
            f"study {study.study_name!r} in {storage or 'its journal'} cannot be used ({first_line(error)})"
        ) from None


def _check_journal(path: Path) -> None:
    """Refuse another file than a journal before a line is cut off it or added to it.

    Raises:
        ValueError: it is another file, or not a file.
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    if path.is_file() and path.stat().st_size <= MOST:
        with path.open("rb") as file:
            if BEGINNING.startswith(file.read(len(BEGINNING))):  # or cut in it
                return
    raise ValueError(f"not a journal of Optuna of at most {MOST >> 20} MiB")


def _check_database(url: str) -> None:
    """Refuse a file of SQLite that another program has made, before Optuna adds its tables.

    Raises:
        ValueError: it is one.
        sqlalchemy.exc.SQLAlchemyError: it cannot be read.
    """
    from sqlalchemy import create_engine, inspect

    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        made = inspect(engine)
        names = {*made.get_table_names(), *made.get_view_names()}
        # of Optuna's own, not all are there while another process makes them
        theirs = "studies" in names and [each["name"] for each in made.get_columns("studies")] == STUDIES
        others = any(not name.startswith(TABLES) for name in names)
        if names and "version_info" not in names and (others or not theirs):
            raise ValueError("a database of another program")


class _JournalLock:
    """Lock between the writers of a journal, which the system releases if its process dies.

    A line that a dying process left incomplete is removed, since the next one would be added to it.
    """

    def __init__(self, journal: str) -> None:
        self.journal, self.lock = journal, FileLock(journal)

    def acquire(self) -> bool:
        self.lock.acquire()
        with open(self.journal, "r+b") as file:
            if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self.lock.release()
