"""benchmarks.md and growth.png: results of these benchmarks on prediction speed, for a reader.

Milliseconds are of one machine and one run; compare ratios within a table only.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hierarchy import fileio, runs
from hierarchy.evaluation.leaderboard import BENCHMARKS, benchmarks
from hierarchy.reports import plots
from hierarchy.reports.tables import accuracy as accuracy_cell
from hierarchy.reports.tables import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE: Final = "benchmarks.md"
PICTURE: Final = "growth.png"
REFERENCE: Final = "Keras on TensorFlow"
ONE, MANY = "1", "64"  # faces in a batch
LAZY: Final = f"{MANY}, label only"
MEGABYTE: Final = 1e6
EXTRAPOLATED: Final = 100_000_000  # pictures
PROCESSES: Final = {  # part of benchmarks.json: title of its table, key of what is counted
    "starting": ("A whole process", "pictures"),
    "growth": ("A folder of crops", "files"),
    "video": ("A video of 640x480 pixels with one face, the whole process", "frames"),
    "batch": ("A batch of crops, all processes together", "pictures"),
}


def write(measured: Mapping[str, Any]) -> Path:
    """Merge measurements into benchmarks.json, replacing those of the same name, and redraw the reports."""
    folder = runs.home() / "results"
    known = benchmarks()
    known |= {kind: known.get(kind, {}) | part for kind, part in measured.items()}
    page = markdown(known)  # before anything is written: it may fail
    fileio.write_json(folder / BENCHMARKS, known)
    fileio.write_atomic(folder / FILE, page.encode())
    if "growth" in known:
        fileio.write_atomic(folder / PICTURE, plots.png(growth(known)))
    return folder / FILE


def markdown(measured: Mapping[str, Any]) -> str:
    """The tables of all measurements."""
    parts = ["# How fast it answers"]
    for cores in sorted(measured.get("answering", {}), key=int, reverse=True):
        parts += _answering(measured, cores)
    growing = {f"predict, {n}": row | {"files": int(n)} for n, row in _growing(measured)}
    processes = {**measured, "growth": growing} if growing else measured
    for kind, (title, counted) in PROCESSES.items():
        if kind in processes:
            parts += [f"**{title}**", _processes(processes[kind], counted)]
    parts += _photographs(measured["photographs"]) if "photographs" in measured else []
    parts += _serving(measured["rest"]) if "rest" in measured else []
    parts += [f"![Time and memory against the number of files]({PICTURE})"] if growing else []
    parts += [_extrapolated(measured["batch"])] if "batch" in measured else []
    return "\n\n".join(parts) + "\n"


def _answering(measured: Mapping[str, Any], cores: str) -> Iterator[str]:
    about = measured["answering"][cores]
    speeds, limit = about["ms"], about["limit_ms"]
    accuracy = measured.get("accuracy", {})
    rows = [_engine(name, speeds, limit, accuracy.get(name)) for name in speeds]
    yield f"**Milliseconds a face on {cores} core{'' if cores == '1' else 's'}**"
    header = ("engine", f"{ONE} at once", f"{MANY} at once", LAZY, "of Keras'", "of the limit", "accuracy")
    yield table(header, rows)
    yield (
        f"Limit: the nets' {about['gmac']:.3f} GMAC at the speed of a large matrix product on the same cores "
        f"({about['gmac_per_second']:.0f} GMAC/s), {limit:.2f} ms. Ratios are of {MANY} at once."
    )


def _engine(
    name: str, speeds: Mapping[str, Any], limit: float, accuracy: Mapping[str, Any] | None
) -> Sequence[str]:
    own, many = speeds[name], speeds[name][MANY]
    ours = LAZY in own  # the limit is not of a peer's nets
    limit = own.get("limit_ms", limit)
    return (
        name,
        *(f"{own[key]:.2f}" if key in own else "-" for key in (ONE, MANY, LAZY)),
        f"{many / speeds[REFERENCE][MANY]:.2f}" if REFERENCE in speeds else "-",
        f"{many / limit:.2f}" if ours else "-",
        accuracy_cell(accuracy) if accuracy else "-",
    )


def _growing(measured: Mapping[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """Rows of the growing folders, the smallest first."""
    return sorted(measured.get("growth", {}).items(), key=lambda item: int(item[0]))


def _processes(measured: Mapping[str, Mapping[str, float]], counted: str) -> str:
    rows = []
    for name, row in measured.items():
        n, seconds = row.get(counted), row["seconds"]
        counts = ("-", "-") if n is None else (f"{n:,}", f"{n / seconds:.0f}")
        rows.append((name, counts[0], f"{seconds:.2f}", counts[1], f"{row['bytes'] / MEGABYTE:.0f}"))
    return table(("command", counted, "seconds", f"{counted}/s", "MB at most"), rows)


def _serving(measured: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "**The REST service, its clients on the same cores**"
    yield table(
        ("requests", "number", "requests/s", "p50, ms", "p99, ms"),
        [
            (name, f"{row['requests']:,}", f"{row['requests'] / row['seconds']:.0f}")
            + tuple(f"{row[key]:.0f}" for key in ("p50_ms", "p99_ms"))
            for name, row in measured.items()
        ],
    )


def _photographs(measured: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    sizes = sorted(measured, key=float)
    steps = tuple(measured[sizes[0]])
    yield "**A photograph with one face, milliseconds of processor time**"
    rows = [(size, *(f"{measured[size][step]:.0f}" for step in steps)) for size in sizes]
    yield table(("megapixels", *steps), rows)


def _extrapolated(measured: Mapping[str, Mapping[str, float]]) -> str:
    best = max(row["pictures"] / row["seconds"] for row in measured.values())
    days = EXTRAPOLATED / best / 86_400
    return (
        f"At the best of these rates, {EXTRAPOLATED:,} pictures take {days:.1f} days on one such machine "
        f"and {24 * days / 100:.1f} hours on a hundred."
    )


def growth(measured: Mapping[str, Any]) -> "Figure":
    """Seconds and megabytes of `predict` against the number of files, both on logarithmic axes."""
    figure, (time, memory) = plots.canvas(1, 2, (9.0, 3.4), "A folder of crops, the whole process of predict")
    files = [int(number) for number, _ in _growing(measured)]
    rows = [row for _, row in _growing(measured)]
    for axes, name, values in (
        (time, "seconds", [row["seconds"] for row in rows]),
        (memory, "MB at most", [row["bytes"] / MEGABYTE for row in rows]),
    ):
        axes.plot(files, values, marker="o", color=plots.BLUE)
        axes.set(xscale="log", xlabel="files", ylabel=name)
    time.set_yscale("log")
    memory.set_ylim(0, 1.15 * memory.get_ylim()[1])
    return figure
