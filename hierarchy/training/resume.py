"""What a run was begun with: it goes on as it was begun, and is not trained over."""

from typing import Any

from hierarchy import fileio, runs
from hierarchy.errors import InputError
from hierarchy.training.checkpoints import STATE

OTHERS = ("teacher", "start")  # what a card says of other runs, by their names


def plan_of(target: runs.Run) -> dict[str, Any]:
    """What a run was begun with, by its card and its log; empty where there is neither."""
    plan = target.log / runs.MANIFEST
    return (target.card() if target.trained else {}) | (fileio.read_json(plan) if plan.is_file() else {})


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
    if not resume:
        refuse_begun(target)
    if begun(target):
        known = plan_of(target)
        asked = known.get("asked", asked)
        before, now = ({key: {} for key in OTHERS} | _dotted(values) for values in (known, identity))
        for key in now:
            if before.get(key, now[key]) != now[key]:
                raise InputError(
                    f"run {target.name!r} was begun with {key} {_short(before[key])}, "
                    f"not {_short(now[key])}: give the same options, or another name "
                    "(--run NAME, make train RUN=NAME)"
                )
    target.check_writable()
    fileio.write_json(target.log / runs.MANIFEST, identity | {"asked": asked})


def begun(target: runs.Run) -> bool:
    """Whether a net, or a whole epoch of one, is there to be lost."""
    return target.trained or any(target.log.glob(f"*/{STATE}"))


def node_begun(target: runs.Run, node: str) -> bool:
    """Whether a net of a node, or a whole epoch of one, is there."""
    named = target.trained and node in target.card()["nets"]
    return named or (target.log / node / STATE).is_file()


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
    """Nested values by dotted key; what is said of other runs stays whole."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, dict) and key not in OTHERS
        flat |= _dotted(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def _short(value: Any) -> Any:
    """A value for people: of other runs, their names; where those are the same, their nets have changed."""
    if not isinstance(value, dict):
        return value
    return ", ".join(f"{name} ({str(nets)[:12]} ...)" for name, nets in value.items()) or "no run"
