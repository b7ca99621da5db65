"""results/benchmarks.json: what tests/benchmarks measured, an entry for each kind of processor."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NotRequired, TypedDict

import msgspec

from hierarchy import fileio, runs
from hierarchy.runtimes import ENGINES, FORMATS

FILE: Final = "benchmarks.json"
SPEED: Final = "inference_speed"
ANSWERING: Final = "answering"
SAME: Final = "same_nets"
TRAINED: Final = "training_speed"

Count = Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]


class Spread(TypedDict):
    """A figure over the rounds of one measurement: median and quartiles."""

    median: float
    low: float
    high: float


Measured = float | Spread | None  # a number was measured once
Speeds = dict[str, dict[str, dict[str, float]]]  # -> system -> batch -> milliseconds for a face


class Training(TypedDict):
    """Speed of training, and as a part of the PyTorch mirror's."""

    faces_per_second: float
    of_pytorch: float


class Answering(TypedDict):
    """Milliseconds a face on a number of cores, and what the cores can do."""

    ms: dict[str, dict[str, Measured]]  # engine -> faces in a batch -> milliseconds
    gmac: float  # of the default run's nets
    gmac_per_second: float  # of a large matrix product
    limit_ms: float
    megabytes: NotRequired[float]  # of these nets' weights as float32
    gigabytes_per_second: NotRequired[float]  # of copying memory, read and written


class Score(TypedDict):
    """Accuracy on PrivateTest."""

    n: int
    accuracy: float
    ci95: tuple[float, float]


class Figures(TypedDict, total=False):
    """Measurements by kind."""

    training_speed: dict[str, Training]
    rounds: list[dict[str, float]]  # of training, faces a second
    inference_speed: Speeds  # by run
    same_nets: Speeds  # by framework, of the default run
    answering: dict[Count, Answering]  # by cores
    accuracy: dict[str, Score]
    starting: dict[str, dict[str, Measured]]
    growth: dict[Count, dict[str, Measured]]
    video: dict[str, dict[str, Measured]]
    batch: dict[str, dict[str, Measured]]
    photographs: dict[str, dict[str, Measured]]
    rest: dict[str, dict[str, Measured]]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured on one kind of processor.

    Attributes:
        name: of the processor.
        instructions: the sets that decide its speed, such as AVX2.
        cores: of the machine.
        date: of the latest measurement.
        figures: by kind, as in `Figures`.
    """

    name: str
    instructions: tuple[str, ...]
    cores: int
    date: datetime.date
    figures: dict[str, Any]

    @property
    def processor(self) -> str:
        """Its kind, in words."""
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        return ", ".join((self.name, cores, *self.instructions))


def entries() -> list[Entry]:
    """Those of the file, the newest first; none where nothing was measured.

    Raises:
        InputError: it is damaged, or of another shape.
    """
    path = runs.home() / "results" / FILE
    source = f"{path}: not the measurements of this version"
    found = fileio.typed(fileio.read_json(path), list[Entry], source) if path.is_file() else []
    for entry in found:
        fileio.typed(entry.figures, Figures, f"{source}: {entry.processor}")
    return sorted(found, key=lambda entry: entry.date, reverse=True)


def latest(found: Sequence[Entry] | None = None) -> dict[str, Any]:
    """The figures of entries by kind, each from the processor where it was measured last; by default all."""
    found = entries() if found is None else found
    return {kind: part for entry in reversed(found) for kind, part in entry.figures.items()}


def name_of(run: str, engine: str) -> str:
    """The name of a run's engine in the tables."""
    kind, precision = ENGINES[engine]
    title = f"{FORMATS[kind].title}, {precision}"
    return title if run == runs.DEFAULT_RUN else f"{run}, {title}"


def answering(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Milliseconds a face by system and faces at once, on most cores; empty where they were not measured."""
    by_cores: dict[str, Any] = figures.get(ANSWERING, {})
    return by_cores[max(by_cores, key=int)]["ms"] if by_cores else {}


def stored_speed(ms: Mapping[str, Any], run: str, engines: Iterable[str], batch: str) -> float | None:
    """Milliseconds a face of a run by the fastest of some engines, of `answering`; None if not measured."""
    rows = [ms[name] for name in (name_of(run, engine) for engine in engines) if name in ms]
    return min((median(row[batch]) for row in rows), default=None)


def median(figure: float | Spread) -> float:
    """The figure itself, or its median."""
    return figure["median"] if isinstance(figure, dict) else figure


def merged(processor: Entry) -> list[Entry]:
    """The entries with new figures of a processor, which replace those of the same name.

    Raises:
        InputError: as `entries`.
    """
    others = []
    for entry in entries():
        if entry.processor == processor.processor:
            known = {kind: _joined(entry.figures.get(kind), new) for kind, new in processor.figures.items()}
            processor = msgspec.structs.replace(processor, figures=entry.figures | known)
        else:
            others.append(entry)
    return [processor, *others]


def _joined(known: Any, new: Any) -> Any:
    """New measurements of a kind, with the known ones of other names."""
    both = isinstance(known, Mapping) and isinstance(new, Mapping)
    return {**known, **new} if both else new


def write(found: list[Entry]) -> Path:
    """Store entries; returns the file."""
    path = runs.home() / "results" / FILE
    fileio.write_json(path, msgspec.to_builtins(found))
    return path
