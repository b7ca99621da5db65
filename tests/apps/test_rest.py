"""The REST service: every way to send gives one answer, bad images are refused one by one, none is lost."""

import asyncio
import base64
import functools
import importlib.util
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="pip install -r requirements-serve.txt")

from fastapi.testclient import TestClient
from openapi_spec_validator import validate
from starlette.requests import Request
from starlette.responses import PlainTextResponse

import hierarchy
import tf_model
from hierarchy import routing
from hierarchy.apps.guard import Guard
from hierarchy.apps.rest import app as rest
from hierarchy.apps.rest import limits, server, uploads
from hierarchy.apps.rest.batching import MicroBatcher
from hierarchy.apps.rest.metrics import Metrics
from hierarchy.apps.rest.settings import Settings
from hierarchy.apps.rest.uploads import Refusal
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.taxonomy import FLAT

ROOT = Path(hierarchy.__file__).parents[1]
PORTRAIT = (ROOT / "samples" / "portrait.jpg").read_bytes()
Client = functools.partial(TestClient, base_url="http://127.0.0.1")  # its own name is not known
TOKEN = "open-sesame"  # noqa: S105


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and holds hardly any pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(bytes(100)))]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


BAD = {  # name -> bytes of an image that is refused, its status
    "empty.png": (b"", 422),
    "text.png": (b"just a text", 422),
    "cut.jpg": (PORTRAIT[:2000], 422),
    "huge.png": (png_header(20_000, 10_000), 413),
}


@pytest.fixture(autouse=True)
def shipped(own_home, monkeypatch):
    """The shipped runs; read only."""
    monkeypatch.setenv("HIERARCHY_HOME", str(ROOT))


@pytest.fixture(scope="module")
def shipped_model() -> HierarchicalClassifier:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIERARCHY_HOME", str(ROOT))
        return HierarchicalClassifier.load()


@pytest.fixture(scope="module")
def expected(shipped_model) -> list[dict]:
    """The faces of the portrait, as the class answers them."""
    faces = shipped_model.read(ROOT / "samples" / "portrait.jpg")
    answers = [json.loads(face.as_json()) for face in faces]
    return [{key: value for key, value in answer.items() if key != "path"} for answer in answers]


@pytest.fixture(scope="module")
def client():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIERARCHY_HOME", str(ROOT))
        app = rest.create_app(Settings(max_bytes=2**20, max_images=8, max_batch=20))
    with Client(app) as opened:
        yield opened


def as_json(*images: object) -> dict:
    return {"content": json.dumps({"images": images}), "headers": {"content-type": "application/json"}}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "sent",
    [
        {"files": {"image": ("portrait.jpg", PORTRAIT)}},
        {"content": PORTRAIT, "headers": {"content-type": "image/jpeg"}},
        {"content": PORTRAIT},
        as_json({"name": "portrait.jpg", "image": encoded(PORTRAIT)}),
        as_json({"image": "data:image/jpeg;base64," + encoded(PORTRAIT)}),
    ],
)
def test_every_way_to_send_an_image_gives_the_same_answer(client, expected, sent):
    answer = client.post("/predict", **sent)
    (image,) = answer.json()["images"]
    assert answer.status_code == image["status"] == 200
    assert image["faces"] == expected
    (line,) = client.post("/predict/batch", **sent).text.splitlines()
    assert json.loads(line) == image


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_bad_images_are_refused_and_the_others_answered(client, expected, path):
    files = [("images", (name, data)) for name, (data, _) in BAD.items()]
    answer = client.post(path, files=[*files, ("images", ("good.jpg", PORTRAIT))])
    batch = path.endswith("batch")
    answers = [json.loads(line) for line in answer.text.splitlines()] if batch else answer.json()["images"]
    assert answer.status_code == 200
    assert [image["name"] for image in answers] == [*BAD, "good.jpg"]
    assert [image["status"] for image in answers] == [*(status for _, status in BAD.values()), 200]
    assert answers[-1]["faces"] == expected and all(image["error"] for image in answers[:-1])


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_by_itself_gives_its_status(client, name):
    data, status = BAD[name]
    answer = client.post("/predict", content=data)
    assert answer.status_code == status and answer.json()["images"][0]["error"]


@pytest.mark.parametrize(
    "entry", ["text", 3, None, {}, {"image": 3}, {"image": "%%%"}, {"image": "", "x": 1}, {"image": "é"}]
)
def test_bad_entries_of_json_are_refused_and_the_others_answered(client, expected, entry):
    bad, good = client.post("/predict", **as_json(entry, {"image": encoded(PORTRAIT)})).json()["images"]
    assert bad["status"] == 422 and bad["error"] and bad["faces"] == []
    assert good["faces"] == expected


@pytest.mark.parametrize("address", ["http://127.0.0.1/x.png", "file:///etc/passwd", "HTTPS://a.b"])
def test_addresses_are_refused(client, address):
    (image,) = client.post("/predict", **as_json({"image": address})).json()["images"]
    assert image["status"] == 422 and "addresses are not fetched" in image["error"]


JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b'{"images": [', "headers": JSON}, 400),
        ({"content": b"", "headers": JSON}, 400),
        ({"content": b"[" * 10_000, "headers": JSON}, 422),
        ({"content": b'{"images": [' + b"[" * 10_000, "headers": JSON}, 400),
        ({"content": b"\xff", "headers": JSON}, 400),
        ({"content": b"[]", "headers": JSON}, 422),
        ({"content": b'{"images": []}', "headers": JSON}, 422),
        ({"content": b'{"urls": []}', "headers": JSON}, 422),
        ({"content": b"x", "headers": FORM}, 400),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400),
        ({"content": b"--b--\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422),
        ({"files": [("i", ("a.png", b"x"))] * 9}, 413),
        (
            {
                "content": b"x",
                "headers": {"content-type": "multipart/form-data; boundary=b; charset=undefined"},
            },
            400,
        ),
        (as_json(*[{"image": ""}] * 9), 413),
        (as_json(*[1] * 9), 413),
        (as_json(*[1] * 9999), 413),
        ({"content": bytes(2**20 + 1)}, 413),
        ({"content": iter([bytes(2**20), b"x"])}, 413),
        ({"params": {"min_confidence": 2}, "content": PORTRAIT}, 422),
        ({"params": {"min_confidence": "nan"}, "content": PORTRAIT}, 422),
    ],
)
def test_bad_requests_are_refused_as_a_whole(client, sent, status):
    answer = client.post("/predict", **sent)
    assert answer.status_code == status and answer.json()["detail"]


def test_too_many_faces_are_refused():
    with Client(rest.create_app(Settings(max_faces=0, workers=1))) as client:
        answer = client.post("/predict", content=PORTRAIT)
        assert answer.status_code == 413 and "faces" in answer.json()["images"][0]["error"]


def test_below_the_minimum_confidence_only_the_branch_is_given(client):
    (image,) = client.post("/predict?min_confidence=1", content=PORTRAIT).json()["images"]
    assert image["faces"][0]["label"] is None and image["faces"][0]["branch"]


def test_the_model_is_described(client, shipped_model):
    about = client.get("/model").json()
    assert about["scores"]["n"] and about["card"].startswith("#") and about["limits"]["max_images"] == 8
    tree = shipped_model.tree_
    assert about["tree"] == {name: list(leaves) for name, leaves in tree.children.items()}


def test_requests_images_and_faces_are_counted(client):
    def count(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} ([\d.e+]+)$", client.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    names = ("two_tier_faces_total", 'two_tier_requests_total{path="/predict",status="200"}')
    before = [count(name) for name in names]
    client.post("/predict", content=PORTRAIT)
    assert [count(name) for name in names] == [value + 1 for value in before]
    client.get("/no/such/path")
    assert "/no/such/path" not in client.get("/metrics").text


def test_the_description_is_openapi(client):
    text = client.get("/openapi.json").json()
    validate(text)
    assert {"/predict", "/predict/batch", "/healthz", "/model", "/metrics"} == set(text["paths"])
    body = text["paths"]["/predict"]["post"]["requestBody"]["content"]
    example = body["application/json"]["example"]
    answer = client.post("/predict", json=example)
    assert answer.status_code == 200 and answer.json()["images"][0]["name"] == example["images"][0]["name"]


def test_the_token_is_needed():
    with Client(rest.create_app(Settings(token=TOKEN))) as client:
        assert client.get("/healthz").status_code == 200
        for wrong in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", b"Bearer \xff\xfe"):
            answer = client.post("/predict", content=PORTRAIT, headers={"authorization": wrong})
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        for path in ("/model", "/metrics", "/openapi.json"):
            assert client.get(path).status_code == 401
        right = {"authorization": f"bearer {TOKEN}"}
        assert client.post("/predict", content=PORTRAIT, headers=right).status_code == 200
    assert TOKEN not in repr(Settings(token=TOKEN))


@pytest.mark.parametrize("token", ["", "a b", "ä", "a\n", "a" * 5000])
def test_tokens_that_http_cannot_carry_are_refused(token):
    with pytest.raises(InputError, match="TWO_TIER_TOKEN"):
        Settings(token=token)


def test_web_pages_may_ask_only_where_that_is_set(client):
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in client.options("/predict", headers=asked).headers
    with Client(rest.create_app(Settings(origins=("https://a.example",), token=TOKEN))) as other:
        answer = other.options("/predict", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        refused = other.options("/predict", headers=asked | {"origin": "https://b.example"})
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("[::1]", 200),
        ("localhost", 200),
        ("LOCALHOST.:1", 200),
        ("proxy.example", 200),
    ]
    + [
        ("10.0.0.7", 200),
        ("evil.example", 421),
        ("", 421),
        ("localhost.evil.example", 421),
        ("a@localhost", 421),
    ]
    + [("localhost/x", 421), ("127.0.0.1.evil.example", 421), ("localhost:99999999", 421)],
)
def test_only_names_of_this_machine_are_answered(name, status):
    async def app(scope, receive, send):
        await PlainTextResponse("")(scope, receive, send)

    other = Client(Guard(app, rest.HEADERS, hosts=["Proxy.example"]))
    answer = other.get("/", headers={"host": name})
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_pages_of_other_origins_are_not_answered(client):
    for origin in ("https://a.example", "null", "http://127.0.0.1:1", "http://localhost"):
        answer = client.post("/predict", content=PORTRAIT, headers={"origin": origin})
        assert answer.status_code == 403
    own = {"origin": "http://127.0.0.1"}
    assert client.post("/predict", content=PORTRAIT, headers=own).status_code == 200


def scope(method: str = "POST", **headers: str) -> dict:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": "/predict", "headers": raw}


async def no_body() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_more_requests_than_allowed_are_refused_until_one_ends():
    async def story() -> list[int]:
        statuses: list[int] = []
        entered, leave = asyncio.Event(), asyncio.Event()

        async def app(scope, receive, send):
            entered.set()
            await leave.wait()
            await send({"type": "http.response.start", "status": 200})

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        gate = limits.Concurrency(app, 1, Metrics())
        first = asyncio.create_task(gate(scope(), no_body, send))
        await entered.wait()
        await gate(scope(), no_body, send)
        leave.set()
        await first
        await gate(scope(), no_body, send)
        return statuses

    assert asyncio.run(story()) == [429, 200, 200]


def test_a_body_that_does_not_arrive_is_refused():
    async def never() -> dict:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Refusal) as caught:
        asyncio.run(uploads.uploads(Request(scope(), never), 10, 1, seconds=0))
    assert caught.value.status == 408


def test_a_prediction_that_takes_too_long_is_given_up():
    with Client(rest.create_app(Settings(timeout=1e-9))) as client:
        # the body of a test client is there at once, the faces are not
        answer = client.post("/predict", content=PORTRAIT)
        assert answer.status_code in (408, 503)


class Fake:
    """A predictor whose probabilities are the first pixels of the faces."""

    routing = "soft"

    def __init__(self, tree):
        self.tree_, self.calls, self.ready = tree, [], threading.Event()

    def predictions(self, X):
        self.ready.wait()
        self.calls.append(len(X))
        if (X == 255).any():
            raise RuntimeError("secret")
        logits = X[:, 0, : len(self.tree_.leaves)] / 10.0
        return routing.predict_from_logits(self.tree_, {FLAT: logits}, {})[0]

    def lazy(self, X):
        raise NotImplementedError

    logits = lazy


def test_faces_of_several_requests_share_a_call_and_come_back_to_their_own(other_tree, rng):
    model = Fake(other_tree)
    batcher = MicroBatcher(model)
    faces = [rng.integers(0, 200, (n, 48, 48), np.uint8) for n in (1, 3, 2, 1, 70, 1)]
    with ThreadPoolExecutor(len(faces)) as pool:
        futures = [pool.submit(batcher.predictions, pixels) for pixels in faces]
        model.ready.set()
        answers = [future.result() for future in futures]
    for pixels, answer in zip(faces, answers, strict=True):
        np.testing.assert_allclose(answer.joint, model.predictions(pixels).joint, atol=1e-12)
    batcher.close()
    assert not batcher.thread.is_alive()


def test_a_closing_batcher_answers_what_waits(other_tree):
    model = Fake(other_tree)
    batcher = MicroBatcher(model)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(batcher.predictions, np.zeros((1, 48, 48), np.uint8))
        model.ready.set()
        assert len(future.result()) == 1
    batcher.close()


def test_a_fault_is_an_answer_without_details_and_the_next_request_is_answered(monkeypatch, caplog):
    model = HierarchicalClassifier.load()
    nets = dict(model.nets_)
    monkeypatch.setattr(HierarchicalClassifier, "load", lambda *_, **__: model)
    with Client(rest.create_app(Settings())) as client:

        def broken(pixels):
            raise RuntimeError("secret")

        model.nets_ = dict.fromkeys(nets, broken)
        answer = client.post("/predict", content=PORTRAIT)
        assert answer.status_code == 500 and "secret" not in answer.text
        assert "secret" in caplog.text
        model.nets_ = nets
        assert client.post("/predict", content=PORTRAIT).status_code == 200


@pytest.fixture(scope="module")
def running():
    """A real server on a free port, and its address; SIGTERM must end it with exit code 0."""
    command = [sys.executable, str(ROOT / "tf_model.py"), "serve", "--port", "0"]
    environment = {**os.environ, "HIERARCHY_HOME": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


PAGES = "\n".join((ROOT / page).read_text() for page in ("README.md", "docs/deployment.md"))
COMMANDS = sorted(set(re.findall(r"^(?:\$ )?(curl .+)$", PAGES, re.M)))
PRINTED = dict(re.findall(r"^\$ (curl .+)\n(\{.+), \.\.\.$", PAGES, re.M))  # beginnings of answers


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("command", COMMANDS)
def test_the_documented_commands_are_answered(running, command):
    """Every curl command of PAGES, at the address of this server."""
    address = running[1]
    assert address.startswith("http://127.0.0.1:")
    written = command.replace("http://127.0.0.1:8000", address)
    done = subprocess.run(
        f"set -o pipefail; {written} --fail --silent --show-error --max-time 60",
        shell=True,
        executable=shutil.which("bash"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "TWO_TIER_TOKEN": TOKEN},
    )
    assert done.returncode == 0 and done.stdout, done.stderr
    assert done.stdout.startswith(PRINTED.get(command, ""))


def test_the_pages_print_an_answer():
    assert PRINTED


def test_a_real_server_answers_logs_and_stops(running):
    process, address = running
    host, port = address.removeprefix("http://").split(":")
    import http.client

    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.putrequest("POST", "/predict")
    connection.putheader("content-length", str(len(PORTRAIT)))
    connection.endheaders(PORTRAIT[:1000])
    other = http.client.HTTPConnection(host, int(port), timeout=60)
    other.request("GET", "/healthz")  # the server has read what came before
    assert other.getresponse().read()
    gone = http.client.HTTPConnection(host, int(port), timeout=60)
    gone.putrequest("POST", "/predict")
    gone.putheader("content-length", "1000")
    gone.endheaders(b"x")
    gone.close()
    seen: list[dict] = []
    while not seen or seen[-1].get("status") != 499:
        seen.append(json.loads(process.stderr.readline()))
    process.send_signal(signal.SIGTERM)
    while json.loads(process.stderr.readline())["event"] != "Shutting down":
        pass
    connection.send(PORTRAIT[1000:])  # a request in progress is finished
    answer = connection.getresponse()
    assert answer.status == 200 and json.loads(answer.read())["images"][0]["faces"]
    connection.close()
    other.close()
    lines = [json.loads(line) for line in process.communicate()[1].splitlines()]
    assert process.returncode == 0
    assert [line["status"] for line in lines if line["event"] == "request"][-1:] == [200]
    assert "portrait" not in json.dumps(seen + lines)


def test_the_service_loads_no_training_library():
    heavy = ("tensorflow", "keras", "torch", "pandas", "sklearn", "matplotlib", "streamlit")
    code = f"import sys, hierarchy.apps.rest.server; print(set(sys.modules) & set({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def refusal(monkeypatch, capsys, *words: object) -> str:
    monkeypatch.setattr(sys, "argv", ["tf_model.py", "serve", *map(str, words)])
    assert tf_model.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_an_address_in_use_is_refused(monkeypatch, capsys):
    with server.listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert f"--port {port}" in refusal(monkeypatch, capsys, "--port", port)


@pytest.mark.parametrize(
    "words",
    [
        ("--run", "nope"),
        ("--engine", "onyx"),
        ("--detector", "nope"),
        ("--token-file", "/no/such/file"),
        ("--token-file", "/dev/zero"),
        ("--token-file", __file__),  # too long
        ("--max-requests", 0),
        ("--timeout", "1e400"),
        ("--address", "192.0.2.1"),
        ("--address", ".."),  # can be no name
    ],
)
def test_what_it_cannot_start_with_is_refused(monkeypatch, capsys, words):
    line = refusal(monkeypatch, capsys, "--port", 0, *words)
    assert str(words[1]) in line or words[0] in line


@pytest.mark.parametrize(("name", "data"), [("MODEL_CARD.md", b"\xff"), ("scores.json", b"[1]")])
def test_damaged_files_beside_a_run_are_named(monkeypatch, capsys, own_home, name, data):
    shutil.copytree(ROOT / "results" / "fer2013", own_home / "results" / "fer2013")
    (own_home / "results" / "fer2013" / name).write_bytes(data)
    monkeypatch.setenv("HIERARCHY_HOME", str(own_home))
    assert name in refusal(monkeypatch, capsys, "--port", 0)


def test_a_missing_library_is_named(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "uvicorn" else find(name, *rest)
    )
    line = refusal(monkeypatch, capsys)
    assert "uvicorn" in line and "pip install" in line
