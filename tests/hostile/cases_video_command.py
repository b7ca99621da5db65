"""`video` with sources that are none, outputs that must not be, signals, and streams that break."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import which
from typing import Final

import av
from films import CONTAINERS, film, made, sizes, wave, whole
from harness import GIB, ROOT, Case, command, complaint

CLIP: Final = ROOT / "samples" / "clip.mp4"


def written(suffix: str, times: list[float], count: int, last: float, folder: Path) -> str | None:
    """`video --out` of frames at times: as many frames, and no longer than `last` seconds."""
    source = film(folder / f"a{suffix}", CONTAINERS[suffix], times)
    outcome = command("video", source, "--out", "o.mp4", "--csv", "t.csv", folder=folder)
    if text := complaint(outcome, codes=(0,), memory=2 * GIB, seconds=60):
        return text
    with av.open(str(folder / "o.mp4")) as file:
        got = [float(frame.time) for frame in file.decode(video=0)]
    return None if len(got) == count and got[-1] <= last else f"{len(got)} frames up to {got[-1]:.0f} s"


def large(size: tuple[int, int], folder: Path) -> str | None:
    """`video --out` of frames of 8K."""
    (folder / "a.mp4").write_bytes(made(".mp4", "mpeg4", [0, 0.04, 0.08], size))
    outcome = command("video", "a.mp4", "--out", "o.mp4", folder=folder, seconds=120)
    text = complaint(outcome, codes=(0,), seconds=120, memory=2 * GIB)
    return text or (None if (folder / "o.mp4").stat().st_size else "no video")


def joined(suffix: str, folder: Path) -> str | None:
    """Two recordings in one file: all frames, each with its time."""
    (folder / f"a{suffix}").write_bytes(2 * whole(suffix))
    outcome = command("video", f"a{suffix}", "--out", "o.mp4", folder=folder)
    if text := complaint(outcome, codes=(0,)):
        return text
    with av.open(str(folder / "o.mp4")) as file:
        times = [frame.time for frame in file.decode(video=0)]
    return None if len(times) == len(set(times)) == 24 else f"{len(times)} frames of 24"


def refused(make: Callable[[Path], list[str]], folder: Path) -> str | None:
    """A command line that is refused by exit 2; no file is made or changed."""
    arguments = make(folder)
    before = {path: os.lstat(path)[1:9:7] for path in folder.iterdir()}  # inode and time of change
    outcome = command("video", *arguments, folder=folder, seconds=30)
    if text := complaint(outcome, codes=(2,), lines=1, answers=0, seconds=30):
        return text
    after = {path: os.lstat(path)[1:9:7] for path in folder.iterdir() if path.name not in (".out", ".err")}
    return None if before == after else "a file was made or changed"


def _made(
    name: str, content: bytes | str | None, *options: str, link: str = ""
) -> Callable[[Path], list[str]]:
    """A file (or pipe, None), a second name for it, and the command line of `video`."""

    def make(folder: Path) -> list[str]:
        path = folder / name
        if content is None:
            os.mkfifo(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        if link:
            kind, _, other = link.partition(" ")
            (os.link if kind == "hard" else os.symlink)(path, folder / other)
        return [name, *options]

    return make


def refusals() -> Iterator[tuple[str, Callable[[Path], list[str]]]]:
    """Names and makers of command lines that must be refused."""
    clip = CLIP.read_bytes()
    for name, content in {
        "empty.mp4": b"",
        "text.mp4": "no video",
        "zeros.mkv": bytes(10**6),
        "pipe.mp4": None,
        "pipe.ts": None,
        "list.m3u8": f"#EXTM3U\n#EXTINF:1,\n{CLIP}\n#EXT-X-ENDLIST\n",
        "list.ffconcat": "ffconcat version 1.0\nfile list.ffconcat\n",
        "a.sdp": "v=0\nm=video 5000 RTP/AVP 96\n",
        "a.mpd": "<MPD></MPD>",
        "head.mp4": clip[:5000],
        "a.wav": wave(),
    }.items():
        yield name, _made(name, content)
    for source in (
        "/dev/zero",
        "/dev/full",
        "/dev/urandom",
        "/",
        ".",
        "nowhere.mp4",
        "x" * 300,
        "file:///dev/zero",
        "concat:a|b",
        "http://127.0.0.1:9/",
        "rtsp://127.0.0.1:9/",
        "gopher://x/",
        "99",
        "9" * 5000,
        "udp://",
        "://",
        "\u0663",
        "a\x1b[31m.mp4",
        "pipe:0",
        "subfile,,start,0,end,9,,:/dev/zero",
    ):
        yield f"source {source[:40]!r}", lambda folder, source=source: [source]
    for options in (
        ("--out", "a.mp4"),
        ("--csv", "a.mp4"),
        ("--out", "o.png"),
        ("--csv", "o.jpg"),
        ("--csv", "o.mp4"),
        ("--out", "o"),
        ("--out", "a.mp4/o.mp4"),
        ("--out", "./a.mp4"),
        ("--csv", "."),
        ("--frame-step", "0"),
        ("--reconnect", "-1"),
        ("--out", "/dev/null"),
        ("--out", "/proc/o.mp4"),
    ):
        yield " ".join(options), _made("a.mp4", clip, *options)
    for link in ("hard b.mp4", "soft b.mp4", "hard b.csv", "soft b.csv"):
        option = "--out" if link.endswith("mp4") else "--csv"
        yield f"{option} {link} link", _made("a.mp4", clip, option, link.split()[1], link=link)
    yield "--csv whose plot is the source", _made("a.png", sizes([64]), "--csv", "a.csv")


def tail(part: float, folder: Path) -> str | None:
    """`video --out` of a file with an unreadable end: the frames before it, and a line."""
    data = made(".mkv", "mpeg4", [number / 25 for number in range(100)])
    (folder / "a.mkv").write_bytes(data[: int(part * len(data))])
    outcome = command("video", "a.mkv", "--out", "o.mp4", folder=folder)
    text = complaint(outcome, codes=(0,), names=("a.mkv",))
    return text or (None if (folder / "o.mp4").stat().st_size else "no video")


def signalled(number: signal.Signals, after: float, folder: Path) -> str | None:
    """A signal while --out and --csv are written: no hidden file is left."""
    (folder / "a.ts").write_bytes(made(".ts", "mpeg2video", [step / 25 for step in range(3000)], (640, 480)))
    arguments = ("video", "a.ts", "--out", "o.webm", "--csv", "t.csv")
    outcome = command(*arguments, folder=folder, end=(after, number))
    if text := complaint(outcome, codes=(128 + number,)):
        return text
    left = {path.name for path in folder.iterdir()} - {".out", ".err", "a.ts", "o.webm", "t.csv", "t.png"}
    return f"left: {left}" if left else None


def served(answer: Callable[[socket.socket], None], codes: tuple[int, ...], folder: Path) -> str | None:
    """An HTTP stream of which every connection gets `answer`; the end is a line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(4096)
                        answer(connection)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        outcome = command("video", url, "--csv", "t.csv", "--reconnect", "0", folder=folder)
        server.shutdown(socket.SHUT_RDWR)
    return complaint(outcome, codes=codes, names=(url,))


def answers() -> dict[str, tuple[Callable[[socket.socket], None], tuple[int, ...]]]:
    """What a server may send, and the exit codes that fit."""
    data = 40 * whole(".ts")
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    return {
        "nothing": (lambda s: None, (2,)),
        "no http": (lambda s: s.sendall(b"\0" * 1000), (2,)),
        "404": (lambda s: s.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n"), (2,)),
        "a page": (lambda s: s.sendall(head + b"<html></html>"), (2,)),
        "a stream that ends": (lambda s: s.sendall(head + data), (1,)),
        "a stream cut in the middle": (lambda s: s.sendall(head + data[:-777]), (1,)),
        "a stream shorter than its length": (
            lambda s: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + data),
            (0, 1),
        ),
        "redirect to itself": (lambda s: s.sendall(b"HTTP/1.1 302 x\r\nLocation: /a.ts\r\n\r\n"), (2,)),
        "redirect to a file": (
            lambda s: s.sendall(b"HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n"),
            (2,),
        ),
        "a playlist of files": (lambda s: s.sendall(head + f"#EXTM3U\n#EXTINF:1,\n{CLIP}\n".encode()), (2,)),
    }


def listening(folder: Path) -> str | None:
    """`ffmpeg -listen 1` that is killed in the middle."""
    if not (ffmpeg := which("ffmpeg")):
        return None
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = f"http://127.0.0.1:{port}/a.ts"
    source = ("-re", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25", "-f", "mpegts", "-listen", "1", url)
    with subprocess.Popen([ffmpeg, "-v", "error", *source], stdin=subprocess.DEVNULL) as child:
        while not _listens(port) and child.poll() is None:
            threading.Event().wait(0.05)
        timer = threading.Timer(20, child.kill)
        timer.start()
        outcome = command("video", url, "--reconnect", "1", "--csv", "t.csv", folder=folder)
        timer.cancel()
        child.kill()
    return complaint(outcome, codes=(1,), names=(url,))


def _listens(port: int) -> bool:
    """Whether a socket of this machine listens, without connecting to it."""
    return f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


def cases() -> Iterator[Case]:
    """The cases of the command."""
    for suffix, hours in ((".mkv", 1), (".mkv", 555), (".mp4", 1)):
        name = f"{suffix}, a frame at {hours} h"
        yield Case("a clock that jumps", name, partial(written, suffix, [0, 0.04, 0.08, 3600 * hours], 4, 1))
    yield Case("a clock that jumps", "two recordings in one file", partial(joined, ".ts"))
    for name, make in refusals():
        yield Case("no video, or an output that must not be", name, partial(refused, make))
    for size in ((7680, 4320), (8190, 64), (64, 8190)):
        yield Case("bounds of a video", f"--out of {size}", partial(large, size))
    for part in (0.5, 0.6, 0.75):
        yield Case("an unreadable tail", f"{part:.0%} of a file", partial(tail, part))
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        for after in (2.0, 3.0, 5.0):
            yield Case(
                "signals to video", f"{number.name} after {after} s", partial(signalled, number, after)
            )
    for name, (answer, codes) in answers().items():
        yield Case("live sources", name, partial(served, answer, codes))
    yield Case("live sources", "ffmpeg -listen 1, killed", listening)
