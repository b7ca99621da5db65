"""Several runs by one command: every recipe with every seed, back to back."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from hierarchy import runs
from hierarchy.config.overrides import recipe_of, with_settings
from hierarchy.errors import InputError
from hierarchy.training import train
from hierarchy.training.backend import check_home
from hierarchy.training.resume import refuse_begun
from hierarchy.training.warm_start import origin

Asked = tuple[str | None, int | None, str | None]  # recipe, seed and name of a run, where they are given


def sweep(
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
            chosen = with_settings(recipe_of(one), same["settings"])
            check_home(chosen, same["framework"])
            if same.get("start"):
                origin(same["start"], chosen, same["framework"])
        if called and len(asked) > 1 and not resume:
            refuse_begun(runs.run(called))
    again = "the same command and --resume" if len(asked) > 1 else None
    for one, number, called in asked:
        yield train.run(recipe=one, seed=number, name=called, resume=resume, again=again, **same)


def _asked(recipe: str | None, seed: str | None, name: str | None) -> list[Asked]:
    """Every run of a campaign."""
    chosen = _parts("--recipe", recipe) if recipe else [None]
    seeds = _seeds(seed) if seed else [None]
    if len(chosen) * len(seeds) == 1:
        return [(chosen[0], seeds[0], name)]
    if not (recipe or name):
        raise InputError("several seeds: give --recipe or --run, so that each run has a name")
    out: list[Asked] = []
    for one, number in product(chosen, seeds):
        own = recipe_of(one).name if one and (len(chosen) > 1 or not name) else None
        parts = (name, own, None if number is None else str(number))
        out.append((one, number, "-".join(part for part in parts if part)))
    return out


def _parts(option: str, text: str) -> list[str]:
    parts = text.split(",")
    if len(set(parts)) < len(parts) or "" in parts:
        raise InputError(f"{option} {text!r}: a part is empty or there twice")
    return parts


def _seeds(text: str) -> list[int]:
    parts = _parts("--seed", text)
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--seed {text!r}: allowed are whole numbers from 0, as in 0 or 0,1,2")
    return [int(part) for part in parts]
