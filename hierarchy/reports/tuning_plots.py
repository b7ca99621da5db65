"""What a study found, as a table and two pictures: how it went, and which parameters mattered."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchy import fileio
from hierarchy.reports.plots import COLOURS, canvas, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HISTORY, IMPORTANCE, TRIALS = "history.png", "importance.png", "trials.csv"


def write(study: Any, node: str, folder: Path) -> None:
    """Write trials.csv and the pictures of an Optuna study of a node."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.values]
    names = sorted({name for trial in trials for name in trial.params})
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["trial", "state", "public_test_accuracy", *names])
    for trial in trials:
        rows.writerow([trial.number, trial.state.name.lower(), trial.value, *map(trial.params.get, names)])
    fileio.write_atomic(folder / TRIALS, out.getvalue().encode())
    fileio.write_atomic(folder / HISTORY, png(history(trials, node)))
    if shares := importance(study):
        fileio.write_atomic(folder / IMPORTANCE, png(bars(shares, node)))


def importance(study: Any) -> dict[str, float]:
    """Share of the variance that each parameter explains (fANOVA); none before four trials that differ."""
    import optuna

    whole = [trial.value for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    if len(set(whole)) < 4:
        return {}
    found: dict[str, float] = optuna.importance.get_param_importances(study)
    return found


def history(trials: list[Any], node: str) -> "Figure":
    """PublicTest accuracy of every trial, and the best until then; trials that were cut short are hollow."""
    figure, (axes,) = canvas(1, 1, (6.5, 3.6), f"Trials of {node}, by PublicTest")
    best = 0.0
    line = []
    for trial in trials:
        whole = trial.state.name == "COMPLETE"
        best = max(best, trial.value if whole else 0.0)
        line.append(100 * best)
        face = COLOURS[node] if whole else "none"
        axes.scatter(trial.number, 100 * trial.value, facecolors=face, edgecolors=COLOURS[node])
    axes.step([trial.number for trial in trials], line, where="post", color=COLOURS[node], label="best")
    axes.set(xlabel="trial", ylabel="accuracy, %")
    return figure


def bars(shares: dict[str, float], node: str) -> "Figure":
    """A bar a parameter, the one that matters most on top."""
    figure, (axes,) = canvas(1, 1, (6.5, 3.0), f"What mattered in the trials of {node}")
    names = sorted(shares, key=lambda name: shares[name])
    axes.barh(names, [100 * shares[name] for name in names], color=COLOURS[node])
    axes.set_xlabel("share of the variance, %")
    return figure
