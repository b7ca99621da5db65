"""Results of an Optuna study: a table of trials, and plots of their history and of parameter importance."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchy import fileio
from hierarchy.reports.plots import canvas, png
from hierarchy.reports.tables import as_csv
from hierarchy.taxonomy import colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HISTORY, IMPORTANCE, TRIALS = "history.png", "importance.png", "trials.csv"


def write(study: Any, node: str, folder: Path) -> None:
    """Write trials.csv and the plots of a study of a node."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.values]
    records = [
        {"trial": trial.number, "state": trial.state.name.lower(), "public_test_accuracy": trial.value}
        | dict(sorted(trial.params.items()))
        for trial in trials
    ]
    fileio.write_atomic(folder / TRIALS, as_csv(records).encode())
    fileio.write_atomic(folder / HISTORY, png(history(trials, node)))
    if shares := importance(study):
        fileio.write_atomic(folder / IMPORTANCE, png(bars(shares, node)))


def importance(study: Any) -> dict[str, float]:
    """Share of the variance that each parameter explains (fANOVA); empty before four different results."""
    import optuna

    whole = [trial.value for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    if len(set(whole)) < 4:
        return {}
    shares: dict[str, float] = optuna.importance.get_param_importances(study)
    return shares


def history(trials: list[Any], node: str) -> "Figure":
    """PublicTest accuracy of every trial, and the best so far; pruned trials are hollow."""
    figure, (axes,) = canvas(1, 1, (6.5, 3.6), f"Trials of {node}, by PublicTest")
    best = 0.0
    line = []
    for trial in trials:
        whole = trial.state.name == "COMPLETE"
        best = max(best, trial.value if whole else 0.0)
        line.append(100 * best)
        face = colour(node) if whole else "none"
        axes.scatter(trial.number, 100 * trial.value, facecolors=face, edgecolors=colour(node))
    axes.step([trial.number for trial in trials], line, where="post", color=colour(node), label="best")
    axes.set(xlabel="trial", ylabel="accuracy, %")
    return figure


def bars(shares: dict[str, float], node: str) -> "Figure":
    """A bar for each parameter, the most important on top."""
    figure, (axes,) = canvas(1, 1, (6.5, 3.0), f"Importance of parameters for {node}")
    names = sorted(shares, key=lambda name: shares[name])
    axes.barh(names, [100 * shares[name] for name in names], color=colour(node))
    axes.set_xlabel("share of the variance, %")
    return figure
