"""benchmarks.md, growth.png and frontier.png from results/benchmarks.json, for a reader.

Milliseconds are of one machine and one run; compare ratios within a table only.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import frontier, processor
from benchmarks.processor import text

from hierarchy import fileio, runs
from hierarchy.evaluation import benchmarks
from hierarchy.evaluation.benchmarks import Entry, median
from hierarchy.reports import plots
from hierarchy.reports.tables import accuracy as accuracy_cell
from hierarchy.reports.tables import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE: Final = "benchmarks.md"
PICTURE: Final = "growth.png"
REFERENCE: Final = "Keras on TensorFlow"
ONE, MANY = frontier.BATCHES  # faces in a batch
LAZY: Final = f"{MANY}, label only"
MEGABYTE: Final = 1e6
EXTRAPOLATED: Final = 100_000_000  # pictures
ABOUT: Final = (
    "Where three numbers stand together, they are the median of the rounds and, in brackets, their quartiles."
)
PROCESSES: Final = {  # part of benchmarks.json: title of its table, key of what is counted
    "starting": ("A whole process", "pictures"),
    "growth": ("A folder of crops", "files"),
    "video": ("A video of 640x480 pixels with one face, the whole process", "frames"),
    "batch": ("A batch of crops, all processes together", "pictures"),
}


def write(measured: Mapping[str, Any]) -> Path:
    """Merge this machine's measurements into benchmarks.json, and write the page and the pictures anew.

    Raises:
        InputError: the file is damaged, or of another shape.
    """
    folder, found = runs.home() / "results", benchmarks.merged(processor.entry(measured))
    page, known = markdown(found), benchmarks.latest(found)
    drawn = {PICTURE: growth(known)} if "growth" in known else {}
    if points := frontier.points(known):
        drawn[frontier.PICTURE] = frontier.drawn(points, found[0].processor)
    pictures = {name: plots.png(figure) for name, figure in drawn.items()}  # may fail: nothing is written yet
    benchmarks.write(found)
    fileio.write_atomic(folder / FILE, page.encode())
    for name, data in pictures.items():
        fileio.write_atomic(folder / name, data)
    return folder / FILE


def markdown(entries: Sequence[Entry]) -> str:
    """A section for each processor, the newest first."""
    parts = ["# How fast it answers", ABOUT]
    for entry in entries:
        parts += [f"## {entry.processor}", f"Measured until {entry.date}.", *_tables(entry.figures)]
    return "\n\n".join(parts) + "\n"


def _tables(measured: Mapping[str, Any]) -> Iterator[str]:
    for cores in sorted(measured.get("answering", {}), key=int, reverse=True):
        yield from _answering(measured, cores)
    growing = {f"predict, {n}": row | {"files": int(n)} for n, row in _growing(measured)}
    processes = {**measured, "growth": growing} if growing else measured
    for kind, (title, counted) in PROCESSES.items():
        if kind in processes:
            yield f"**{title}**"
            yield _processes(processes[kind], counted)
    if "photographs" in measured:
        yield from _photographs(measured["photographs"])
    if "rest" in measured:
        yield from _serving(measured["rest"])
    if growing:
        yield f"![Time and memory against the number of files]({PICTURE})"
    if "batch" in measured:
        yield _extrapolated(measured["batch"])


def _answering(measured: Mapping[str, Any], cores: str) -> Iterator[str]:
    about = measured["answering"][cores]
    speeds, limit = about["ms"], about["limit_ms"]
    accuracy = measured.get("accuracy", {})
    rows = [_engine(name, speeds, limit, accuracy.get(name)) for name in speeds]
    yield f"**Milliseconds a face on {cores} core{'' if cores == '1' else 's'}**"
    header = (*(f"{n} at once" for n in frontier.BATCHES), LAZY, "of Keras'", "of the limit", "accuracy")
    yield table(("engine", *header), rows)
    yield (
        f"Limit: the nets' {about['gmac']:.3f} GMAC at the speed of a large matrix product of float32 on the "
        f"same cores ({about['gmac_per_second']:.0f} GMAC/s), {limit:.2f} ms; int8 may pass it. Ratios are "
        f"of {MANY} at once.{_memory(about)}"
    )


def _memory(about: Mapping[str, Any]) -> str:
    """The other limit, where it was measured."""
    if "gigabytes_per_second" not in about:
        return ""
    size, rate = about["megabytes"], about["gigabytes_per_second"]
    return (
        f" Memory is copied at {rate:.1f} GB/s, read and written; at this rate the nets' {size:.1f} MB of "
        f"weights are read in {size / rate:.2f} ms, once a call, unless a cache holds them."
    )


def _engine(
    name: str, speeds: Mapping[str, Any], limit: float, accuracy: Mapping[str, Any] | None
) -> Sequence[str]:
    own, many = speeds[name], median(speeds[name][MANY])
    ours = LAZY in own  # the limit is not of a peer's nets
    return (
        name,
        *(text(own.get(key), ".2f") for key in (ONE, MANY, LAZY)),
        f"{many / median(speeds[REFERENCE][MANY]):.2f}" if REFERENCE in speeds else "-",
        f"{100 * own.get('limit_ms', limit) / many:.0f} %" if ours else "-",
        accuracy_cell(accuracy) if accuracy else "-",
    )


def _growing(measured: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Rows of the growing folders, the smallest first."""
    return sorted(measured.get("growth", {}).items(), key=lambda item: int(item[0]))


def _processes(measured: Mapping[str, Mapping[str, Any]], counted: str) -> str:
    rows = []
    for name, row in measured.items():
        n, seconds = row.get(counted), row["seconds"]
        counts = ("-", "-") if n is None else (f"{n:,}", f"{n / median(seconds):.0f}")
        rows.append((name, counts[0], text(seconds, ".2f"), counts[1], f"{row['bytes'] / MEGABYTE:.0f}"))
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


def _photographs(measured: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    sizes = sorted(measured, key=float)
    steps = tuple(measured[sizes[0]])
    yield "**A photograph with one face, milliseconds of processor time**"
    rows = [(size, *(text(measured[size][step], ".0f") for step in steps)) for size in sizes]
    yield table(("megapixels", *steps), rows)


def _extrapolated(measured: Mapping[str, Mapping[str, Any]]) -> str:
    best = max(row["pictures"] / median(row["seconds"]) for row in measured.values())
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
        (time, "seconds", [median(row["seconds"]) for row in rows]),
        (memory, "MB at most", [row["bytes"] / MEGABYTE for row in rows]),
    ):
        axes.plot(files, values, marker="o", color=plots.BLUE)
        axes.set(xscale="log", xlabel="files", ylabel=name)
    time.set_yscale("log")
    memory.set_ylim(0, 1.15 * memory.get_ylim()[1])
    return figure
