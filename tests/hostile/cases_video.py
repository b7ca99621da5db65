"""Video files that are damaged, too large or lie: each is decoded, or refused in one line."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from films import CONTAINERS, headers, mutated, sizes, sounding, streams, whole
from harness import GIB, ROOT, Case, command, complaint

MUTATIONS: Final = 40  # of each container
# decodes each path in turn: a line with its frames or its error, which is one line too
DECODE: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from hierarchy.errors import InputError
from hierarchy.vision.video import Video
for path in sys.argv[2:]:
    try:
        with Video(path) as video:
            times = [frame.time for frame in video]
        assert times == sorted(set(times)), "times"
        print(len(times), times[-1])
    except InputError as error:
        assert "\\n" not in str(error) and path in str(error), str(error)
        print("refused")
"""
# writes the frames of each path beside it, with its sound
COPY: Final = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hierarchy.errors import InputError
from hierarchy.inference.video import follow
from hierarchy.taxonomy import VALENCE
from hierarchy.vision.tracker import Tracker
from hierarchy.vision.video import Video
for path in sys.argv[2:]:
    try:
        follow(Video(path), Tracker(lambda grey: [], None), VALENCE, out=Path(f"{path}.out.mkv"))
        print("written")
    except InputError as error:
        assert "\\n" not in str(error) and path in str(error), str(error)
        print("refused")
"""


def decoded(data: Callable[[], bytes], suffix: str, frames: range | None, folder: Path) -> str | None:
    """Decode data in a process of its own; `frames` that must come, None: any number or an error."""
    (folder / f"a{suffix}").write_bytes(data())
    outcome = command(str(ROOT), f"a{suffix}", folder=folder, program=("-c", DECODE))
    text = complaint(outcome, codes=(0,), answers=1, memory=GIB, lines=0)
    if text or frames is None:
        return text
    count = 0 if outcome.out.startswith("refused") else int(outcome.out.split()[0])
    return None if count in frames else f"{count} frames, expected {frames}"


class Batch:
    """Many inputs of a kind, decoded by one process, which the first of them starts."""

    def __init__(self, inputs: dict[str, Callable[[], bytes]], suffix: str, script: str = DECODE) -> None:
        self.inputs, self.suffix, self.script = inputs, suffix, script
        self.lock, self.outcomes = threading.Lock(), dict[str, str | None]()

    def check(self, name: str, folder: Path) -> str | None:
        """The complaint about one of them."""
        with self.lock:
            if not self.outcomes:
                self._run(folder)
        return self.outcomes[name]

    def _run(self, folder: Path) -> None:
        files = [f"{number}{self.suffix}" for number in range(len(self.inputs))]
        for file, data in zip(files, self.inputs.values(), strict=True):
            (folder / file).write_bytes(data())
        outcome = command(str(ROOT), *files, folder=folder, program=("-c", self.script), seconds=300)
        text = complaint(outcome, codes=(0,), seconds=300, memory=GIB, lines=0)
        done = len(outcome.out.splitlines())  # the next one ended the process
        for number, name in enumerate(self.inputs):
            self.outcomes[name] = text if number == min(done, len(files) - 1) and text else None
            if number > done:
                self.outcomes[name] = f"not answered, after {text}"

    def cases(self, kind: str) -> Iterator[Case]:
        """A case for each input."""
        for name in self.inputs:
            yield Case(kind, name, partial(self.check, name))


def cases() -> Iterator[Case]:
    """The cases of videos and live sources."""
    for suffix in CONTAINERS:
        cut = {f"{suffix} cut at {p:.0%}": partial(_cut, suffix, p) for p in np.linspace(0.05, 0.95, 10)}
        changed = {f"{suffix} mutation {n}": partial(mutated, suffix, n) for n in range(MUTATIONS)}
        yield from Batch(cut | changed, suffix).cases("damaged video")
    yield from Batch(headers(), ".mp4").cases("numbers in a video's header")
    for suffix in (".mp4", ".mkv", ".ts"):
        changed = {
            f"{suffix} mutation {n}": partial(mutated, suffix, n, sounding) for n in range(MUTATIONS)
        } | {
            f"{suffix} whole": partial(sounding, suffix),
            f"{suffix} without sound": partial(whole, suffix),
            f"{suffix} of 100 tracks": partial(sounding, suffix, 100),
        }
        yield from Batch(changed, suffix, COPY).cases("sound of a video")
    kind = "bounds of a video"
    for name, data, suffix, frames in (
        ("frames of 16,000x16,000", partial(sizes, [16000]), ".mjpeg", range(1)),
        ("frames of 9,000x9,000", partial(sizes, [9000]), ".mjpeg", range(1)),
        ("frames that grow", partial(sizes, [64, 64, 16000, 64]), ".mjpeg", range(3, 4)),
        ("frames that change", partial(sizes, [64, 640, 8, 2000, 64]), ".mjpeg", range(5, 6)),
        ("900 streams", partial(streams, 900), ".mp4", None),
        ("50,000 streams", partial(streams, 50_000), ".mp4", None),
        ("a joined GIF", lambda: 2 * whole(".gif"), ".gif", range(1, 25)),
    ):
        yield Case(kind, name, partial(decoded, data, suffix, frames))


def _cut(suffix: str, part: float) -> bytes:
    data = whole(suffix)
    return data[: int(part * len(data))]
