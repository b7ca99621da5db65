"""One command from data to a calibrated run."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hierarchy import fileio, runs
from hierarchy.backends import Backend
from hierarchy.config.overrides import from_dict, recipe_of, with_settings
from hierarchy.config.schema import Recipe
from hierarchy.data import loading
from hierarchy.data.dataset import FaceDataset, Split
from hierarchy.data.formats.ferplus import LABELS, relabelled
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT, TRUNK, VALENCE, tree_named
from hierarchy.training import conformal, generated_faces
from hierarchy.training.backend import TrainTask, check_backend
from hierarchy.training.calibration import calibrate
from hierarchy.training.checkpoints import EpochCallback
from hierarchy.training.distillation import taught, teacher_checksums
from hierarchy.training.resume import OTHER_RUNS, begin, plan_of, refuse_begun
from hierarchy.training.targets import check_faces, check_recipe
from hierarchy.training.warm_start import report_other_data, start_runs, take_flat

log = logging.getLogger(__name__)

LOCK: Final = ".lock"  # in a run's log folder, while a process trains it
DEFAULT_RECIPE: Final = "short"  # for drawn faces: runs.SKETCH


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
    generated: str | None = None,
    labels: str | None = None,
    tree: str | None = None,
    backend: Backend,
    again: str | None = None,
) -> runs.Run:
    """Train and calibrate a run. Names and options are checked before any data are loaded.

    On resume, options that are not given are those the run was begun with.

    Args:
        data: file or folder of faces; None: see `loading.training_faces`.
        recipe: name or file of a recipe; None: `short`, or `sketch` for drawn faces.
        settings: changes to the recipe, `key=value`.
        node: nodes separated by commas, or all; None: the recipe's, usually all.
        name: of the run; None: the recipe's.
        seed: of everything random; None: 0.
        resume: continue the run of that name.
        deterministic: bit-identical results for the same seed.
        teacher: teacher runs separated by commas, for recipes with fit.distillation_weight.
        start: run whose flat net is reused, or trained further where `node` includes flat; for a net of
            several bodies, a run for each, separated by commas.
        generated: generator that adds faces to Training, for recipes with fit.generated_share.
        labels: fer2013 or ferplus; None: fer2013.
        tree: name or .toml file of a tree; None: the recipe's, on resume the run's.
        backend: that fits the nets.
        again: how to resume after Ctrl-C; None: the command that resumes this run.

    Raises:
        InputError: the run exists and `resume` is not set, or it was begun with other options.
        KeyboardInterrupt: after the run was left resumable and the command to resume it was logged.
    """
    default = runs.SKETCH if data == runs.SKETCH else DEFAULT_RECIPE
    before = plan_of(_folders(name or recipe_of(recipe or default).name, backend)) if resume else {}
    begun_with = before.get("asked", {})
    data, labels = data or begun_with.get("data"), labels or before.get("labels", LABELS[0])
    if labels not in LABELS:
        raise InputError(f"--label-source {labels!r}: expected one of {', '.join(LABELS)}")
    chosen = recipe_named(recipe or (None if before else default), settings, tree, backend, before)
    node = node or begun_with.get("node") or chosen.node
    nodes = chosen.tree.nodes_named(node)
    if (name or recipe) and not resume:
        refuse_begun(_folders(name or chosen.name, backend))
    others = _other_runs(before, start, teacher, chosen, backend) | generated_faces.recorded(
        generated, backend
    )
    check_recipe(chosen, "teacher" in others, "generated" in others)

    faces = loading.training_faces(data)
    if faces.drawn and not (recipe or before):
        chosen = recipe_named(runs.SKETCH, settings, tree, backend)
    faces = relabelled(faces, labels, chosen.tree)
    check_faces(faces, chosen, order(nodes, chosen))
    loading.report_left_out(faces, chosen.tree)
    identity = {
        "recipe": chosen.as_dict(),
        "settings": list(settings),
        "seed": before.get("seed", 0) if seed is None else seed,
        "deterministic": deterministic or before.get("deterministic", False),
        "labels": labels,
        "framework": backend.name,
        "data": generated_faces.described(faces, chosen),
        **others,
    }
    if before.get("recipe") == identity["recipe"]:
        identity["settings"] = before.get("settings", [])
    target = _folders(name or chosen.name, backend)
    place = runs.SKETCH if faces.source == runs.SKETCH else data and os.path.abspath(data)
    with fileio.exclusive_lock(target.log / LOCK, f"run {target.name!r} is being trained by another process"):
        begin(target, identity, resume, {"data": place, "node": node})
        if all(_finished(target, each) for each in nodes) and target.manifest().calibration:
            log.info(f"run {target.name!r} is finished")
            return target
        report_other_data(identity)
        generated_faces.check(identity, faces, chosen)
        backend.start(deterministic=identity["deterministic"])
        log.info(f"training {', '.join(order(nodes, chosen))} with recipe {chosen.name} on {faces.source}")
        try:
            train(target, faces, chosen, nodes=nodes, identity=identity, backend=backend)
        except KeyboardInterrupt:
            command = again or f"{backend.command} train --run {target.name} --resume"
            log.info(f"interrupted; resume with: {command}")
            raise
    return target


def _other_runs(
    before: Mapping[str, Any], start: str | None, teacher: str | None, recipe: Recipe, backend: Backend
) -> dict[str, Any]:
    """The runs that a run starts and learns from, with the checksums of their nets."""
    others = {key: before[key] for key in OTHER_RUNS if key in before}
    if start:
        begun = start_runs(start.split(","), recipe, backend)
        others["start"] = {run.name: run.manifest().checksums[FLAT] for run in begun}
    if teacher:
        others["teacher"] = teacher_checksums(teacher.split(","), recipe.tree)
    return others


def recipe_named(
    name: str | None,
    settings: Sequence[str],
    tree: str | None,
    backend: Backend,
    before: Mapping[str, Any] | None = None,
) -> Recipe:
    """The recipe of a name or file with settings and, where one is given, another tree.

    Args:
        name: None: the recipe of `before`.
        settings: changes to it, `key=value`.
        tree: name or .toml file of a tree; None: the recipe's.
        backend: that fits the nets.
        before: the options of the run that is resumed, which keeps its tree.

    Raises:
        InputError: an unknown recipe, setting or tree, another tree than the resumed run's, or a backbone
            that the backend does not have.
    """
    begun = from_dict(before["recipe"], f"run {before['run']!r}") if before else None
    recipe = with_settings(begun if begun and not name else recipe_of(name or DEFAULT_RECIPE), settings)
    check_backend(recipe, backend)
    if tree:
        recipe = replace(recipe, tree=tree_named(tree))
    if not before or not begun:
        return recipe
    if tree or recipe.tree != VALENCE:  # a named recipe's default tree is not a request
        recipe.tree.check_same(begun.tree, f"run {before['run']!r}")
    return replace(recipe, tree=begun.tree)


def _folders(name: str, backend: Backend) -> runs.Run:
    """The folders of a run; for processes of another rank, inside its log folder."""
    run = runs.run(name)
    if not backend.rank:
        return run
    beside = run.log / f"rank-{backend.rank}"
    return runs.Run(run.name, beside / "results", beside / "logs")


def train(
    run: runs.Run,
    faces: FaceDataset,
    recipe: Recipe,
    *,
    nodes: Sequence[str],
    identity: dict[str, Any],
    backend: Backend,
    on_epoch_end: EpochCallback | None = None,
    verbose: bool = True,
) -> None:
    """Train the unfinished nets of a run, storing each as it finishes, and calibrate them.

    Args:
        run: where nets, recipe, history and checkpoints go.
        faces: Training and PublicTest rows are used.
        recipe: every hyper-parameter, and the tree.
        nodes: to train; the flat net too where the others are initialised from it.
        identity: values of the manifest besides the nets, among them the seed, start and teachers.
        backend: that fits the nets, started.
        on_epoch_end: called with each epoch's history row; may stop the training by an exception.
        verbose: whether progress and epochs are printed.

    Raises:
        InputError: a split is empty for a node; FER+ votes or a teacher are missing.
        KeyboardInterrupt: after the best weights so far have been stored.
    """
    check_recipe(recipe, "teacher" in identity, "generated" in identity)
    check_faces(faces, recipe, order(nodes, recipe))
    take_flat(run, recipe, nodes, identity, backend)
    training, validation = faces.of(Split.Training), faces.of(Split.PublicTest)
    left = [node for node in order(nodes, recipe) if not _finished(run, node)]
    pool = generated_faces.pool(identity, training, recipe, backend) if left else None
    starts = identity.get("start") if FLAT in left else None
    first = start_runs(list(starts), recipe, backend) if starts else []
    for node in left:
        fit, valid = recipe.fit_of(node), validation.for_node(recipe.tree, node)
        shown = generated_faces.mixed(training, pool, recipe.tree, fit.generated_share)
        soft = None
        if "teacher" in identity:
            soft = taught(identity["teacher"], recipe.tree, backend, shown.pixels, run.log)
        sources = first if node == FLAT else [run] if recipe.warm_start else []
        start = tuple(source.net(FLAT) for source in sources)
        seed = identity.get("seed", 0)
        parts = (shown, valid, identity, soft, start, on_epoch_end, verbose)
        backend.fit(TrainTask(node, recipe, fit, seed, run, *parts))
    conformal.add(run, calibrate(run, faces, backend), validation)


def order(nodes: Sequence[str], recipe: Recipe) -> list[str]:
    """The nets in the order of training, with the flat net where others are initialised from it."""
    needed = {*nodes, FLAT} if recipe.warm_start else set(nodes)
    if recipe.heads == "separate":
        return [node for node in recipe.tree.nets if node in needed]
    return [FLAT] * (FLAT in needed) + [TRUNK] * bool(needed - {FLAT})


def _finished(run: runs.Run, node: str) -> bool:
    nets = run.manifest().nets if run.trained else {}
    heads = run.manifest().tree.nodes if node == TRUNK and run.trained else (node,)
    return all(head in nets and nets[head].finished for head in heads)
