"""One command from data to a calibrated run: what `train` does around the training itself."""

from collections.abc import Callable, Sequence
from typing import Any

from hierarchy import recipes, runs
from hierarchy.data import sources
from hierarchy.data.faces import SKETCH, Faces
from hierarchy.errors import InputError
from hierarchy.taxonomy import LEFT_OUT

Say = Callable[[str], None]


def run(
    *,
    data: str | None,
    recipe: str | None,
    settings: Sequence[str],
    node: str,
    name: str | None,
    seed: int,
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
        seed: of everything random.
        resume: go on where the run of that name stopped.
        deterministic: the same bits again for the same seed.
        say: takes lines for the user.

    Raises:
        InputError: a run of that name is there and `resume` is not given; another recipe or other data on
        resuming. KeyboardInterrupt: as it came, after the run was left in order and `say` was told how to
        go on.
    """
    faces = sources.training_faces(data, say)
    chosen = recipes.named(recipe or ("sketch" if faces.source == SKETCH else "short"))
    chosen = recipes.with_settings(chosen, settings)
    target = runs.run(name or chosen.name)
    identity = {
        "recipe": chosen.as_dict(),
        "seed": seed,
        "deterministic": deterministic,
        "data": describe(faces),
    }
    begin(target, identity, resume)
    from hierarchy.nets import backend

    backend.start()
    from hierarchy.nets import calibrate, train

    nodes = train.chosen(node)
    if not train.tensorboard_works():
        say("TensorBoard events are written on the TensorFlow backend only; history.csv holds the same figures")
    if deterministic:
        backend.make_deterministic()
    say(f"training {', '.join(train.order(nodes, chosen))} with recipe {chosen.name} on {faces.source}")
    try:
        train.train(target, faces, chosen, nodes=nodes, seed=seed, identity=identity)
    except KeyboardInterrupt:
        say(
            f"stopped; go on with: python tf_model.py train --run {target.name} --resume and the same options"
        )
        raise
    calibrate.calibrate(target, faces)
    return target


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
    """Open the run's log with its identity, or hold it against the one that is there."""
    plan = target.log / runs.CARD
    if not resume and (target.trained or plan.is_file()):
        raise InputError(
            f"run {target.name!r} is there already: --resume goes on with it, --run NAME starts another"
        )
    if resume and plan.is_file():
        before, now = _dotted(runs.read_json(plan)), _dotted(identity)
        for key in now:
            if before.get(key) != now[key]:
                raise InputError(
                    f"run {target.name!r} was begun with {key} {before.get(key)}, not {now[key]}: "
                    "give the same options, or another --run"
                )
    runs.write_json(plan, identity)


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
