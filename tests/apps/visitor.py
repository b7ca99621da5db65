"""A visitor of the web page without a browser: Streamlit's protocol over a WebSocket, and uploads.

Also starts the page or the service, with every address that it looks up or connects to written down.
"""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import websocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs, UploadedFileInfo
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120  # seconds; machines may be busy
WATCH = """
import os, sys
seen = set()
def watch(event, values):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        line = f"{event} {values[1][0] if event in ('socket.connect', 'socket.sendto') else values[0]}"
        if line not in seen:
            seen.add(line)
            with open(os.environ["WATCHED"], "a") as file:
                print(line, file=file)
sys.addaudithook(watch)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


class Server:
    """`app` or `serve` on a free port of this machine.

    Attributes:
        port: it listens on.
        watched: what it and its children talk to, a line for each address.
    """

    def __init__(self, process: subprocess.Popen, port: int, folder: Path) -> None:
        self.process, self.port, self.folder = process, port, folder

    def watched(self) -> list[str]:
        file = self.folder / "watched"
        return file.read_text().splitlines() if file.exists() else []

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def memory(self) -> int:
        """Resident bytes of the process that answers: of `app`, Streamlit's."""
        process = psutil.Process(self.process.pid)
        return max(one.memory_info().rss for one in [process, *process.children()])

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()


@contextlib.contextmanager
def serving(command: str, folder: Path, *options: str) -> Iterator[Server]:
    """Start `app` or `serve` of the shipped run; Ctrl-C ends it."""
    (folder / "sitecustomize.py").write_text(WATCH)
    environment = {name: value for name, value in os.environ.items() if name != "HIERARCHY_HOME"}
    environment |= {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "WATCHED": str(folder / "watched")}
    port = free_port()
    words = [sys.executable, str(ROOT / "tf_model.py"), command, "--port", str(port), *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + TIMEOUT
        while not listens(port) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        try:
            yield Server(process, port, folder)
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def told(view: dict) -> list[str]:
    """The texts of an element of our own."""
    items = [f"{item['name']}: {item['answer']}" for item in view.get("items", ())]
    faces = [f"Face {face['number']}: {face['title']}" for face in view.get("faces", ())]
    return [*items, *faces, *(view[key] for key in ("headline", "detail", "alt") if key in view)]


class Visitor:
    """A visit of the page; `run` it, `upload` files, read what is `shown`.

    Attributes:
        shown: elements of the last run by their place.
    """

    def __init__(self, server: Server, origin: str | None = None, host: str | None = None) -> None:
        self.server, self.number = server, 0
        where = f"127.0.0.1:{server.port}"
        _, headers, _ = server.request("GET", "/_stcore/health")
        cookies = [line.partition(";")[0] for line in headers.get_all("set-cookie") or ()]
        self.cookie = "; ".join(cookies)
        self.token = self.cookie.partition("_streamlit_xsrf=")[2].partition(";")[0]
        self.socket = websocket.create_connection(
            f"ws://{where}/_stcore/stream",
            timeout=TIMEOUT,
            origin=origin or f"http://{where}",
            host=host,
            subprotocols=["streamlit", self.token],
            cookie=self.cookie,
        )
        self.shown: dict[tuple[int, ...], Element] = {}
        self.session = ""
        self.states: dict[str, WidgetState] = {}

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, message: BackMsg) -> None:
        self.socket.send_binary(message.SerializeToString())

    def rerun(self) -> None:
        """Ask for a run, without waiting for it."""
        message = BackMsg()
        message.rerun_script.widget_states.widgets.extend(self.states.values())
        self.send(message)

    def run(self) -> "Visitor":
        """Run the page and wait until it is complete."""
        self.shown.clear()
        self.rerun()
        while (kind := self.receive()) is None or not kind.startswith("script_finished"):
            pass
        if kind.endswith(str(ForwardMsg.FINISHED_EARLY_FOR_RERUN)):
            return self.run()
        return self

    def receive(self) -> str | None:
        """Read one message; its kind."""
        message = ForwardMsg()
        message.ParseFromString(self.socket.recv())
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session = message.new_session.initialize.session_id or self.session
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self.shown[tuple(message.metadata.delta_path)] = message.delta.new_element
        elif kind == "file_urls_response":
            self.urls = list(message.file_urls_response.file_urls)
        elif kind == "script_finished":
            return f"{kind} {message.script_finished}"
        return kind

    def of(self, kind: str) -> list[Element]:
        """The elements of a kind, in order."""
        return [e for _, e in sorted(self.shown.items()) if e.WhichOneof("type") == kind]

    def texts(self) -> list[str]:
        """The bodies of headings, Markdown and messages; then names and answers of pictures and faces."""
        bodies = [
            getattr(element, kind).body
            for _, element in sorted(self.shown.items())
            if (kind := element.WhichOneof("type")) in ("heading", "markdown", "alert", "text")
        ]
        return bodies + [text for view in self.views() for text in told(view)]

    def views(self) -> list[dict]:
        """What the elements of our own show."""
        return [json.loads(element.bidi_component.json) for element in self.of("bidi_component")]

    def uploader(self, label: str) -> str:
        """The identity of the uploader with a label."""
        return next(e.file_uploader.id for e in self.of("file_uploader") if e.file_uploader.label == label)

    def urls_for(self, names: Sequence[str]) -> list[FileURLs]:
        message = BackMsg()
        request = message.file_urls_request
        request.request_id, request.session_id = uuid.uuid4().hex, self.session
        request.file_names.extend(names)
        self.send(message)
        while self.receive() != "file_urls_response":
            pass
        return self.urls

    def put(self, url: str, name: str, data: bytes, **headers: str) -> int:
        """Send a file; the status."""
        boundary = uuid.uuid4().hex
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")  # as browsers do
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode() + data
        own = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "x-xsrftoken": self.token,
            "cookie": self.cookie,
        }
        closing = f"\r\n--{boundary}--\r\n".encode()
        return self.server.request("PUT", url, body + closing, own | headers)[0]

    def upload(self, label: str, files: dict[str, bytes]) -> list[int]:
        """Put files in place of those of an uploader; their statuses. The next run shows them."""
        identity, urls = self.uploader(label), self.urls_for(list(files))
        if before := self.states.get(identity):
            for info in before.file_uploader_state_value.uploaded_file_info:
                self.server.request(
                    "DELETE",
                    info.file_urls.delete_url,
                    headers={"x-xsrftoken": self.token, "cookie": self.cookie},
                )
        state, statuses = WidgetState(id=identity), []
        for url, (name, data) in zip(urls, files.items(), strict=True):
            statuses.append(self.put(url.upload_url, name, data))
            if statuses[-1] < 300:
                info = UploadedFileInfo(name=name, size=len(data), file_id=url.file_id, file_urls=url)
                state.file_uploader_state_value.uploaded_file_info.append(info)
        self.states[identity] = state
        return statuses
