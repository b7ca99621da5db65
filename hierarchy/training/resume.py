"""Resume a run with the options it was begun with, and never overwrite one."""

from typing import Any, Final, Required, TypedDict

from hierarchy import fileio, runs
from hierarchy.config.overrides import from_dict, translated
from hierarchy.errors import InputError
from hierarchy.training.checkpoints import STATE


class Asked(TypedDict, total=False):
    """Options of the command line that began a run."""

    data: str | None
    node: str


class Plan(TypedDict, total=False):
    """What a run's manifest or log holds of the options it was begun with."""

    recipe: Required[dict[str, Any]]
    seed: int
    deterministic: bool
    labels: str
    settings: list[str]
    teacher: dict[str, dict[str, str]]
    start: dict[str, str]
    generated: dict[str, str]
    asked: Asked


# keys of a manifest that refer to other runs, or to a generator, by name
OTHER_RUNS: Final = ("teacher", "start", "generated")


def plan_of(target: runs.Run) -> dict[str, Any]:
    """The options a run was begun with, its recipe completed; empty where the run does not exist."""
    values: dict[str, Any] = {}
    if target.trained:
        target.manifest()  # checks the file
        values = fileio.read_object(target.folder / runs.MANIFEST)
    if (plan := target.log / runs.MANIFEST).is_file():
        values |= fileio.read_object(plan)
    if values:
        source = f"run {target.name!r}"
        fileio.typed(values, Plan, source)
        values["recipe"] = from_dict(values["recipe"], source).as_dict()
        values["run"] = target.name
        values["settings"] = [translated(each, source) for each in values.get("settings", [])]
    return values


def begin(target: runs.Run, identity: dict[str, Any], resume: bool, asked: dict[str, Any]) -> None:
    """Write a run's identity to its log, or compare it with the one that is there.

    Args:
        target: the run.
        identity: what its manifest will record besides the nets.
        resume: whether an existing run may be continued.
        asked: data and node of the command line, the defaults on resume.

    Raises:
        InputError: the run exists and `resume` is not set, was begun with another identity, or cannot be
            written.
    """
    if not resume:
        refuse_begun(target)
    if begun(target):
        stored = plan_of(target)
        asked = stored.get("asked", asked)
        before, now = ({key: {} for key in OTHER_RUNS} | _dotted(values) for values in (stored, identity))
        recipe = [key for key in (*before, *now) if key.startswith("recipe.")]
        for key in dict.fromkeys((*recipe, *(key for key in now if key in before))):
            if before.get(key) != now.get(key):
                raise InputError(
                    f"run {target.name!r} was begun with {key} {_short(before.get(key))}, "
                    f"not {_short(now.get(key))}: "
                    "use the same options, or another name (--run NAME, make train RUN=NAME)"
                )
    fileio.write_atomic(target.folder / ".probe", b"")  # before hours are spent on it
    (target.folder / ".probe").unlink()
    fileio.write_json(target.log / runs.MANIFEST, identity | {"asked": asked})


def begun(target: runs.Run) -> bool:
    """Whether the run has a net, or a checkpoint of one."""
    return target.trained or any(target.log.glob(f"*/{STATE}"))


def node_begun(target: runs.Run, node: str) -> bool:
    """Whether the run has the net of a node, or a checkpoint of it."""
    stored = target.trained and node in target.manifest().nets
    return stored or (target.log / node / STATE).is_file()


def refuse_begun(target: runs.Run) -> None:
    """Refuse to overwrite a run.

    Raises:
        InputError: the run exists.
    """
    if begun(target):
        raise InputError(f"run {target.name!r} exists: continue it with --resume, or choose another --run")


def _dotted(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key; OTHER_RUNS are not flattened."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, dict) and key not in OTHER_RUNS
        flat |= _dotted(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def _short(value: Any) -> Any:
    """A value for a message; of other runs, names and the beginning of their checksums."""
    if not isinstance(value, dict):
        return value
    return ", ".join(f"{name} ({str(nets)[:12]} ...)" for name, nets in value.items()) or "no run"
