"""The page in a real browser, its camera fed from a file: upload, prediction, stream, and errors."""

import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import psutil
import pytest
import websocket
from visitor import TIMEOUT, Visitor, free_port, listens, serving

import tf_model
from hierarchy.apps.web import limits, server, tree_graph, videos
from hierarchy.apps.web.plain_text import plain
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.taxonomy import ROUTER, VALENCE, colour
from hierarchy.vision.video import Video

MAIN = Path(tf_model.__file__)
SAMPLES = MAIN.parent / "samples"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --use-fake-device-for-media-stream"
    " --use-fake-ui-for-media-stream --window-size=1300,1400"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The page of the shipped run, served by `app`."""
    with serving("app", tmp_path_factory.mktemp("server"), "--allow-host", "proxy.example") as server:
        yield server
    assert server.process.returncode == 0 and "Traceback" not in server.log()


@pytest.fixture(scope="module")
def address(running):
    return f"http://127.0.0.1:{running.port}"


@pytest.fixture(scope="module")
def page(address, tmp_path_factory):
    """A browser showing the page."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    folder = tmp_path_factory.mktemp("browser")
    with Video(str(SAMPLES / "clip.mp4")) as clip, (folder / "camera.mjpeg").open("wb") as camera:
        for frame in clip:
            camera.write(cv2.imencode(".jpg", cv2.cvtColor(frame.picture, cv2.COLOR_RGB2BGR))[1].tobytes())
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    own = (f"--use-file-for-fake-video-capture={folder}/camera.mjpeg", f"--user-data-dir={folder}/profile")
    for flag in (*FLAGS.split(), *own):
        options.add_argument(flag)
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    browser.get(address)
    yield Page(browser)
    browser.quit()


class Page:
    """Actions of a visitor."""

    def __init__(self, browser) -> None:
        self.browser = browser

    def wait(self, condition):
        """Wait until `condition()` is true; return its value."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, TIMEOUT).until(lambda _: condition())

    def all(self, selector: str) -> list:
        return self.browser.find_elements("css selector", selector)

    def text(self) -> str:
        return self.browser.find_element("css selector", "body").text

    def shows(self, *words: str) -> None:
        self.wait(lambda: all(word in self.text() for word in words))

    def tab(self, name: str) -> None:
        self.wait(lambda: [tab for tab in self.all("[role=tab]") if tab.text == name])[0].click()

    def upload(self, file: Path) -> None:
        self.wait(lambda: self.all("[role=tabpanel]:not([hidden]) input[type=file]"))[0].send_keys(str(file))

    def press(self, name: str) -> None:
        self.wait(lambda: [b for b in self.all("button") if b.text.strip().lower() == name.lower()])[
            0
        ].click()


def test_an_uploaded_portrait_is_predicted(page):
    page.tab("Images")
    page.upload(SAMPLES / "portrait.jpg")
    page.shows("Face 1: positive > neutral", "Download CSV", "Download image")
    drawn = page.wait(lambda: page.all("[role=tabpanel] svg g.node"))
    assert len(drawn) == 1 + len(VALENCE.branches) + len(VALENCE.leaves)
    assert page.all("[data-testid=stImage] img")
    assert "not what a person feels" in page.text()


def test_a_bad_file_is_reported_and_the_others_stay(page, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("not an image")
    page.upload(bad)
    page.shows("bad.png: ", "Face 1: positive > neutral")


def test_a_video_is_followed(page):
    page.tab("Video")
    page.upload(SAMPLES / "clip.mp4")
    page.shows("Download timeline", "Download video")
    page.wait(lambda: page.browser.execute_script("return document.querySelector('video').videoWidth > 0"))


def test_a_snapshot_is_predicted(page):
    page.tab("Snapshot")
    page.press("Take Photo")
    page.shows("snapshot.jpg", "Face 2")


def test_a_live_stream_is_predicted(page):
    page.tab("Live camera")
    frame = page.wait(lambda: [frame for frame in page.all("iframe") if frame.is_displayed()])[0]
    page.browser.switch_to.frame(frame)
    page.press("start")
    page.browser.switch_to.default_content()
    page.shows("frames processed", "> neutral", "> happy")


def test_the_page_listens_on_this_machine_only(address):
    port = int(address.rpartition(":")[2])
    others = [where[4][0] for where in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    assert listens(port)
    assert not any(listens(port, other) for other in others if not other.startswith("127."))


def test_names_are_shown_as_they_are_and_a_bad_image_leaves_the_others(running):
    name = "a![](//192.0.2.1)<img src=x>\u202e``b.png"
    portrait = (SAMPLES / "portrait.jpg").read_bytes()
    with Visitor(running) as visitor:
        visitor.run()
        assert visitor.upload("Images", {name: b"x", "good.jpg": portrait}) == [204, 204]
        texts = visitor.run().texts()
    shown = name.replace("\u202e", "\\u202e")
    assert f"``` {shown} ```" in texts
    assert any(text.startswith(f"``` {shown}: ") for text in texts)
    assert any("Face 1: positive > neutral" in text for text in texts)


@pytest.mark.parametrize(
    ("text", "markdown"),
    [("a", "` a `"), ("``", "``` `` ```"), ("a\n\nb", "` a b `"), ("a\x1b[0m\u202e", "` a\\x1b[0m\\u202e `")],
)
def test_text_of_others_is_a_code_span(text, markdown):
    assert plain(text) == markdown


def test_files_over_the_limits_of_a_visit_are_refused(running):
    with Visitor(running) as visitor:
        visitor.run()
        url = visitor.urls_for(["a"])[0].upload_url
        assert visitor.put(url, "a", b"x", **{"content-length": str(limits.VISIT_MB << 20)}) == 413
        assert visitor.put(url, "a", b"x", **{"content-length": "-1"}) in (400, 411)
        statuses = [visitor.put(f"{url[:-36]}{number:036}", "a", b"x") for number in range(limits.FILES + 1)]
        assert statuses == [204] * limits.FILES + [413]
        assert visitor.put(url.replace(visitor.session, "nobody"), "a", b"x") == 400


def test_a_visitor_who_leaves_while_sending_leaves_no_trace(running):
    with Visitor(running) as visitor:
        visitor.run()
        path = visitor.urls_for(["a"])[0].upload_url
        with socket.create_connection(("127.0.0.1", running.port), TIMEOUT) as sender:
            lines = [f"PUT {path} HTTP/1.1", f"Host: 127.0.0.1:{running.port}", "Content-Length: 1000"]
            lines += ["Content-Type: multipart/form-data; boundary=b", f"Cookie: {visitor.cookie}"]
            lines += [f"X-Xsrftoken: {visitor.token}", "", "--b"]
            sender.sendall("\r\n".join(lines).encode())
        assert visitor.put(path, "a", b"x") == 204
        visitor.socket.send("text, which Streamlit takes as a fault")
    assert running.request("GET", "/_stcore/health")[0] == 200


def test_work_ends_with_the_visit(monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(MAIN.parent))

    class Left(BaseException):
        """What Streamlit raises."""

    def progress(share, text=None):
        if text:
            raise Left

    bar = SimpleNamespace(progress=progress, empty=lambda: None)
    monkeypatch.setattr(videos.st, "progress", lambda share: bar)
    file = SimpleNamespace(getbuffer=(SAMPLES / "clip.mp4").read_bytes, name="clip.mp4")
    with pytest.raises(Left):
        videos._answer(HierarchicalClassifier.load(), file)
    assert limits.FILMS._value == 2


def test_a_video_of_too_many_frames_is_refused(monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(MAIN.parent))
    bar = SimpleNamespace(progress=lambda *_: None, empty=lambda: None)
    monkeypatch.setattr(videos.st, "progress", lambda share: bar)
    monkeypatch.setattr(videos, "FRAMES", 2)
    file = SimpleNamespace(getbuffer=(SAMPLES / "clip.mp4").read_bytes, name="clip.mp4")
    assert "clip.mp4: too long" in videos._answer(HierarchicalClassifier.load(), file)["error"]


def test_other_hosts_and_origins_are_refused(running):
    for name, status in (("evil.example", 421), ("proxy.example:443", 200), ("localhost", 200)):
        answered, headers, _ = running.request("GET", "/", headers={"host": name})
        assert answered == status and headers["x-frame-options"] == "SAMEORIGIN"
        assert "default-src 'self'" in headers["content-security-policy"]
    for others in (
        {"origin": "http://evil.example"},
        {"host": "evil.example", "origin": "http://evil.example"},
    ):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            Visitor(running, **others)


def test_the_page_talks_to_nobody(running):
    """The last test that asks it; a camera's stream goes to the addresses of this machine."""
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    own |= {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    for line in running.watched():
        assert line.split()[1] in own, line


VISIT = """
import sys
from streamlit.testing.v1 import AppTest
page = f"from hierarchy.apps.web import page; page.page({sys.argv[1]!r})"
shown = AppTest.from_string(page, default_timeout=100).run()
print(*(f"{part.type}: {part.value}" for part in (*shown.exception, *shown.error, *shown.warning)), sep="\\n")
print(*(tab.label for tab in shown.tabs), sep="\\n")
"""


def visit(run: str) -> list[str]:
    """Messages and tabs of the page without a server, in a process without TensorFlow.

    Only the live stream needs the server, and fails.
    """
    done = subprocess.run([sys.executable, "-c", VISIT, run], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")


def test_a_run_of_drawn_faces_is_marked(manifest_run):
    run = manifest_run(data={"source": "sketch"})
    lines = visit(run.name)
    assert any(line.startswith("warning: ") and run.name in line for line in lines)
    assert "Images" in lines


def test_a_missing_run_is_an_error_on_the_page():
    first, *_ = visit("nowhere")
    assert first.startswith("error: ") and "nowhere" in first


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"run": "nowhere"}, "nowhere"),
        ({"engine": "onyx"}, "engine 'onyx'"),
        ({"address": "192.0.2.1"}, "--address 192.0.2.1 --port "),
        ({"address": "no such host"}, "--address no such host"),
        ({"taken": True}, "--port "),
    ],
)
def test_invalid_options_are_refused(manifest_run, options, part):
    options = {"run": manifest_run().name} | options
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = options.pop("taken", False)
        port = other.getsockname()[1] if taken else free_port()
        with pytest.raises(InputError, match=part):
            server.serve(port=port, **options)


def test_a_missing_streamlit_is_refused_with_the_install_command(manifest_run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="streamlit.* pip install -r requirements.txt"):
        server.serve(manifest_run().name)


class Streamlit(subprocess.Popen):
    """Runs `code` in place of Streamlit, and keeps the command that would have started it."""

    code = "pass"
    signal_on_wait = None
    started: list["Streamlit"] = []

    def __init__(self, command, env):
        self.command = command
        super().__init__([sys.executable, "-c", self.code])
        self.started.append(self)

    def wait(self, timeout=None):
        if number := self.signal_on_wait:
            self.signal_on_wait = None
            signal.getsignal(number)(number, None)  # sent for real, it might reach this process too late
        return super().wait(timeout)


@pytest.fixture
def streamlit(monkeypatch):
    """Replaces Streamlit; returns the class, in whose `started` the processes are."""
    monkeypatch.setattr(server, "subprocess", SimpleNamespace(Popen=Streamlit))
    monkeypatch.setattr(Streamlit, "started", [])
    return Streamlit


def test_the_options_of_streamlit(manifest_run, streamlit):
    server.serve(manifest_run().name, "keras", port=free_port())
    (process,) = streamlit.started
    assert {
        "--server.address=127.0.0.1",
        "--browser.gatherUsageStats=false",
        "--browser.serverAddress=127.0.0.1",
        f"--server.maxUploadSize={server.UPLOAD}",
    } <= set(process.command)
    assert process.command[-4:] == ["--", "stored", "keras", "127.0.0.1"]
    assert Path(process.command[process.command.index("run") + 1]).is_file()


def test_a_failure_of_streamlit_is_an_error(manifest_run, streamlit, monkeypatch):
    monkeypatch.setattr(streamlit, "code", "raise SystemExit(3)")
    with pytest.raises(InputError, match="exit code 3"):
        server.serve(manifest_run().name, port=free_port())


def test_ending_the_command_ends_streamlit(manifest_run, streamlit, monkeypatch):
    monkeypatch.setattr(streamlit, "code", "import time; time.sleep(600)")
    monkeypatch.setattr(streamlit, "signal_on_wait", signal.SIGTERM)
    server.serve(manifest_run().name, port=free_port())
    (process,) = streamlit.started
    assert process.returncode == -signal.SIGTERM


def test_the_graph_has_every_node_with_its_probability(other_tree):
    for tree in (VALENCE, other_tree):
        shares = {leaf: (index + 1) / 50 for index, leaf in enumerate(tree.leaves)}
        graph = tree_graph.dot(tree, shares)
        for branch, leaves in tree.children.items():
            total = sum(shares[leaf] for leaf in leaves)
            assert f'label="{branch}  {total:.2f}", fillcolor="{colour(branch)}"' in graph
            assert f'"{ROUTER}" -> "branch {branch}"' in graph
            for leaf in leaves:
                assert f'label="{leaf}  {shares[leaf]:.2f}", fillcolor="{colour(leaf)}"' in graph
                assert f'"branch {branch}" -> "leaf {leaf}"' in graph
        assert graph.count("->") == len(tree.branches) + len(tree.leaves)


def test_the_page_does_not_load_tensorflow():
    code = "import sys; from hierarchy.apps.web import page; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
