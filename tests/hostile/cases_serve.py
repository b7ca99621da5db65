"""The service: images, requests and bodies that are made to break it, and its memory."""

import base64
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cases_page import BODIES, HEADERS, IMAGES, NAMES, PORTRAIT, REQUESTS, TURN
from harness import GIB, Case
from servers import raw, shared

MEMORY: Final = 2 * GIB


def post(path: str, kind: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    status, _, answer = shared("serve").request("POST", path, body, {"content-type": kind, **headers})
    return status, answer


def healthy() -> str | None:
    """What is wrong with the service after a case."""
    status, answer = post("/predict", "image/jpeg", PORTRAIT)
    while status == 429:  # those who left are still being noticed
        time.sleep(0.2)
        status, answer = post("/predict", "image/jpeg", PORTRAIT)
    if status != 200 or not json.loads(answer)["images"][0]["faces"]:
        return f"the next image is not answered: {status} {answer[:200]!r}"
    if (used := shared("serve").memory()) > MEMORY:
        return f"{used / GIB:.1f} GiB"
    return None if '"exception"' not in shared("serve").log() else "a fault in the log"


def answered(path: str, kind: str, body: Callable[[], bytes]) -> Callable[[Path], str | None]:
    """A body; the answer is no fault of the service."""

    def check(folder: Path) -> str | None:
        with TURN:
            status, answer = post(path, kind, body())
            if status >= 500:
                return f"status {status}: {answer[:200]!r}"
            json.loads(answer.splitlines()[0])
            return healthy()

    return check


def request(text: str) -> Callable[[Path], str | None]:
    def check(folder: Path) -> str | None:
        answer = raw(shared("serve").port, text.encode("latin-1") + b"\r\n\r\n")
        if b"root:" in answer or answer.startswith(b"HTTP/1.1 500"):
            return f"{answer[:80]!r}"
        return None if shared("serve").request("GET", "/healthz")[0] == 200 else "no further answer"

    return check


def broken(command: str, line: str, pause: float) -> Callable[[Path], str | None]:
    """A chunked body that is none, sent with its header or after the answer."""

    def check(folder: Path) -> str | None:
        server = shared(command)
        before = len(server.log())
        head = f"{line} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", server.port), 60) as sender:
            sender.sendall(head)
            time.sleep(pause)
            sender.sendall(b"zz\r\nabc\r\n0\r\n\r\n")
            if not sender.recv(1 << 16).startswith(b"HTTP/1.1 "):
                return "no answer"
        if server.request("GET", "/")[0] >= 500:
            return "no further answer"
        fault = re.search("Traceback|ASGI callable", server.log()[before:])
        return f"{fault[0]} in the log" if fault else None

    return check


def form(*files: tuple[str, bytes]) -> bytes:
    """A multipart form with boundary b."""
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="i"; filename="'
        + name.encode()
        + b'"\r\n\r\n'
        + data
        + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + b"--b--\r\n"


def encoded(*images: object) -> bytes:
    return json.dumps({"images": images}).encode()


JSON: Final[dict[str, Callable[[], bytes]]] = {
    **{
        f"{sign * 3} deep": lambda sign=sign: sign.encode() * 100_000
        for sign in ("[", '{"images":', '[{"a":')
    },
    **{
        f"image {str(value)[:20]}": lambda value=value: encoded({"image": value})
        for value in (
            None,
            1,
            1e400,
            True,
            [],
            {},
            "",
            "=",
            "A",
            "A===",
            "é",
            "\ud800",
            "data:,",
            "data:;base64,",
        )
        + ("http://192.0.2.1/", "file:///etc/passwd", "FTP://x", "data:image/png;base64," + "A" * 1001)
    },
    **{
        f"entry {str(value)[:20]}": lambda value=value: encoded(value)
        for value in (None, 1, "x", [], {}, {"image": "", "x": 1}, {"name": "a" * 999, "image": ""})
    },
    "1000 images": lambda: encoded(*[{"image": ""}] * 1000),
    "long number": lambda: b'{"images": ' + b"9" * 100_000 + b"}",
    "twice": lambda: b'{"images": [], "images": []}',
    "utf-16": lambda: '{"images": []}'.encode("utf-16"),
    "nul": lambda: b"\0" * 9999,
    "NaN": lambda: b'{"images": [{"image": NaN}]}',
    "many keys": lambda: json.dumps({f"k{n}": n for n in range(99_999)}).encode(),
    "8 million numbers": lambda: b'{"images": [' + b"1," * 7_999_999 + b"1]}",
    "200,000 numbers": lambda: encoded(*[1] * 200_000),
    "200,000 lists": lambda: b'{"images": [' + b",".join([b"[" * 40 + b"]" * 40] * 200_000) + b"]}",
    "8 million spaces": lambda: encoded({"image": "A " * 7_900_000}),
    "long text": lambda: encoded({"image": "A" * 15_000_000}),
}


def left(folder: Path) -> str | None:
    """Clients that leave in the middle, or send nothing."""
    port = shared("serve").port
    idle = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(200)]
    for size in range(200):
        with socket.create_connection(("127.0.0.1", port), 60) as sender:
            sender.sendall(
                b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n" + bytes(size)
            )
    complaint = healthy()
    for sender in idle:
        sender.close()
    return complaint


def flat(count: int, bodies: list[Callable[[], bytes]]) -> Callable[[Path], str | None]:
    """Requests in a row leave the memory within 10 %."""

    def check(folder: Path) -> str | None:
        server, memory = shared("serve"), []
        with TURN:
            for _ in range(4):  # every thread has met the largest image
                for number in range(count):
                    post("/predict", "image/jpeg", bodies[number % len(bodies)]())
                complaint = healthy()
                memory.append(server.memory())
        *_, before, after = memory
        print([size >> 20 for size in memory])
        print(f"memory of the service: {before >> 20} MB -> {after >> 20} MB after {count} requests")
        return complaint or (f"{before} -> {after} bytes" if after > 1.1 * before else None)

    return check


def talks_to_nobody(folder: Path) -> str | None:
    strangers = [line for line in shared("serve").watched() if "127.0.0.1" not in line]
    return f"talked to {strangers}" if strangers else None


def cases() -> Iterator[Case]:
    multipart = "multipart/form-data; boundary=b"
    for name, data in IMAGES.items():
        yield Case("serve: image", name, answered("/predict", "image/x", data))
    for name in NAMES:
        shown = json.dumps(name[:50])
        yield Case(
            "serve: name", f"form {shown}", answered("/predict", multipart, lambda n=name: form((n, b"x")))
        )
        image = base64.b64encode(PORTRAIT).decode()
        sent = encoded({"name": name, "image": image})
        yield Case("serve: name", f"json {shown}", answered("/predict", "application/json", lambda s=sent: s))
    for name, data in JSON.items():
        for path in ("/predict", "/predict/batch"):
            yield Case("serve: json", f"{path} {name}", answered(path, "application/json", data))
    for name, (kind, data) in BODIES.items():
        for path in ("/predict", "/predict/batch"):
            yield Case("serve: form", f"{path} {name}", answered(path, kind, lambda d=data: d))
    for line in [*REQUESTS, "GET /predict HTTP/1.1", "POST /healthz HTTP/1.1", "DELETE /model HTTP/1.1"]:
        yield Case("serve: request", json.dumps(line[:60]), request(f"{line}\r\nHost: localhost"))
    for line in HEADERS:
        text = f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{line}"
        yield Case("serve: header", json.dumps(line[:60]), request(text))
    for line in ("GET /healthz", "GET /nope", "PUT /predict", "POST /predict", "POST /healthz"):
        for pause in (0, 0.2):
            yield Case("serve: chunks", f"{line}, {pause} s", broken("serve", line, pause))
    for line in ("GET /_stcore/health", "GET /nope", "PUT /_stcore/upload_file/x/f1"):
        for pause in (0, 0.2):
            yield Case("page: chunks", f"{line}, {pause} s", broken("app", line, pause))
    for value in ("nan", "inf", "-1", "2", "1e400", "x", "", "0x1", "٣"):
        path = f"/predict?min_confidence={value}".encode().decode("latin-1")
        line = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
        yield Case("serve: request", f"min_confidence={value!r}", request(line))
    yield Case("serve: client", "200 idle, 200 leave", left)
    yield Case("serve: memory", "100 images", flat(100, [lambda: PORTRAIT]))
    yield Case("serve: memory", "30 hostile images", flat(30, list(IMAGES.values())))
    yield Case("serve: network", "nobody is talked to", talks_to_nobody)
