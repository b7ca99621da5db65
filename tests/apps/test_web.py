"""The page in a real browser, its camera fed from a file: upload, answer, stream, and refusals in words."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import pytest

import tf_model
from hierarchy.apps.web import server, tree_graph
from hierarchy.errors import InputError
from hierarchy.taxonomy import BRANCHES, LEAVES, TREE
from hierarchy.vision.video import Video

DOOR = Path(tf_model.__file__)
SAMPLES = DOOR.parent / "samples"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PATIENCE = 120  # seconds that a busy machine may take
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --use-fake-device-for-media-stream"
    " --use-fake-ui-for-media-stream --window-size=1300,1400"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


@pytest.fixture(scope="module")
def address():
    """The page of the shipped run, served as `app` serves it."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "HIERARCHY_HOME"}
    command = [sys.executable, str(DOOR), "app", "--port", str(port)]
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    deadline = time.monotonic() + PATIENCE
    while not listens(port) and time.monotonic() < deadline:
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    os.killpg(server.pid, signal.SIGINT)
    said, _ = server.communicate(timeout=PATIENCE)
    assert server.returncode == 0 and "Traceback" not in said.decode()


@pytest.fixture(scope="module")
def page(address, tmp_path_factory):
    """A browser that has opened the page."""
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
    """What a visitor does."""

    def __init__(self, browser) -> None:
        self.browser = browser

    def wait(self, there):
        """Until `there()` is true; its value."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, PATIENCE).until(lambda _: there())

    def all(self, selector: str) -> list:
        return self.browser.find_elements("css selector", selector)

    def text(self) -> str:
        return self.browser.find_element("css selector", "body").text

    def says(self, *words: str) -> None:
        self.wait(lambda: all(word in self.text() for word in words))

    def tab(self, name: str) -> None:
        self.wait(lambda: [tab for tab in self.all("[role=tab]") if tab.text == name])[0].click()

    def upload(self, file: Path) -> None:
        self.wait(lambda: self.all("[role=tabpanel]:not([hidden]) input[type=file]"))[0].send_keys(str(file))

    def press(self, name: str) -> None:
        self.wait(lambda: [b for b in self.all("button") if b.text.strip().lower() == name.lower()])[
            0
        ].click()


def test_an_uploaded_portrait_is_answered(page):
    page.tab("Pictures")
    page.upload(SAMPLES / "portrait.jpg")
    page.says("Face 1: positive > neutral", "Download CSV", "Download picture")
    drawn = page.wait(lambda: page.all("[role=tabpanel] svg g.node"))
    assert len(drawn) == 1 + len(BRANCHES) + len(LEAVES)
    assert page.all("[data-testid=stImage] img")
    assert "not what a person feels" in page.text()


def test_a_bad_file_is_refused_in_words_and_the_others_stay(page, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    page.upload(bad)
    page.says("bad.png: not a picture", "Face 1: positive > neutral")


def test_a_video_is_followed(page):
    page.tab("Video")
    page.upload(SAMPLES / "clip.mp4")
    page.says("Download timeline", "Download video")
    page.wait(lambda: page.browser.execute_script("return document.querySelector('video').videoWidth > 0"))


def test_a_snapshot_is_answered(page):
    page.tab("Snapshot")
    page.press("Take Photo")
    page.says("snapshot.jpg", "Face 2")


def test_a_live_stream_is_answered(page):
    page.tab("Live camera")
    frame = page.wait(lambda: [frame for frame in page.all("iframe") if frame.is_displayed()])[0]
    page.browser.switch_to.frame(frame)
    page.press("start")
    page.browser.switch_to.default_content()
    page.says("frames answered", "> neutral", "> happy")


def test_the_page_listens_on_this_machine_alone(address):
    port = int(address.rpartition(":")[2])
    others = [where[4][0] for where in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    assert listens(port)
    assert not any(listens(port, other) for other in others if not other.startswith("127."))


VISIT = """
import sys
from streamlit.testing.v1 import AppTest
page = f"from hierarchy.apps.web import page; page.page({sys.argv[1]!r})"
shown = AppTest.from_string(page, default_timeout=100).run()
print(*(f"{part.type}: {part.value}" for part in (*shown.exception, *shown.error, *shown.warning)), sep="\\n")
print(*(tab.label for tab in shown.tabs), sep="\\n")
"""


def visit(run: str) -> list[str]:
    """What the page says without a server, in a process that has not loaded TensorFlow before it.

    Only the live stream misses the server, and fails.
    """
    done = subprocess.run([sys.executable, "-c", VISIT, run], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")


def test_a_run_of_drawn_faces_is_said_to_be_one(tiny_run):
    tiny_run.amend({"data": {"source": "sketch"}})
    said = visit(tiny_run.name)
    assert any(line.startswith("warning: Run tiny learned from drawn faces") for line in said)
    assert "Pictures" in said


def test_a_run_that_is_not_there_is_said_on_the_page():
    said = visit("nowhere")
    assert said[0].startswith("error: ") and "nowhere" in said[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"run": "nowhere"}, "nowhere"),
        ({"engine": "onyx"}, "engine 'onyx': allowed are auto"),
        ({"address": "192.0.2.1"}, "--address 192.0.2.1 --port .*; allowed is an address of this machine"),
        ({"address": "no such host"}, "--address no such host"),
        ({"taken": True}, "--port .*in use"),
    ],
)
def test_what_cannot_be_served_is_refused(tiny_run, wrong, said):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = wrong.pop("taken", False)
        port = other.getsockname()[1] if taken else free_port()
        with pytest.raises(InputError, match=said):
            server.serve(**{"run": tiny_run.name, "port": port} | wrong)


def test_without_streamlit_the_install_line_is_named(tiny_run, monkeypatch):
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="streamlit: pip install -r requirements.txt"):
        server.serve(tiny_run.name)


@pytest.fixture
def told(monkeypatch):
    """The command that would start the page; in its stead one that does what a test asks for."""
    told, start = ["pass"], subprocess.Popen

    def other(command):
        code = told.pop()
        told.extend(command)
        return start([sys.executable, "-c", code])

    monkeypatch.setattr(server.subprocess, "Popen", other)
    return told


def test_what_streamlit_is_told(tiny_run, told):
    server.serve(tiny_run.name, "keras", port=free_port())
    assert "--server.address=127.0.0.1" in told and "--browser.gatherUsageStats=false" in told
    assert f"--server.maxUploadSize={server.UPLOAD}" in told and told[-3:] == ["--", tiny_run.name, "keras"]


def test_a_page_that_fails_is_no_success(tiny_run, told):
    told[:] = ["raise SystemExit(3)"]
    with pytest.raises(InputError, match=r"the page ended by itself \(Streamlit's exit code 3\)"):
        server.serve(tiny_run.name, port=free_port())


def test_who_ends_the_command_ends_the_page(tiny_run, told, tmp_path):
    told[:] = [
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    ]
    threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    server.serve(tiny_run.name, port=free_port())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_tree_is_drawn_with_every_probability():
    shares = {leaf: (index + 1) / 21 for index, leaf in enumerate(LEAVES)}
    drawn = tree_graph.dot(shares)
    for branch, leaves in TREE.items():
        assert f"{branch}  {sum(shares[leaf] for leaf in leaves):.2f}" in drawn
        assert all(f"{leaf}  {shares[leaf]:.2f}" in drawn for leaf in leaves)


def test_the_page_does_not_load_tensorflow():
    code = "import sys; from hierarchy.apps.web import page; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
