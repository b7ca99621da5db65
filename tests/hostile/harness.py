"""A hostile case: an input made by program, what it is given to, and the complaint about the outcome."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
GIB: Final = 1 << 30
POLL: Final = 0.02  # seconds between two looks at a process' memory
# all but tab and newline
CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Case(NamedTuple):
    """One hostile input.

    Attributes:
        kind: of fault, the same for all examples of it; a row of the table.
        name: of this example.
        check: called with an empty folder; the complaint in one line, or None if the input is met well.
    """

    kind: str
    name: str
    check: Callable[[Path], str | None]


@dataclass(frozen=True)
class Outcome:
    """What a process did: `code` is negative where a signal ended it, `peak` its largest memory in bytes."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int


def command(
    *arguments: str | bytes | Path,
    folder: Path,
    seconds: float = 60,
    env: Mapping[str, str] | None = None,
    program: Sequence[str] = (str(ROOT / "tf_model.py"),),
    end: tuple[float, signal.Signals] | None = None,
) -> Outcome:
    """Run a command of the product in its own process and folder.

    Args:
        seconds: after which it is killed.
        env: variables besides those of this process.
        program: the script, or `-c` and code.
        end: seconds after which it gets a signal.
    """
    with (folder / ".out").open("w+b") as out, (folder / ".err").open("w+b") as err:
        begin = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, "OMP_WAIT_POLICY": "passive", **(env or {})},
            start_new_session=True,
        )
        timers = [threading.Timer(seconds, lambda: os.killpg(child.pid, signal.SIGKILL))]
        if end:
            timers.append(threading.Timer(end[0], lambda: child.send_signal(end[1])))
        for timer in timers:
            timer.start()
        try:
            peak = 0
            while child.poll() is None:
                peak = max(peak, _peak(child.pid))
                time.sleep(POLL)
        finally:
            for timer in timers:
                timer.cancel()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="backslashreplace"))
        return Outcome(child.returncode, *texts, time.monotonic() - begin, peak)


def _peak(process: int) -> int:
    """The largest memory of a process so far, in bytes; rusage would count its parent's at the fork too."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def complaint(
    outcome: Outcome,
    *,
    codes: Sequence[int] = (0, 2),
    names: Sequence[str] = (),
    answers: int | None = None,
    seconds: float = 60,
    memory: int = 2 * GIB,
    lines: int | None = None,
) -> str | None:
    """What is wrong with an outcome, in one line; None if it is well met.

    Args:
        codes: exit codes that fit.
        names: texts that stderr must hold.
        answers: number of lines of stdout.
        seconds: at most.
        memory: bytes at most.
        lines: of stderr at most.
    """
    if "Traceback" in outcome.err:
        return f"traceback: {outcome.err.strip().splitlines()[-1]}"
    if outcome.code not in codes:
        return f"exit {outcome.code}, expected one of {tuple(codes)}: {outcome.err[-200:]!r}"
    for text in (outcome.out, outcome.err):
        if found := CONTROL.search(text):
            return f"control character {found.group()!r} in {text[:200]!r}"
    if outcome.code == 2 and not outcome.err.strip():
        return "exit 2 without a line"
    for name in names:
        if name not in outcome.err:
            return f"{name!r} is not named: {outcome.err[-200:]!r}"
    if answers is not None and len(outcome.out.splitlines()) != answers:
        return f"{len(outcome.out.splitlines())} answers, expected {answers}: {outcome.err[-200:]!r}"
    if lines is not None and len(outcome.err.splitlines()) > lines:
        return f"{len(outcome.err.splitlines())} lines of errors, at most {lines}: {outcome.err[:200]!r}"
    if outcome.seconds > seconds:
        return f"{outcome.seconds:.0f} s, expected at most {seconds:.0f}"
    if outcome.peak > memory:
        return f"{outcome.peak / GIB:.1f} GiB, expected at most {memory / GIB:.1f}"
    return None


def all_cases() -> Iterator[Case]:
    """The cases of every module `cases_*.py` in this folder, each with a function `cases()`."""
    sys.path.insert(0, str(Path(__file__).parent))
    for file in sorted(Path(__file__).parent.glob("cases_*.py")):
        yield from __import__(file.stem).cases()
