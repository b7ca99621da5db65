"""One command from data to calibrated runs: what `train` does around the training itself."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from hierarchy import recipes, runs
from hierarchy.data import sources
from hierarchy.data.faces import SKETCH, Faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import nodes_named

Say = Callable[[str], None]
Asked = tuple[str | None, int | None, str | None]  # recipe, seed and name of a run, where they are given


def campaign(
    *, recipe: str | None, seed: str | None, name: str | None, resume: bool, **same: Any
) -> Iterator[runs.Run]:
    """Train every recipe with every seed, back to back, and give each run as it finishes.

    Args:
        recipe: names of recipes, parted by commas; None: as `run` chooses.
        seed: whole numbers, parted by commas; None: as `run` chooses.
        name: of the run; of several, what their names begin with. None: the recipe's. Several runs are told
            apart by their seeds, and by their recipes where a name is given.
        resume: go on with what was begun, leave what is finished, begin the others.
        same: the other arguments of `run`.

    Raises:
        InputError: as `run`; without `resume`, before anything is trained, if any of the runs is there.
    """
    asked = _asked(recipe, seed, name)
    for one, _, called in asked:
        if one:
            recipes.named(one)
        if called and len(asked) > 1 and not resume:
            refuse_begun(runs.run(called))
    for one, number, called in asked:
        yield run(recipe=one, seed=number, name=called, resume=resume, **same)


def _asked(recipe: str | None, seed: str | None, name: str | None) -> list[Asked]:
    """Every run of a campaign."""
    chosen = recipe.split(",") if recipe else [None]
    seeds = _seeds(seed) if seed else [None]
    if len(chosen) * len(seeds) == 1:
        return [(chosen[0], seeds[0], name)]
    if not (recipe or name):
        raise InputError("several seeds: give --recipe or --run, so that each run has a name")
    out: list[Asked] = []
    for one, number in product(chosen, seeds):
        own = one if len(chosen) > 1 or not name else None
        parts = (name, own, None if number is None else str(number))
        out.append((one, number, "-".join(part for part in parts if part)))
    return out


def _seeds(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--seed {text!r}: allowed are whole numbers from 0, as in 0 or 0,1,2")
    return [int(part) for part in parts]


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
    say: Say,
) -> runs.Run:
    """Train what is asked for and calibrate it.

    Resuming, whatever is not given is as it was when the run was begun.

    Args:
        data: file or folder of faces; None: wherever `sources.training_faces` finds some.
        recipe: a recipe's name; None: `short`, on sketches `sketch`.
        settings: changes to the recipe, `key=value`.
        node: one node, or all; None: all.
        name: of the run; None: the recipe's.
        seed: of everything random; None: 0.
        resume: go on where the run of that name stopped.
        deterministic: the same bits again for the same seed.
        teacher: names of the runs that teach, parted by commas, for recipes with fit.teacher.
        say: takes lines for the user.

    Raises:
        InputError: a run of that name is there and `resume` is not given; other options on resuming.
        KeyboardInterrupt: as it came, after the run was left in order and `say` was told how to go on.
    """
    before = plan_of(runs.run(name or recipe or "short")) if resume else {}
    asked = before.get("asked", {})
    node = node or asked.get("node", "all")
    nodes = nodes_named(node)
    chosen = recipes.with_settings(recipes.named(recipe), settings) if recipe else None
    faces = sources.training_faces(data or asked.get("data"), say)
    if chosen is None and before and not settings:
        chosen = recipes.from_dict(before["recipe"], f"run {name!r}")
    if chosen is None:
        chosen = recipes.with_settings(recipes.named("sketch" if faces.drawn else "short"), settings)
    target = runs.run(name or chosen.name)
    identity = {
        "recipe": chosen.as_dict(),
        "settings": list(settings) or before.get("settings", []),
        "seed": before.get("seed", 0) if seed is None else seed,
        "deterministic": deterministic or before.get("deterministic", False),
        "data": sources.describe(faces),
    }
    if teachers := teacher or before.get("teacher"):
        identity["teacher"] = teachers
    found = SKETCH if faces.source == SKETCH else data or asked.get("data")
    begin(target, identity, resume, {"data": found, "node": node})
    _train(target, faces, chosen, nodes, identity, say)
    return target


def _train(
    target: runs.Run,
    faces: Faces,
    recipe: recipes.Recipe,
    nodes: Sequence[str],
    identity: dict[str, Any],
    say: Say,
) -> None:
    card = target.card() if target.trained else {"nets": {}}
    if "calibration" in card and all(card["nets"].get(node, {}).get("finished") for node in nodes):
        return say(f"run {target.name!r} is finished")
    from hierarchy.nets import backend

    backend.start()
    from hierarchy.nets import calibrate, train
    from hierarchy.nets.teacher import Teacher

    teacher = Teacher(identity["teacher"].split(",")) if "teacher" in identity else None
    if not train.tensorboard_works():
        say("TensorBoard needs the TensorFlow backend and is left out; history.csv holds the same figures")
    if identity["deterministic"]:
        backend.make_deterministic()
    say(f"training {', '.join(train.order(nodes, recipe))} with recipe {recipe.name} on {faces.source}")
    try:
        train.train(
            target, faces, recipe, nodes=nodes, seed=identity["seed"], identity=identity, teacher=teacher
        )
    except KeyboardInterrupt:
        say(f"stopped; go on with: python tf_model.py train --run {target.name} --resume")
        raise
    calibrate.calibrate(target, faces)


def plan_of(target: runs.Run) -> dict[str, Any]:
    """What a run was begun with, by its card and its log; empty where there is neither."""
    plan = target.log / runs.CARD
    return (target.card() if target.trained else {}) | (runs.read_json(plan) if plan.is_file() else {})


def begin(target: runs.Run, identity: dict[str, Any], resume: bool, asked: dict[str, Any]) -> None:
    """Open the run's log with its identity, or hold it against the one that is there.

    Args:
        target: the run.
        identity: what its card will say.
        resume: whether a run that is there may go on.
        asked: where its data were found and which node was asked for, so that resuming needs neither.

    Raises:
        InputError: the run is there and is not to be resumed, was begun with another identity, or cannot be
            written.
    """
    before, now = _dotted(plan_of(target)), _dotted(identity)
    if not resume:
        refuse_begun(target)
    for key in now:
        if begun(target) and before.get(key, now[key]) != now[key]:
            raise InputError(
                f"run {target.name!r} was begun with {key} {before[key]}, not {now[key]}: "
                "give the same options, or another name (--run NAME, make train RUN=NAME)"
            )
    target.check_writable()
    runs.write_json(target.log / runs.CARD, identity | {"asked": asked})


def begun(target: runs.Run) -> bool:
    """Whether a net, or a whole epoch of one, is there to be lost."""
    return target.trained or any(target.log.glob("*/state.json"))


def refuse_begun(target: runs.Run) -> None:
    """Keep a run from being trained over.

    Raises:
        InputError: the run is there.
    """
    if begun(target):
        raise InputError(
            f"run {target.name!r} is there already: --resume goes on with it, --run NAME starts another"
        )


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
