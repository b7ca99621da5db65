"""Mutate small valid files for each reader for some time: python tests/hostile/fuzz.py [SECONDS [READER]].

A reader gives its answer or an InputError of one line; anything else is found. The smallest input that
hypothesis finds is kept in corpus/, which the tests replay.
"""

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from films import whole
from harness import ROOT
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from hierarchy import fileio, runs
from hierarchy.config import overrides, recipes
from hierarchy.data import images
from hierarchy.data.formats import fer2013_csv, parquet, registry
from hierarchy.data.synthetic.sketch import sketch_faces
from hierarchy.errors import InputError
from hierarchy.manifest import RunManifest
from hierarchy.taxonomy import VALENCE, Tree
from hierarchy.vision.video import Video

CORPUS: Final = Path(__file__).with_name("corpus")
EXAMPLES: Final = 200  # between two looks at the clock
FRAMES: Final = 3  # of a video that are read


class Reader(NamedTuple):
    """Something that reads files, and valid files to begin with."""

    suffix: str
    read: Callable[[Path], object]
    valid: Callable[[], list[bytes]]


def check(reader: Reader, data: bytes) -> None:
    """Give a file to a reader.

    Raises:
        AssertionError: it complains in several lines.
        Exception: it complains in another way than by an InputError.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{reader.suffix}"
        path.write_bytes(data)
        try:
            reader.read(path)
        except InputError as error:
            assert "\n" not in str(error), str(error)  # noqa: PT017 - the error itself is checked


def found(reader: Reader, number: int) -> bytes | None:
    """The smallest of EXAMPLES mutated files that a reader does not meet, if there is one."""
    valid, failed = reader.valid(), []

    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(valid))
    def meets(data: bytes) -> None:
        try:
            check(reader, data)
        except Exception:
            failed.append(data)
            raise

    try:
        meets()
    except Exception as error:
        print(f"  {type(error).__name__}: {error}"[:200])
        return failed[-1]
    return None


@st.composite
def mutated(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """One of the valid files with some bytes replaced, inserted, repeated or cut."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 8))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        stop = start + draw(st.integers(0, 16))
        new = draw(
            st.binary(max_size=8) | st.sampled_from([b"", b"\xff" * 8, b"9" * 12, data[start:stop] * 2])
        )
        data[start:stop] = new
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


def readers() -> dict[str, Reader]:
    """All readers by name."""
    return {
        "images": Reader(".img", images.read, lambda: [*_pictures()]),
        "csv": Reader(".csv", _faces, lambda: [_written(fer2013_csv.write)]),
        "parquet": Reader(".parquet", _faces, lambda: [_written(parquet.write)]),
        "manifest": Reader(".json", _manifest, lambda: [_stored()]),
        "recipe": Reader(".json", lambda path: overrides.recipe_of(str(path)), lambda: [_recipe()]),
        "tree": Reader(".toml", Tree.from_toml, lambda: [_tree()]),
        "video": Reader(".mp4", _frames, lambda: [whole(".mp4"), whole(".avi")]),
    }


def _pictures() -> Iterator[bytes]:
    modes = {"PNG": "LA", "JPEG": "RGB", "GIF": "P", "TIFF": "I;16", "BMP": "RGB", "WEBP": "RGB"}
    for kind, mode in modes.items():
        out = io.BytesIO()
        Image.new(mode, (9, 7)).save(out, kind)
        yield out.getvalue()


def _written(write: Callable[..., None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(sketch_faces(3), Path(folder))
        return next(path for path in Path(folder).rglob("*") if path.is_file()).read_bytes()


def _faces(path: Path) -> None:
    registry.read(path)
    list(registry.faces(path))


def _manifest(path: Path) -> None:
    RunManifest.from_dict(fileio.read_json(path), str(path))


def _stored() -> bytes:
    return (ROOT / "results" / runs.DEFAULT_RUN / runs.MANIFEST).read_bytes()


def _recipe() -> bytes:
    return json.dumps(recipes.named("small").as_dict()).encode()


def _tree() -> bytes:
    branches = "".join(f"{branch} = {json.dumps(leaves)}\n" for branch, leaves in VALENCE.children.items())
    return f'name = "mine"\n[aliases]\njoy = "{VALENCE.leaves[0]}"\n[branches]\n{branches}'.encode()


def _frames(path: Path) -> None:
    with Video(str(path)) as video:
        for frame, _ in zip(video, range(FRAMES), strict=False):
            assert frame.picture.ndim == 3


def main(seconds: str = "60", wanted: str = "") -> int:
    """Fuzz each reader for some seconds; the exit code is 1 if something was found."""
    bad = 0
    for name, reader in readers().items():
        if wanted not in name:
            continue
        begin, rounds, data = time.monotonic(), 0, None
        while data is None and time.monotonic() - begin < float(seconds):
            data, rounds = found(reader, rounds), rounds + 1
        print(
            f"{name}: {rounds * EXAMPLES} files, {'one is badly met' if data else 'all are met'}", flush=True
        )
        if data is not None:
            CORPUS.mkdir(exist_ok=True)
            (CORPUS / f"{name}-{fileio.sha256(data)[:8]}").write_bytes(data)
            bad += 1
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
