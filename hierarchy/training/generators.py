"""Generators of faces as files: net and record below results/, the state of the training below logs/."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from hierarchy import fileio, runs
from hierarchy.errors import COMMAND, InputError
from hierarchy.manifest import Count, DataRecord, Figure, FileName, sealed

FOLDER: Final = "generators"  # below results/ and logs/
NET, RECORD, STATE, LOCK = "generator.keras", "generator.json", "state.json", ".lock"


class Epoch(msgspec.Struct, frozen=True):
    """A completed epoch: its mean loss, and how long it took."""

    loss: Figure
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class GeneratorRecord(msgspec.Struct, frozen=True):
    """What generator.json records.

    Attributes:
        classes: names of the classes, in the order of the net's codes.
        sha256: checksum of the net's file.
        checksum: of all other values here.
        seed: of the training.
        data: source, fingerprint and counts of its data set; it learned the Training rows only.
        history: completed epochs.
        finished: whether the training reached its end.
        backend, precision: of the training.
        parameters, macs: weights, and multiplications of a call; a face takes dozens of calls.
        versions: of the libraries.
    """

    classes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=127)]
    sha256: str
    checksum: str
    seed: int
    data: DataRecord
    history: Annotated[tuple[Epoch, ...], msgspec.Meta(min_length=1)]
    finished: bool
    backend: str
    precision: str
    parameters: Count
    macs: Count
    versions: dict[str, str]


class State(msgspec.Struct, frozen=True):
    """What state.json holds of a training: its options, its completed epochs, and the last one's weights."""

    data: str | None
    fingerprint: str
    seed: Count
    epochs: Annotated[int, msgspec.Meta(ge=1)]
    minutes: Figure | None = None
    rows: tuple[Epoch, ...] = ()
    weights: FileName | None = None

    @property
    def done(self) -> bool:
        """Whether training is over: all epochs completed, or the time used up."""
        spent = sum(row.seconds for row in self.rows) / 60
        return len(self.rows) >= self.epochs or bool(self.rows and self.minutes and spent >= self.minutes)


@dataclass(frozen=True)
class Generator:
    """A generator by name, trained or not: `folder` below results/ is kept, `log` serves the training."""

    name: str
    folder: Path
    log: Path

    @property
    def stored(self) -> bool:
        """Whether there is a net of it."""
        return (self.folder / RECORD).is_file()

    def record(self) -> GeneratorRecord:
        """What is recorded of it.

        Raises:
            InputError: there is no such generator, or it is damaged.
        """
        path = self.folder / RECORD
        if not self.stored:
            known = ", ".join(sorted(each.parent.name for each in self.folder.parent.glob(f"*/{RECORD}")))
            raise InputError(
                f"generator {self.name!r} not found in {self.folder.parent}: there are "
                f"{known or 'none yet'}; train one with: {COMMAND} generate train"
            )
        values = fileio.read_object(path)
        if sealed(values) != values:
            raise InputError(f"{path}: damaged or edited, its values differ from its checksum")
        return fileio.typed(values, GeneratorRecord, str(path))

    def net(self) -> Path:
        """The file of its net, its checksum compared.

        Raises:
            InputError: it is missing or damaged.
        """
        path = self.folder / NET
        fileio.check_file(path, self.record().sha256)
        return path

    def write(self, net: bytes, record: Mapping[str, Any]) -> None:
        """Store the net, then what is recorded of it."""
        fileio.write_atomic(self.folder / NET, net)
        self.amend(dict(record) | {"sha256": fileio.sha256(net)})

    def amend(self, values: Mapping[str, Any]) -> None:
        """Put values into the record, in place of those of the same name."""
        path = self.folder / RECORD
        stored = fileio.read_object(path) if path.is_file() else {}
        fileio.write_json(path, sealed(stored | dict(values)))

    def state(self) -> State | None:
        """Its training as far as it came; None before it has begun.

        Raises:
            InputError: the file is damaged.
        """
        path = self.log / STATE
        return fileio.typed(fileio.read_object(path), State, str(path)) if path.is_file() else None

    def save(self, state: State) -> None:
        """Write the state of its training."""
        fileio.write_json(self.log / STATE, msgspec.to_builtins(state))


def generator(name: str) -> Generator:
    """The generator of a name, trained or not.

    Raises:
        InputError: the name could leave the folder.
    """
    runs.run(name)  # checks the name
    return Generator(name, *(runs.home() / place / FOLDER / name for place in ("results", "logs")))
