"""What a run was begun with: it goes on as it was begun, and is not trained over."""

from typing import Any

from hierarchy import runs
from hierarchy.errors import InputError


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
