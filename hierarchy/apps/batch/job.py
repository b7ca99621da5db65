"""A part of a batch: many pictures answered by one worker and written whole, and the list of what is done."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchy import fileio, runs
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.data.image_sources import REMOTE, Entry
from hierarchy.data.images import SkippedImage
from hierarchy.errors import InputError, first_line
from hierarchy.inference.predictor import FacePrediction, Picture, predict_stream
from hierarchy.taxonomy import LEAVES, tree_hash
from hierarchy.vision.detectors import create_detector

if TYPE_CHECKING:
    import pyarrow

JOB, PARTS = "_batch.json", "_parts.jsonl"  # readers of Parquet folders skip what begins so
Part = tuple[int, list[Entry]]
Done = dict[str, int]  # what PARTS says of a part: part, pictures, faces, errors


@dataclass(frozen=True)
class Job:
    """What is asked of every picture.

    Attributes:
        run: name of the run whose nets answer.
        faces: what finds faces, see `vision.detect.create_detector`.
        engine: what runs the nets, see `hierarchy.engines`.
        out: folder of the parts, seen by every worker.
    """

    run: str
    faces: str
    engine: str
    out: str


class Worker:
    """Answers parts; the nets are opened once.

    Args:
        job: what is asked.
    """

    def __init__(self, job: Job) -> None:
        self.out = Path(job.out)
        self.model = HierarchicalClassifier.load(job.run, engine=job.engine)
        self.find = create_detector(job.faces)

    def part(self, number: int, pictures: list[Entry]) -> Done:
        """Answer a part and write it.

        Raises:
            InputError: it cannot be written.
        """
        rows = [_row(answer) for answer in predict_stream(self.model, map(_opened, pictures), find=self.find)]
        fileio.write_atomic(self.out / _name(number), _parquet(rows))
        faces, errors = (sum(row[key] is not None for row in rows) for key in ("label", "error"))
        return {"part": number, "pictures": len(pictures), "faces": faces, "errors": errors}


def one_core() -> None:
    """Let this process' nets and detectors use one core: there is a worker for each."""
    import cv2

    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)


def begun(job: Job, about: dict[str, Any]) -> dict[int, Done]:
    """The finished parts of a job, whose identity is kept when it begins.

    Raises:
        InputError: the folder holds something else.
    """
    out = Path(job.out)
    asked = {key: value for key, value in asdict(job).items() if key != "out"}
    card = runs.run(job.run).card()
    identity = about | asked | {"tree": tree_hash(), "nets": runs.checksums(card)}
    if (out / JOB).exists():
        known = fileio.read_json(out / JOB)
        other = [key for key, value in identity.items() if known.get(key) != value]
        if other:
            raise InputError(f"{out}: holds answers to another job ({', '.join(other)}); name a new folder")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: not an empty folder, and not begun by batch; name a new one")
    else:
        fileio.write_json(out / JOB, identity)
    return finished(out)


def add(out: Path, done: Done) -> None:
    """Write down that a part is done.

    Raises:
        InputError: the disk is full.
    """
    try:
        with (out / PARTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(done) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{out / PARTS}: cannot be written ({error.strerror})") from None


def finished(out: Path) -> dict[int, Done]:
    """What PARTS says; a last line that was cut off counts for nothing."""
    found: dict[int, Done] = {}
    path = out / PARTS
    if not path.is_file():
        return found
    text = path.read_text(encoding="utf-8")
    whole, _, cut = text.rpartition("\n")
    if cut:
        fileio.write_atomic(path, (whole + "\n").encode() if whole else b"")
    for line in whole.splitlines():
        done = json.loads(line)
        if (out / _name(done["part"])).is_file():
            found[done["part"]] = done
    return found


def _opened(entry: Entry) -> Path | Picture | InputError:
    """An entry as `predict_stream` takes it."""
    if entry.data is not None:
        return Picture(entry.path, entry.data)
    if REMOTE not in entry.path:
        return Path(entry.path)
    import fsspec

    try:
        with fsspec.open(entry.path, "rb") as file:
            return Picture(entry.path, file.read())
    except Exception as error:  # every protocol has its own
        return SkippedImage(entry.path, f"{entry.path}: cannot be read ({first_line(error)})")


def _row(answer: FacePrediction | InputError) -> dict[str, Any]:
    if isinstance(answer, FacePrediction):
        face = {"face": answer.face, "score": answer.score, "branch": answer.branch, "label": answer.label}
        return {"path": _text(answer.path), **face, **answer.probabilities, "error": None}
    return {"path": _text(getattr(answer, "path", "")), "label": None, "error": _text(str(answer))}


def _text(name: str) -> str:
    """A name as Arrow takes it: bytes of a file's name that are no text become question marks."""
    return os.fsencode(name).decode(errors="replace")


def schema() -> "pyarrow.Schema":
    """The columns of every part."""
    import pyarrow as pa

    text, real = pa.string(), pa.float64()
    columns = {"path": text, "face": pa.list_(pa.int32()), "score": real, "branch": text, "label": text}
    return pa.schema({**columns, **dict.fromkeys(LEAVES, real), "error": text})


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet

    out = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema()), out)
    return out.getvalue().to_pybytes()


def _name(number: int) -> str:
    return f"part-{number:06d}.parquet"
