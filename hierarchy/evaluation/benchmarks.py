"""benchmarks.md and growth.png: results of tests/benchmarks on prediction speed, for a reader.

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


def write(measured: Mapping[str, Any]) -> Path:
    """Merge measurements into benchmarks.json, replacing those of the same name, and redraw the reports."""
    folder = runs.home() / "results"
    known = benchmarks()
    known |= {kind: known.get(kind, {}) | part for kind, part in measured.items()}
    page = markdown(known)  # before anything is written: it may fail
    fileio.write_json(folder / BENCHMARKS, known)
    fileio.write_atomic(folder / FILE, page.encode())
    if "growth" in known:
        fileio.write_atomic(folder / PICTURE, plots.png(growth(known["growth"])))
    return folder / FILE


def markdown(measured: Mapping[str, Any]) -> str:
    """The tables of all measurements."""
    parts = ["# How fast it answers"]
    for cores in sorted(measured.get("answering", {}), key=int, reverse=True):
        parts += _answering(measured, cores)
    parts += _starting(measured) if "starting" in measured else []
    parts += _growing(measured["growth"]) if "growth" in measured else []
    parts += _watching(measured["video"]) if "video" in measured else []
    parts += _batching(measured["batch"]) if "batch" in measured else []
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


def _starting(measured: Mapping[str, Any]) -> Iterator[str]:
    yield "**A whole process**"
    rows = [
        (name, f"{row['seconds']:.2f}", f"{row['bytes'] / MEGABYTE:.0f}")
        for name, row in measured["starting"].items()
    ]
    yield table(("command", "seconds", "MB at most"), rows)


def _growing(measured: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield "**A folder of crops**"
    rows = []
    for files in sorted(map(int, measured)):
        seconds, size = measured[str(files)]["seconds"], measured[str(files)]["bytes"]
        rows.append((f"{files:,}", f"{seconds:.1f}", f"{files / seconds:.0f}", f"{size / MEGABYTE:.0f}"))
    yield table(("files", "seconds", "faces/s", "MB at most"), rows)
    yield f"![Time and memory against the number of files]({PICTURE})"


def _watching(measured: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield "**A video of 640x480 pixels with one face, the whole process**"
    rows = [(name, *_rated(row, "frames")) for name, row in measured.items()]
    yield table(("command", "frames", "frames/s", "MB at most"), rows)


def _batching(measured: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield "**A batch of crops, all processes together**"
    rows = []
    for name, row in measured.items():
        pictures, rate, size = _rated(row, "pictures")
        rows.append((name, pictures, f"{row['seconds']:.0f}", rate, size))
    yield table(("command", "pictures", "seconds", "faces/s", "MB at most"), rows)
    best = max(row["pictures"] / row["seconds"] for row in measured.values())
    days = EXTRAPOLATED / best / 86_400
    yield (
        f"At the best of these rates, {EXTRAPOLATED:,} pictures take {days:.1f} days on one such machine "
        f"and {24 * days / 100:.1f} hours on a hundred."
    )


def _rated(row: Mapping[str, float], counted: str) -> tuple[str, str, str]:
    """Count, count per second, and megabytes."""
    number = row[counted]
    return f"{number:,}", f"{number / row['seconds']:.0f}", f"{row['bytes'] / MEGABYTE:.0f}"


def growth(measured: Mapping[str, Mapping[str, float]]) -> "Figure":
    """Seconds and megabytes of `predict` against the number of files, both on logarithmic axes."""
    figure, (time, memory) = plots.canvas(1, 2, (9.0, 3.4), "A folder of crops, the whole process of predict")
    files = sorted(map(int, measured))
    rows = [measured[str(number)] for number in files]
    for axes, name, values in (
        (time, "seconds", [row["seconds"] for row in rows]),
        (memory, "MB at most", [row["bytes"] / MEGABYTE for row in rows]),
    ):
        axes.plot(files, values, marker="o", color=plots.BLUE)
        axes.set(xscale="log", xlabel="files", ylabel=name)
    time.set_yscale("log")
    memory.set_ylim(0, 1.15 * memory.get_ylim()[1])
    return figure
