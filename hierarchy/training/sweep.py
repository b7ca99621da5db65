"""Several runs by one command: every recipe with every seed, one after another."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from hierarchy import runs
from hierarchy.config.overrides import recipe_of
from hierarchy.errors import InputError
from hierarchy.training import train
from hierarchy.training.resume import refuse_begun
from hierarchy.training.warm_start import start_runs

Job = tuple[str | None, int | None, str | None]  # recipe, seed and name of a run, where they are given


def sweep(
    *, recipe: str | None, seed: str | None, name: str | None, resume: bool, **same: Any
) -> Iterator[runs.Run]:
    """Train every recipe with every seed, and yield each run as it finishes.

    Args:
        recipe: names of recipes, separated by commas; None: as in `train.run`.
        seed: integers, separated by commas; None: as in `train.run`.
        name: of the run; of several runs, the prefix of their names. None: the recipe's. Several runs are
            distinguished by their seeds, and by their recipes where a name is given.
        resume: continue runs that were begun, skip finished ones, begin the others.
        same: the other arguments of `train.run`.

    Raises:
        InputError: as `train.run`; without `resume`, if any of the runs exists, before the first is trained.
    """
    jobs = _jobs(recipe, seed, name)
    for one, _, run_name in jobs:
        if one:
            chosen = train.recipe_named(one, same["settings"], same.get("tree"), same["backend"])
            if same.get("start") and not resume:
                start_runs(same["start"].split(","), chosen, same["backend"])
        if run_name and len(jobs) > 1 and not resume:
            refuse_begun(runs.run(run_name))
    again = "the same command and --resume" if len(jobs) > 1 else None
    for one, number, run_name in jobs:
        yield train.run(recipe=one, seed=number, name=run_name, resume=resume, again=again, **same)


def _jobs(recipe: str | None, seed: str | None, name: str | None) -> list[Job]:
    recipes = _parts("--recipe", recipe)
    seeds = [int(part) if part else None for part in _parts("--seed", seed)]
    if len(recipes) * len(seeds) == 1:
        return [(recipes[0], seeds[0], name)]
    if not (recipe or name):
        raise InputError("several seeds: give --recipe or --run, so that each run has a name")
    out: list[Job] = []
    for one, number in product(recipes, seeds):
        suffix = recipe_of(one).name if one and (len(recipes) > 1 or not name) else None
        parts = (name, suffix, None if number is None else str(number))
        out.append((one, number, "-".join(part for part in parts if part)))
    return out


def _parts(option: str, text: str | None) -> list[str | None]:
    if not text:
        return [None]
    parts = text.split(",")
    if len(set(parts)) < len(parts) or "" in parts:
        raise InputError(f"{option} {text!r}: a value is empty or repeated")
    if option == "--seed" and not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InputError(f"--seed {text!r:.80}: expected integers from 0 to 999999999, e.g. 0 or 0,1,2")
    return [*parts]
