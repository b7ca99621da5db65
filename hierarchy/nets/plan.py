"""One command from data to a calibrated run: what `train` does around the training itself."""

from collections.abc import Callable, Sequence
from typing import Any

from hierarchy import recipes, runs
from hierarchy.data import sources
from hierarchy.data.faces import SKETCH, Faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import nodes_named

Say = Callable[[str], None]


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
    from hierarchy.nets import backend

    backend.start()
    from hierarchy.nets import calibrate, train

    if not train.tensorboard_works():
        say("TensorBoard needs the TensorFlow backend and is left out; history.csv holds the same figures")
    if identity["deterministic"]:
        backend.make_deterministic()
    say(f"training {', '.join(train.order(nodes, recipe))} with recipe {recipe.name} on {faces.source}")
    try:
        train.train(target, faces, recipe, nodes=nodes, seed=identity["seed"], identity=identity)
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
    begun = target.trained or any(target.log.glob("*/state.json"))  # a whole epoch is there to be lost
    if begun and not resume:
        raise InputError(
            f"run {target.name!r} is there already: --resume goes on with it, --run NAME starts another"
        )
    for key in now:
        if begun and before.get(key, now[key]) != now[key]:
            raise InputError(
                f"run {target.name!r} was begun with {key} {before[key]}, not {now[key]}: "
                "give the same options, or another name (--run NAME, make train RUN=NAME)"
            )
    target.check_writable()
    runs.write_json(target.log / runs.CARD, identity | {"asked": asked})


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
