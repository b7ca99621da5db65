"""The web page: images, names, requests, messages and videos that are made to break it, and its memory."""

import io
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np
from harness import CONTROL, GIB, ROOT, Case
from PIL import Image

sys.path.append(str(ROOT / "tests" / "apps"))
from servers import raw, shared
from visitor import BackMsg, Visitor, WidgetState

PORTRAIT: Final = (ROOT / "samples" / "portrait.jpg").read_bytes()
CLIP: Final = (ROOT / "samples" / "clip.mp4").read_bytes()
MEMORY: Final = 2 * GIB
SHARED: Final = 8  # images of a visit
TURN: Final = threading.Lock()  # one case at a time: memory is of all visits


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


IMAGES: Final[dict[str, Callable[[], bytes]]] = {
    **{
        f"{width}x{height}.png": lambda size=(width, height): encoded(Image.new("L", size), "PNG")
        for width, height in [(1, 65535), (65535, 1), (1, 65536), (1, 4_000_000), (1, 50_000_000)]
        + [(50_000_000, 1), (7000, 7000), (50, 1_000_000), (65535, 762), (8000, 8000), (20_000, 20_000)]
    },
    "wide.jpg": lambda: encoded(Image.new("RGB", (65500, 763)), "JPEG"),
    "high.jpg": lambda: encoded(Image.new("RGB", (763, 65500)), "JPEG"),
    "noise.jpg": lambda: encoded(noise(3000, 4000), "JPEG"),
    "noise.png": lambda: encoded(noise(2000, 2000), "PNG"),
    "rgba.png": lambda: encoded(Image.new("RGBA", (7000, 7000)), "PNG"),
    "cmyk.jpg": lambda: encoded(Image.new("CMYK", (7000, 7000)), "JPEG"),
    "wide16.png": lambda: encoded(Image.new("I;16", (7000, 7000)), "PNG"),
    "float.tif": lambda: encoded(Image.fromarray(np.full((99, 99), np.nan, np.float32)), "TIFF"),
    "one.png": lambda: encoded(Image.new("1", (1, 1)), "PNG"),
    "empty.png": lambda: b"",
    "text.png": lambda: b"just a text",
    "page.html": lambda: b"<script>alert(1)</script>",
    "drawing.svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://192.0.2.1/"/></svg>',
    "clip.png": lambda: CLIP,
    "long.bin": lambda: b"\0" * 20_000_000,
    **{f"cut{size}.jpg": lambda size=size: PORTRAIT[:size] for size in (1, 2, 3, 20, 200, 2000, 20_000)},
    **{
        f"flipped{n}.jpg": lambda n=n: bytes(
            b ^ (0xFF if i % 997 == n else 0) for i, b in enumerate(PORTRAIT)
        )
        for n in range(20)
    },
}
IMAGES.update({name: cache(data) for name, data in IMAGES.items()})
NAMES: Final = (
    *("![](http://192.0.2.1/x.png)", "<img src=http://192.0.2.1/x>.png", "<script>alert(1)</script>"),
    *(
        "[a](javascript:alert(1))",
        "# head",
        "``",
        "`",
        "```\n![](http://192.0.2.1/)",
        "a`![](//192.0.2.1/)`b",
    ),
    *(":red[x]", ":material/home:", "$x^2$", "$$\n", "|a|b|\n|-|-|", "http://192.0.2.1/", "www.example.com"),
    *(
        "a\nb",
        "a\r\nb: c",
        "\x1b[2J\x1b]0;x\x07",
        "\u202egpj.exe",
        "\u2066x",
        "\x00",
        "\x7f\x9b",
        "%s%n{}{0}",
    ),
    *(
        "../../../etc/passwd",
        "/etc/passwd",
        "C:\\x",
        "..",
        ".",
        "",
        " ",
        "a" * 5000,
        "ä" * 255,
        "😀.jpg",
        "=1+1",
    ),
    *(
        '"',
        "'",
        "\\",
        "a;b",
        "a\tb",
        "&lt;img&gt;",
        "{{7*7}}",
        "${7*7}",
        "-rf",
        "~",
        "*",
        "~~x~~",
        "<!--",
        "]]>",
    ),
    *(
        'x"; filename="y',
        "CON",
        "a.jpg\u0000.png",
        "\ufeffx",
        "\u2028x",
        "&#33;[](http://192.0.2.1/)",
        "\\![](x)",
    ),
)


def shown_badly(visitor: Visitor) -> str | None:
    """What is wrong with what a visitor sees."""
    if visitor.of("exception"):
        return "an exception on the page"
    for text in visitor.texts():
        if found := CONTROL.search(text):
            return f"control character {found.group()!r}"
    return None


def pictures(files: dict[str, bytes], spans: bool = False) -> str | None:
    """Images in one visit, then one that must be answered.

    Args:
        files: by name.
        spans: whether none is an image, and each accepted name must be shown as it is.
    """
    with TURN, Visitor(server := shared("app")) as visitor:
        visitor.run()
        statuses = visitor.upload("Pictures", {**files, "good.jpg": PORTRAIT})
        texts = visitor.run().texts()
        answers = [text for text in texts if text.startswith("good.jpg: ")]
        if statuses[-1] != 204 or not answers or "no face" in answers[0]:
            return f"the next image is not answered: {statuses}"
        if (used := server.memory()) > MEMORY:
            return f"{used / GIB:.1f} GiB"
        if spans:  # too long a name is refused at the door
            cards = [text for text in texts if "not a valid image" in text]
            if len(cards) != statuses[:-1].count(204):
                return f"{len(cards)} cards of {statuses}"
            if wrong := [text for text in cards if not (text.startswith("`") and text.endswith("`"))]:
                return f"not a code span: {wrong}"
        return shown_badly(visitor)


class Visit:
    """Images that share a visit, which the first of them makes; if it is badly met, each has its own."""

    def __init__(self, images: dict[str, Callable[[], bytes]], spans: bool = False) -> None:
        self.images, self.spans = images, spans
        self.lock, self.met = threading.Lock(), None

    def check(self, name: str, folder: Path) -> str | None:
        """The complaint about one of them."""
        with self.lock:
            if self.met is None:
                files = {each: data() for each, data in self.images.items()}
                self.met = pictures(files, self.spans) is None
        return None if self.met else pictures({name: self.images[name]()}, self.spans)


def visits(images: dict[str, Callable[[], bytes]], spans: bool = False) -> Iterator[tuple[str, Callable]]:
    """Names and checks of images, as many to a visit as the page shows besides a good one."""
    for start in range(0, len(images), SHARED):
        visit = Visit(dict([*images.items()][start : start + SHARED]), spans)
        yield from ((name, partial(visit.check, name)) for name in visit.images)


REQUESTS: Final = [
    *(f"GET {path} HTTP/1.1" for path in ("/../../etc/passwd", "/static/../../../etc/passwd")),
    *(
        f"GET /{room}/{path} HTTP/1.1"
        for room in (
            "static",
            "media",
            "component/streamlit_webrtc.component.webrtc_streamer",
            "app/static",
            "x",
        )
        for path in (
            *("../" * 12 + "etc/passwd", "%2e%2e/" * 12 + "etc/passwd", "..%2f" * 12 + "etc/passwd"),
            *("..%5c" * 12 + "etc/passwd", "%2fetc/passwd", "//etc/passwd", "%00", "a" * 4000, "\\\\x\\y"),
            *("....//....//etc/passwd", "%c0%ae%c0%ae/etc/passwd", "file:///etc/passwd"),
        )
    ),
    *(
        f"{verb} / HTTP/1.1"
        for verb in ("TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "X" * 99, "get", "POST")
    ),
    *(
        "GET / HTTP/9.9",
        "GET  / HTTP/1.1",
        "GET /",
        "\x16\x03\x01\x02\x00\x01\x00",
        "PRI * HTTP/2.0",
        "\0" * 999,
    ),
    *(
        f"PUT /_stcore/upload_file/{visit}/x HTTP/1.1"
        for visit in ("nobody", "..", "%2e%2e", "a" * 999, "%00")
    ),
    *(
        "GET /_stcore/stream HTTP/1.1",
        "POST /_stcore/stream HTTP/1.1",
        "GET /_stcore/agent/openapi.json HTTP/1.1",
    ),
    *("GET http://192.0.2.1/ HTTP/1.1", "GET /?" + "a=b&" * 2000 + " HTTP/1.1"),
]
HEADERS: Final = [
    *(f"X: {'a' * size}" for size in (8000, 70_000, 1_000_000, 8_000_000)),
    *("\r\n".join(f"X-{n}: y" for n in range(count)) for count in (100, 5000)),
    *(
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Content-Length: x",
        "Content-Length: 1e9",
    ),
    *("Transfer-Encoding: chunked\r\nContent-Length: 5", "Transfer-Encoding: gzip", "Expect: 100-continue"),
    *(
        "Cookie: " + "a=b; " * 1000,
        "Cookie: _streamlit_xsrf=2|x|y|z",
        "Range: bytes=5-1",
        "Range: bytes=" + "0-," * 999,
    ),
    *("Upgrade: websocket", "Upgrade: h2c", "Connection: close, x", "Accept-Encoding: " + "gzip," * 999),
    *(
        "Bad Header",
        ": x",
        "X:\0",
        "X: \xff",
        "Host: evil.example",
        "Origin: null",
        "If-None-Match: " + "a" * 999,
    ),
]


def request(text: str) -> Callable[[Path], str | None]:
    """Bytes for the server; no file comes back, no fault, and the next request is answered."""

    def check(folder: Path) -> str | None:
        server = shared("app")
        answer = raw(server.port, text.encode("latin-1") + b"\r\n\r\n")
        if b"root:" in answer:
            return "a file of this machine"
        if answer.startswith(b"HTTP/1.1 5") and not answer.startswith(b"HTTP/1.1 501"):
            return f"a fault: {answer[:80]!r}"
        return None if server.request("GET", "/_stcore/health")[0] == 200 else "no further answer"

    return check


def rerun(**values: object) -> BackMsg:
    message = BackMsg()
    message.rerun_script.widget_states.widgets.append(WidgetState(**values))
    return message


MESSAGES: Final[dict[str, bytes | str]] = {
    "text": "text",
    "nothing": b"",
    "noise": bytes(range(256)),
    "2 MB": bytes(2 << 20),
    "30 MB": bytes(30 << 20),
    **{
        name: BackMsg(**{name: True}).SerializeToString()
        for name in ("clear_cache", "set_run_on_save", "stop_script", "load_git_info", "app_heartbeat")
        + ("debug_disconnect_websocket", "debug_shutdown_runtime")
    },
    "unknown page": (lambda m: (setattr(m.rerun_script, "page_script_hash", "x"), m)[1])(
        BackMsg()
    ).SerializeToString(),
    "unknown widget": rerun(id="x", string_value="y").SerializeToString(),
    "long widget": rerun(id="x", string_value="y" * 900_000).SerializeToString(),
    "control characters": rerun(id="\x1b[2J", string_value="\0").SerializeToString(),
    **{f"1000 reruns of {count}": rerun(id="x", int_value=count).SerializeToString() for count in (0, 2**62)},
    "install": (lambda m: (m.backend_operation_request.SetInParent(), m)[1])(BackMsg()).SerializeToString(),
}


def message(data: bytes | str) -> Callable[[Path], str | None]:
    """A message of a visitor; another is answered afterwards."""

    def check(folder: Path) -> str | None:
        with TURN:
            with Visitor(server := shared("app")) as visitor:
                visitor.run()
                send = visitor.socket.send if isinstance(data, str) else visitor.socket.send_binary
                try:
                    for _ in range(3):
                        send(data)
                except OSError:
                    pass  # refused
            with Visitor(server) as visitor:
                return shown_badly(visitor.run())

    return check


BODIES: Final = {
    "no boundary": ("multipart/form-data", b"x"),
    "no parts": ("multipart/form-data; boundary=b", b"--b--\r\n"),
    "no end": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nx",
    ),
    "no name": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    ),
    "long boundary": (f"multipart/form-data; boundary={'b' * 5000}", b"--b\r\n"),
    "long part header": ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"a" * 900_000),
    "9999 fields": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n" * 9999 + b"--b--\r\n",
    ),
    "two files": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nx\r\n" * 2 + b"--b--\r\n",
    ),
    "json": ("application/json", b"[" * 99_999),
    "nothing": ("", b""),
    "noise": ("multipart/form-data; boundary=b", bytes(range(256)) * 99),
    "form": ("application/x-www-form-urlencoded", b"a=b&" * 99_999),
}


def body(kind: str, data: bytes) -> Callable[[Path], str | None]:
    """The body of an upload."""

    def check(folder: Path) -> str | None:
        with Visitor(server := shared("app")) as visitor:
            visitor.run()
            path = visitor.urls_for(["a"])[0].upload_url
            own = {"x-xsrftoken": visitor.token, "cookie": visitor.cookie, "content-type": kind}
            status = server.request("PUT", path, data, own)[0]
            return f"status {status}" if status >= 500 else None

    return check


def left_while_sending(folder: Path) -> str | None:
    with Visitor(server := shared("app")) as visitor:
        visitor.run()
        path, before = visitor.urls_for(["a"])[0].upload_url, len(server.log())
        for size in range(30):
            with socket.create_connection(("127.0.0.1", server.port), 60) as sender:
                head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000\r\n"
                head += "Content-Type: multipart/form-data; boundary=b\r\n"
                head += f"Cookie: {visitor.cookie}\r\nX-Xsrftoken: {visitor.token}\r\n\r\n"
                sender.sendall(head.encode() + bytes(1000 * size))
        time.sleep(1)  # the server sees that they left
        status = visitor.put(path, "a", b"x")
        log = server.log()[before:]
        return None if status == 204 and "Traceback" not in log else f"{status}: {log[-200:]}"


def thousand_visits(folder: Path) -> str | None:
    with TURN:
        server = shared("app")
        before = server.memory()
        for _ in range(1000):  # each with two connections
            with Visitor(server) as visitor:
                visitor.rerun()
        with Visitor(server) as visitor:
            complaint = shown_badly(visitor.run())
        used = server.memory()
        return complaint or (f"{before} -> {used} bytes" if used > 1.5 * before else None)


def flat(count: int, files: list[tuple[str, Callable[[], bytes]]]) -> Callable[[Path], str | None]:
    """Uploads in a row leave the memory within 10 %."""

    def check(folder: Path) -> str | None:
        with TURN, Visitor(server := shared("app")) as visitor:
            visitor.run()

            def upload(numbers: range) -> int:
                for number in numbers:
                    name, data = files[number % len(files)]
                    visitor.upload("Pictures", {name: data(), "good.jpg": PORTRAIT})
                    visitor.run()
                visitor.upload("Pictures", {"good.jpg": PORTRAIT})
                visitor.run()
                return server.memory()

            before, after = upload(range(count)), upload(range(count))
            print(f"memory of the page: {before >> 20} MB -> {after >> 20} MB after {count} uploads")
            return f"{before} -> {after} bytes" if after > 1.1 * before else None

    return check


@cache
def long_video() -> bytes:
    """Some minutes of work: the frames of the sample, many times."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "long.mp4"
        with av.open(io.BytesIO(CLIP)) as clip, av.open(str(file), "w") as film:
            frames = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
            stream = film.add_stream("libx264", 25, options={"preset": "ultrafast"})
            stream.width, stream.height = frames[0].shape[1], frames[0].shape[0]
            for number in range(5000):
                picture = av.VideoFrame.from_ndarray(frames[number % len(frames)], format="rgb24")
                film.mux(stream.encode(picture))
            film.mux(stream.encode(None))
        return file.read_bytes()


def left_video(folder: Path) -> str | None:
    """A visitor leaves while his video is followed; another's is answered."""
    with TURN:
        server = shared("app")
        for _ in range(3):
            with Visitor(server) as visitor:
                visitor.run()
                visitor.upload("Video", {"long.mp4": long_video()})
                visitor.rerun()
                while not visitor.of("progress"):
                    visitor.receive()
        with Visitor(server) as visitor:
            visitor.run()
            visitor.upload("Video", {"clip.mp4": CLIP})
            begin = time.monotonic()
            complaint = shown_badly(visitor.run())
            if not complaint and not visitor.of("video"):
                complaint = f"no video: {visitor.texts()}"
            seconds = time.monotonic() - begin
            return complaint or (None if seconds < 60 else f"{seconds:.0f} s")


VIDEOS: Final = {
    "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "net.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://192.0.2.1/x.ts\n#EXT-X-ENDLIST\n",
    "list.mp4": b"ffconcat version 1.0\nfile 'source'\n",
    "list.ffconcat": f"ffconcat version 1.0\nfile '{ROOT}/samples/clip.mp4'\n".encode(),
    "list.sdp": b"v=0\no=- 0 0 IN IP4 192.0.2.1\ns=x\nc=IN IP4 192.0.2.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "list.mpd": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
    "empty.mp4": b"",
    "text.mp4": b"text",
    "cut.mp4": CLIP[: len(CLIP) // 2],
    "x." + "y" * 300: CLIP[:999],
    "portrait.jpg": PORTRAIT,
    **{f"flipped{n}.mp4": bytes(b ^ (255 * (i % 499 == n)) for i, b in enumerate(CLIP)) for n in range(8)},
}


def film(name: str, data: bytes) -> Callable[[Path], str | None]:
    def check(folder: Path) -> str | None:
        with TURN, Visitor(server := shared("app")) as visitor:
            visitor.run()
            visitor.upload("Video", {name: data})
            complaint = shown_badly(visitor.run())
            if not complaint and not visitor.of("video") and not any(name[:5] in t for t in visitor.texts()):
                complaint = "neither an answer nor a card"
            strangers = [line for line in server.watched() if "127.0.0.1" not in line]
            return complaint or (f"talked to {strangers}" if strangers else None)

    return check


def cases() -> Iterator[Case]:
    for name, check in visits(IMAGES):
        yield Case("page: image", name, check)
    for name, check in visits({name: lambda: b"x" for name in NAMES}, spans=True):
        yield Case("page: name", json.dumps(name[:50]), check)
    for line in REQUESTS:
        host = "" if "Host" in line else "\r\nHost: localhost"
        yield Case("page: request", json.dumps(line[:60]), request(f"{line}{host}"))
    for line in HEADERS:
        yield Case(
            "page: header", json.dumps(line[:60]), request(f"GET / HTTP/1.1\r\nHost: localhost\r\n{line}")
        )
    for name, sent in MESSAGES.items():
        yield Case("page: message", name, message(sent))
    for name, (kind, data) in BODIES.items():
        yield Case("page: upload", name, body(kind, data))
    for name, data in VIDEOS.items():
        yield Case("page: video", name[:50], film(name, data))
    yield Case("page: visit", "30 leave while sending", left_while_sending)
    yield Case("page: visit", "1,000 quick visits", thousand_visits)
    yield Case("page: visit", "3 leave while a video is followed", left_video)
    yield Case("page: memory", "100 uploads", flat(100, [("portrait.jpg", lambda: PORTRAIT)]))
    yield Case("page: memory", "30 hostile uploads", flat(30, list(IMAGES.items())))
