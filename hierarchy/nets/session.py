"""One command from data to a calibrated run: what `train` does around the training itself."""

from collections.abc import Callable, Sequence
from typing import Any

from hierarchy import recipes, runs
from hierarchy.data import sources
from hierarchy.data.faces import SKETCH, Faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import LEFT_OUT, nodes_named

Say = Callable[[str], None]


def run(
    *,
    data: str | None,
    recipe: str | None,
    settings: Sequence[str],
    node: str,
    name: str | None,
    seed: int | None,
    resume: bool,
    deterministic: bool,
    say: Say,
) -> runs.Run:
    """Train what is asked for and calibrate it.

    Args:
        data: file or folder of faces; None: wherever `sources.training_faces` finds some.
        recipe: a recipe's name; None: `short`, on sketches `sketch`.
        settings: changes to the recipe, `key=value`.
        node: one node, or all.
        name: of the run; None: the recipe's.
        seed: of everything random; None: 0.
        resume: go on where the run of that name stopped, by its own recipe and seed where none are given.
        deterministic: the same bits again for the same seed.
        say: takes lines for the user.

    Raises:
        InputError: a run of that name is there and `resume` is not given; other options on resuming.
        KeyboardInterrupt: as it came, after the run was left in order and `say` was told how to go on.
    """
    nodes = nodes_named(node)
    faces = sources.training_faces(data, say)
    chosen = recipes.named(recipe or ("sketch" if faces.source == SKETCH else "short"))
    chosen = recipes.with_settings(chosen, settings)
    target = runs.run(name or chosen.name)
    before = plan_of(target) if resume else {}
    if before and not (recipe or settings):
        chosen = recipes.from_dict(before["recipe"], str(target.log / runs.CARD))
    identity = {
        "recipe": chosen.as_dict(),
        "seed": before.get("seed", 0) if seed is None else seed,
        "deterministic": deterministic or before.get("deterministic", False),
        "data": describe(faces),
    }
    begin(target, identity, resume)
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
    """What a run was begun with; empty before its first whole epoch."""
    if target.trained:
        return target.card()
    begun = any(target.log.glob("*/state.json"))
    return runs.read_json(target.log / runs.CARD) if begun else {}


def describe(faces: Faces) -> dict[str, Any]:
    """What a run's card says of its data."""
    counts = faces.counts()
    left_out = {name: sum(split[name] for split in counts.values()) for name in LEFT_OUT}
    return {
        "source": faces.source,
        "fingerprint": sources.fingerprint(faces),
        "left_out": left_out,
        "counts": counts,
    }


def begin(target: runs.Run, identity: dict[str, Any], resume: bool) -> None:
    """Open the run's log with its identity, or hold it against the one that is there.

    Raises:
        InputError: the run is there and is not to be resumed, or was begun with another identity.
    """
    before, now = _dotted(plan_of(target)), _dotted(identity)
    if before and not resume:
        raise InputError(
            f"run {target.name!r} is there already: --resume goes on with it, --run NAME starts another"
        )
    for key in now:
        if before and before.get(key) != now[key]:
            raise InputError(
                f"run {target.name!r} was begun with {key} {before.get(key)}, not {now[key]}: "
                "give the same options, or another --run"
            )
    runs.write_json(target.log / runs.CARD, identity)


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
