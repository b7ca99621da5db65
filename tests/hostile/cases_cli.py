"""The command line: odd names, links, outputs, options, signals and closed pipes."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from harness import CONTROL, ROOT, Case, Outcome, command, complaint
from PIL import Image

NAMES: Final = (
    *(bytes([code]) for code in range(1, 32)),
    *(mark.encode() for mark in "\x7f\x85\x9b\u061c\u200b\u200e\u2028\u202a\u202e\u2066\u2069\ufeff"),
    *(
        b"\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80",
        b"'",
        b'"',
        b"\\",
        b"$(id)",
        b"`id`",
        b"%s",
        b"{0}",
    ),
    *(
        b"*",
        b"?",
        b"[a]",
        b"[",
        b"**",
        b"-",
        b"--json",
        b"=1+1",
        b"+1",
        b"@a",
        b"~",
        b"#",
        b"a.csv#1",
        b" ",
        b".",
    ),
    *(b"x" * 240, "日".encode() * 80, b"a" * 100 + b"\xff" * 140),
)
BAD_OUTPUTS: Final = ("a.png", "./a.png", "link.csv", "hard.csv", "out.txt", "out", ".", "/dev/null.png", "b")
OPTIONS: Final = (
    *(f"--min-confidence {value}" for value in ("nan", "inf", "-1", "2", "x", "1e999", "")),
    *(
        f"--roi {value}"
        for value in ("1", "0,0,0,0", "-1,0,1,1", "nan,0,1,1", "9" * 5000 + ",0,1,1", "0,0,999999999,1")
    ),
    *(f"--run {value}" for value in ("..", "/etc", "x" * 300, "a\nb", "\x1b[31m", "\udcff", "*")),
    *(f"--engine {value}" for value in ("x", "\x1b", "../onnx", "keras2")),
    *(f"--detector {value}" for value in ("x", "/dev/null", "a,b,c", ",", ".onnx", "\x1b", "/etc/passwd")),
    *(f"--routing {value}" for value in ("x", "\u202e")),
    *(f"--tta {value}" for value in ("x", "\n")),
    *(
        "--csv-safe",
        "--json --csv a.csv",
        "--bogus",
        "--bogus\x1b[31m",
        "--csv /proc/x/a.csv",
        "--save a.png",
    ),
)
CONFIGS: Final = (
    b"",
    b"[predict",
    b"a = " + b"[" * 50_000,
    b"\xff\xfe",
    b"x" * 3_000_000,
    b"[predict]\nnope = 1",
    b"[predict]\ncsv = []",
    b"predict = 1",
    b"[predict.x.y]\na=1",
    b"[predict]\njson = 'a'",
    b"[predict]\nmin-confidence = nan",
    b"'\\u001b' = 1",
    b"[predict]\nrun = '''a\nb'''",
    b"a=" + b"9" * 10_000,
    b"[predict]\ndetector = {}",
    b"[[predict]]\na=1",
)
COMMANDS: Final = (
    "--help",
    "--version",
    "predict --help",
    "predict --json-schema",
    "predict a.png b.png",
    "predict a.png --json",
    "runs list",
    "train --recipe list",
    "data export x --layout list",
    "train --help",
    "video --help",
    "serve --help",
)


def _picture(path: bytes | Path) -> None:
    with open(path, "wb") as file:
        Image.new("L", (48, 48), 90).save(file, "PNG")


def _named(name: bytes, words: Sequence[str], by: str, folder: Path) -> str | None:
    """A good picture and a bad one of an odd name; the good one is answered, the bad one is a line."""
    place = os.fsencode(folder) + b"/"
    _picture(place + b"g" + name + b".png")
    with open(place + b"b" + name + b".png", "wb") as file:
        file.write(b"no picture")
    # a name that looks like a glob is named outright too
    paths = {
        "folder": [b"."],
        "glob": [b"*.png"],
        "name": [b"./g" + name + b".png", b"./b" + name + b".png"],
    }[by]
    outcome = command("predict", *paths, *words, folder=folder)
    if "--csv" in words and CONTROL.search(outcome.out):
        return "control character in the name of the CSV"
    return complaint(outcome, codes=(2,), answers=1, lines=1)


def _linked(kind: str, by: str, folder: Path) -> str | None:
    _picture(folder / "good.png")
    bad = folder / "bad.png"
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "folder":
        bad.mkdir()
    else:
        targets = {
            "nowhere": "x",
            "loop": "bad.png",
            "device": "/dev/zero",
            "full": "/dev/full",
            "self": ".",
            "proc": "/proc/self/mem",
        }
        bad.symlink_to(targets[kind])
    paths = {"folder": ["."], "glob": ["*.png"], "deep": ["**/*.png"], "name": ["bad.png", "good.png"]}[by]
    outcome = command("predict", *paths, folder=folder, seconds=30)
    return complaint(outcome, codes=(0, 2), answers=1 + (kind == "self" and by in ("glob", "name")), lines=1)


def _output(target: str, option: str, paths: Sequence[str], folder: Path) -> str | None:
    """No input is written over."""
    _picture(folder / "a.png")
    (folder / "b").mkdir()
    (folder / "link.csv").symlink_to("a.png")
    (folder / "hard.csv").hardlink_to(folder / "a.png")
    before = (folder / "a.png").read_bytes()
    outcome = command("predict", *paths, option, target, folder=folder)
    if (folder / "a.png").read_bytes() != before:
        return "the picture is written over"
    return complaint(outcome, codes=(2,) if option == "--csv" else (0, 2))


def _refused(words: Sequence[str], folder: Path) -> str | None:
    _picture(folder / "a.png")
    outcome = command("predict", "a.png", *words, folder=folder)
    return complaint(outcome, codes=(2,), answers=0, lines=1)


def _configured(data: bytes, folder: Path) -> str | None:
    _picture(folder / "a.png")
    (folder / "c.toml").write_bytes(data)
    outcome = command("predict", "a.png", "--config", "c.toml", folder=folder)
    return complaint(outcome, codes=(0, 2), lines=1)


def _closed(words: str, folder: Path) -> str | None:
    for name in ("a.png", "b.png"):
        _picture(folder / name)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, str(ROOT / "tf_model.py"), *words.split()],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            check=False,
        )
    return complaint(Outcome(done.returncode, "", done.stderr, 0, 0), codes=(0, 141), lines=0)


def _signalled(number: signal.Signals, seconds: float, words: Sequence[str], folder: Path) -> str | None:
    """A command that is ended leaves whole files only."""
    (folder / "in").mkdir()
    for row in range(2_000):
        _picture(folder / "in" / f"{row}.png")
    outcome = command("predict", "in", *words, folder=folder, end=(seconds, number))
    hidden = [path.name for path in folder.rglob(".*") if path.name not in (".out", ".err")]
    if hidden:
        return f"left: {hidden}"
    # it may have ended before, or not yet have begun to listen
    return complaint(outcome, codes=(0, 128 + number, -number))


def cases() -> Iterator[Case]:
    """Names, links, outputs, options, configurations, closed pipes and signals."""
    for name in NAMES:
        for by, words in (
            ("folder", ()),
            ("name", ("--json",)),
            ("glob", ("--csv", "o.csv", "--save", "out")),
        ):
            yield Case("odd name", f"{name[:20]!r} by {by}", functools.partial(_named, name, words, by))
    for kind in ("nowhere", "loop", "device", "full", "self", "proc", "pipe", "folder"):
        for by in ("folder", "glob", "deep", "name"):
            yield Case("link or device", f"{kind} by {by}", functools.partial(_linked, kind, by))
    for target in BAD_OUTPUTS:
        for option in ("--csv", "--save"):
            for paths in (["a.png"], ["."], ["*.png"]):
                check = functools.partial(_output, target, option, paths)
                yield Case("output over an input", f"{option} {target} {paths}", check)
    for words in OPTIONS:
        option, _, value = words.partition(" ")
        values = value.split(" ") if " --" in words else [value] if " " in words else []
        yield Case(
            "option",
            words[:40].encode("unicode_escape").decode(),
            functools.partial(_refused, [option, *values]),
        )
    for data in CONFIGS:
        yield Case("file of options", repr(data[:30]), functools.partial(_configured, data))
    for words in COMMANDS:
        yield Case("closed stdout", words, functools.partial(_closed, words))
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        # before 1 s, Python itself answers Ctrl-C
        for seconds in (1.0, 2.0, 3.0, 4.0) if number == signal.SIGINT else (0.3, 1.0, 2.0, 4.0):
            for words in (["--csv", "o.csv"], ["--save", "o"]):
                check = functools.partial(_signalled, number, seconds, words)
                yield Case("signal", f"{number.name} after {seconds} s {words[0]}", check)
