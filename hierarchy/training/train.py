"""One command from data to a calibrated run: what `train` does around the training itself."""

import logging
import os
from collections.abc import Sequence
from itertools import product
from typing import Any, Final

from hierarchy import fileio, runs
from hierarchy.backends import Backend
from hierarchy.config.overrides import from_dict, recipe_of, with_settings
from hierarchy.config.schema import Recipe
from hierarchy.data import loading
from hierarchy.data.dataset import SKETCH, FaceDataset, Split
from hierarchy.data.formats.ferplus import LABELS, relabelled
from hierarchy.taxonomy import FLAT, nodes_named
from hierarchy.training.backend import ORDER, TrainTask, check_home, check_there
from hierarchy.training.calibration import calibrate
from hierarchy.training.checkpoints import EpochCallback
from hierarchy.training.distillation import Teacher, teacher_checksums
from hierarchy.training.resume import OTHERS, begin, node_begun, plan_of
from hierarchy.training.targets import check
from hierarchy.training.warm_start import check_taught_alike, learned_elsewhere, origin

log = logging.getLogger(__name__)

LOCK: Final = ".lock"  # in a run's log, for as long as a process fits its nets


def run(
    *,
    data: str | None,
    recipe: str | None,
    settings: Sequence[str],
    node: str | None,
    name: str | None,
    seed: int | None,
    resume: bool,
    deterministic: bool,
    teacher: str | None = None,
    start: str | None = None,
    labels: str | None = None,
    framework: Backend,
    again: str | None = None,
) -> runs.Run:
    """Train what is asked for and calibrate it.

    Resuming, whatever is not given is as it was when the run was begun.

    Args:
        data: file or folder of faces; None: wherever `sources.training_faces` finds some.
        recipe: a recipe's name; None: `short`, on sketches `sketch`.
        settings: changes to the recipe, `key=value`.
        node: one node, several parted by commas, or all; None: what the recipe says, as a rule all.
        name: of the run; None: the recipe's.
        seed: of everything random; None: 0.
        resume: go on where the run of that name stopped.
        deterministic: the same bits again for the same seed.
        teacher: names of the runs that teach, parted by commas, for recipes with fit.distillation_weight.
        start: name of the run whose flat net stands in for this run's own, or is trained further where `node`
            names the flat net.
        labels: whose: fer2013 or ferplus; None: fer2013.
        framework: what fits the nets.
        again: how to go on after Ctrl-C; None: with this run alone.

    Raises:
        InputError: a run of that name is there and `resume` is not given; other options on resuming.
        KeyboardInterrupt: as it came, after the run was left in order and how to resume it was logged.
    """
    before = plan_of(_place(name or recipe_of(recipe or "short").name, framework)) if resume else {}
    asked = before.get("asked", {})
    data, labels = data or asked.get("data"), labels or before.get("labels", LABELS[0])
    faces = relabelled(loading.training_faces(data), labels)
    chosen = _recipe(recipe, settings, before, faces)
    check_home(chosen, framework)
    node = node or asked.get("node") or chosen.node
    nodes = nodes_named(node)
    target = _place(name or chosen.name, framework)
    teachers = teacher.split(",") if teacher else list(before.get("teacher", []))
    check(chosen, faces, bool(teachers))
    for each, role in product(order(nodes, chosen), (Split.Training, Split.PublicTest)):
        check_there(faces, role, each)
    first = origin(start, chosen, framework) if start else None
    said = before.get("recipe") == chosen.as_dict()
    identity: dict[str, Any] = {
        "recipe": chosen.as_dict(),
        "settings": before.get("settings", []) if said else list(settings),
        "seed": before.get("seed", 0) if seed is None else seed,
        "deterministic": deterministic or before.get("deterministic", False),
        "labels": labels,
        "framework": framework.name,
        "data": loading.describe(faces),
    }
    identity |= {"start": {first.name: runs.checksums(first.card())[FLAT]}} if first else {}
    identity |= {"teacher": teacher_checksums(teachers)} if teacher else {}
    identity |= {key: before[key] for key in OTHERS if key in before and key not in identity}
    place = SKETCH if faces.source == SKETCH else data and os.path.abspath(data)
    with fileio.exclusive_lock(target.log / LOCK, f"run {target.name!r} is being trained by another process"):
        begin(target, identity, resume, {"data": place, "node": node})
        if all(_finished(target, each) for each in nodes) and "calibration" in target.card():
            log.info(f"run {target.name!r} is finished")
            return target
        if "start" in identity and not node_begun(target, FLAT):
            first = first or origin(next(iter(identity["start"])), chosen, framework)
            if FLAT not in nodes:
                check_taught_alike(first, identity)
                runs.copy_net(first, target, FLAT, identity)
        for other in learned_elsewhere([*identity.get("start", ()), *identity.get("teacher", ())], identity):
            log.info(f"run {other!r} learned other data, which may hold faces that test this run")
        framework.start(deterministic=identity["deterministic"])
        log.info(f"training {', '.join(order(nodes, chosen))} with recipe {chosen.name} on {faces.source}")
        told = Teacher(identity["teacher"], framework) if teachers else None
        try:
            train(target, faces, chosen, nodes=nodes, identity=identity, framework=framework, teacher=told)
        except KeyboardInterrupt:
            log.info(
                f"stopped; go on with: {again or f'{framework.command} train --run {target.name} --resume'}"
            )
            raise
    return target


def _place(name: str, framework: Backend) -> runs.Run:
    """Where a run is kept; what other processes than the first fit beside it, in its log."""
    run = runs.run(name)
    if not framework.rank:
        return run
    beside = run.log / f"rank-{framework.rank}"
    return runs.Run(run.name, beside / "results", beside / "logs")


def _recipe(name: str | None, settings: Sequence[str], before: dict[str, Any], faces: FaceDataset) -> Recipe:
    """The recipe asked for; else the one that the run was begun with; else one that suits the faces."""
    if name is None and before:
        begun = from_dict(before["recipe"], f"run {before.get('run', '')!r}")
        return with_settings(begun, settings)
    return with_settings(recipe_of(name or ("sketch" if faces.drawn else "short")), settings)


def train(
    run: runs.Run,
    faces: FaceDataset,
    recipe: Recipe,
    *,
    nodes: Sequence[str],
    identity: dict[str, Any],
    framework: Backend,
    teacher: Teacher | None = None,
    on_epoch_end: EpochCallback | None = None,
) -> None:
    """Train the nets of a run that are not finished yet, storing each as it finishes, and calibrate them.

    Args:
        run: where nets, recipe, history and checkpoints go.
        faces: Training and PublicTest rows are used; others are not looked at.
        recipe: every hyper-parameter.
        nodes: what to train; the flat net comes first where the recipe starts the others from it.
        identity: what the run's card says besides its nets, the seed of everything random among it.
        framework: what fits the nets, started.
        teacher: what other nets say, where the recipe asks for it.
        on_epoch_end: called with the history row of every epoch; may stop the training by an exception.

    Raises:
        InputError: a split is empty for a node; votes or a teacher are asked for and not there.
        KeyboardInterrupt: after the best weights so far have been stored.
    """
    check(recipe, faces, teacher is not None)
    training, choosing = faces.of(Split.Training), faces.of(Split.PublicTest)
    taught = teacher.kept(training.pixels, run.log) if teacher else None
    for node in order(nodes, recipe):
        if _finished(run, node):
            continue
        seed, valid, fit = identity.get("seed", 0), choosing.for_node(node), recipe.fit
        source = next(map(runs.run, identity.get("start", ())), None)
        if node != FLAT:
            fit, source = recipe.warm_start or recipe.fit, run if recipe.warm_start else None
        first = source.net(FLAT) if source else None
        framework.fit(
            TrainTask(node, recipe, fit, seed, run, training, valid, identity, taught, first, on_epoch_end)
        )
    calibrate(run, faces, framework)


def order(nodes: Sequence[str], recipe: Recipe) -> list[str]:
    """The nodes in the order of training."""
    wanted = set(nodes) | ({FLAT} if recipe.warm_start else set())
    return [node for node in ORDER if node in wanted]


def _finished(run: runs.Run, node: str) -> bool:
    return run.trained and bool(run.card()["nets"].get(node, {}).get("finished"))
