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
import numpy as np
import psutil
import pytest
import websocket
from visitor import TIMEOUT, Visitor, free_port, listens, serving

import tf_model
from hierarchy import runs
from hierarchy.apps.web import limits, server, tree_graph, videos
from hierarchy.apps.web.examples import CLIP, EXAMPLES, Source
from hierarchy.apps.web.plain_text import plain
from hierarchy.apps.web.settings import Settings
from hierarchy.classifier import HierarchicalClassifier
from hierarchy.errors import InputError
from hierarchy.evaluation import selective
from hierarchy.taxonomy import ROUTER, VALENCE, colour, ink
from hierarchy.vision.detectors import AUTO, STILL
from hierarchy.vision.labels import percent
from hierarchy.vision.video import Video

MAIN = Path(tf_model.__file__)
SAMPLES = MAIN.parent / "samples"
SHIPPED = ("duo", "fer2013", "full", "small")
SETTINGS = Settings(runs.DEFAULT_RUN, 0.0, AUTO, STILL)
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


DEEP = """return [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")]
    .flatMap(host => [...(host.shadowRoot?.querySelectorAll(arguments[0]) ?? [])])"""
AXE = "const done = arguments[arguments.length - 1]; axe.run({iframes: false}).then(done)"


class Page:
    """Actions of a visitor."""

    def __init__(self, browser) -> None:
        self.browser = browser

    def wait(self, condition):
        """Wait until `condition()` is true; return its value; what was replaced is looked for again."""
        from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        waiting = WebDriverWait(self.browser, TIMEOUT, ignored_exceptions=[StaleElementReferenceException])
        try:
            return waiting.until(lambda _: condition())
        except TimeoutException:
            pytest.fail(f"waited {TIMEOUT} s; the page shows:\n{self.text()}")

    def act(self, elements, action) -> None:
        """Do something with the first of `elements()`, once there is one."""
        self.wait(lambda: [action(element) or True for element in elements()[:1]])

    def all(self, selector: str) -> list:
        return self.browser.find_elements("css selector", selector)

    def deep(self, selector: str) -> list:
        """What is displayed by elements of our own."""
        return [one for one in self.browser.execute_script(DEEP, selector) if one.is_displayed()]

    def text(self) -> str:
        return self.browser.find_element("css selector", "body").text

    def shows(self, *words: str) -> None:
        """Wait for words, on the page or in elements of our own."""
        self.wait(
            lambda: all(
                word in "\n".join([self.text(), *(one.text for one in self.deep(".root"))]) for word in words
            )
        )

    def tab(self, name: str) -> None:
        self.act(lambda: [tab for tab in self.all("[role=tab]") if tab.text == name], self.click)

    def upload(self, *files: Path) -> None:
        names = "\n".join(map(str, files))
        self.wait(lambda: self.all("[role=tabpanel]:not([hidden]) input[type=file]"))[0].send_keys(names)

    def press(self, name: str) -> None:
        """Click a button, of whichever kind."""
        buttons = lambda: [*self.all("button"), *self.deep("button")]  # noqa: E731
        self.act(
            lambda: [b for b in buttons() if b.text.strip().lower() == name.lower()],
            lambda button: button.click(),
        )

    def pick(self, name: str) -> None:
        """Click a picture of a strip."""
        self.act(lambda: [item for item in self.deep(".item") if name in item.text], self.click)

    def click(self, element) -> None:
        """Click an element, wherever the page is scrolled to."""
        self.browser.execute_script("arguments[0].click()", element)

    def headline(self) -> str:
        return self.wait(lambda: [heading.text for heading in self.deep("h2")])[0]

    def slide(self, key: str) -> None:
        """Press a key on the slider."""
        self.act(lambda: self.all("[data-testid=stSlider] input"), lambda slider: slider.send_keys(key))

    def quiet(self) -> None:
        """Wait until nothing is computed."""
        self.wait(lambda: not self.all("[data-testid=stStatusWidget], [data-stale=true]"))

    def emulate(self, scheme: str, width: int) -> None:
        """Another theme and width of the screen."""
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        size = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def barriers(self) -> list[str]:
        """What axe-core finds that is serious, for people who read by keyboard or screen reader."""
        from axe_core_python.base import AXE_SCRIPT

        self.quiet()
        self.browser.execute_script(AXE_SCRIPT)
        found = self.browser.execute_async_script(AXE)["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        return [f"{each['id']}: {node['html']}" for each in serious for node in each["nodes"]]


def test_an_example_is_answered_before_anything_is_clicked(page):
    assert page.headline().startswith("happy")
    page.shows("positive > happy", "not what a person feels", "Download table", "Download drawing")
    assert page.barriers() == []
    page.pick("Two people")
    page.wait(lambda: len(page.deep(".card")) == 2)
    page.pick("Drawings")
    page.wait(lambda: len(page.deep(".item")) > len(EXAMPLES))


def test_face_and_card_light_up_together(page):
    from selenium.webdriver import ActionChains

    page.pick("Two people")
    page.wait(lambda: len(page.deep(".spot")) == 2)
    page.quiet()
    ActionChains(page.browser).move_to_element(page.deep(".card")[1]).perform()
    page.wait(lambda: "lit" in page.deep(".spot")[1].get_attribute("class"))
    page.deep(".spot")[0].click()
    page.wait(lambda: page.deep(".card:focus .chip")[0].text == "1")


def test_a_tree_and_a_heat_map_are_shown_on_demand(page):
    page.press("Tree and heat map")
    drawn = page.wait(lambda: page.all("[role=dialog] svg g.node"))
    assert len(drawn) == 1 + len(VALENCE.branches) + len(VALENCE.leaves)
    page.wait(lambda: page.all("[role=dialog] img[alt^=Heat]"))
    assert page.barriers() == []
    page.all("[role=dialog] button[aria-label=Close]")[0].click()
    page.wait(lambda: not page.all("[role=dialog]"))


def test_the_slider_hides_what_is_less_sure(page, monkeypatch):
    from selenium.webdriver.common.keys import Keys

    monkeypatch.setenv("HIERARCHY_HOME", str(MAIN.parent))
    at_first = selective.chosen(selective.selections(runs.run(runs.DEFAULT_RUN).manifest()))
    assert page.all("[data-testid=stSlider] input")[0].get_attribute("value") == f"{100 * at_first:.0f}"
    page.slide(Keys.END)
    page.wait(lambda: ", unsure" in page.headline() and "happy" not in page.headline())
    page.slide(Keys.HOME)
    page.wait(lambda: "unsure" not in page.headline())


def test_an_uploaded_portrait_is_predicted_by_any_stored_run(page):
    page.upload(SAMPLES / "portrait.jpg")
    page.wait(lambda: not page.deep(".strip") and page.headline().startswith("neutral"))
    share = page.headline()
    labels = {label.text.split()[0]: label for label in page.all("[role=radiogroup] label") if label.text}
    assert set(labels) >= set(SHIPPED)
    labels["small"].click()
    page.wait(lambda: page.headline() != share)


def test_a_bad_file_is_reported_and_the_others_stay(page, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("not an image")
    page.upload(bad, SAMPLES / "sketch_happy.png")
    page.shows("bad.png: ", "portrait.jpg", "sketch_happy.png")
    page.pick("sketch_happy")
    page.wait(lambda: page.headline().startswith("happy"))


def test_a_crowd_has_its_cards_in_pages(page, tmp_path):
    """The cards of 60 faces at a time, so that thousands are no burden; a click on a face turns the page."""
    face = cv2.imread(str(SAMPLES / "astronaut.jpg"))[10:195, 160:290]
    cv2.imwrite(str(tmp_path / "crowd.png"), np.tile(cv2.copyMakeBorder(face, *[9] * 4, 0), (7, 9, 1)))
    page.upload(tmp_path / "crowd.png")
    page.pick("crowd.png")
    page.wait(lambda: page.headline().startswith("63 faces") and len(page.deep(".spot")) == 63)
    assert len(page.deep(".card")) == 60
    page.click(page.deep(".spot")[62])
    page.wait(lambda: page.deep(".card:focus .chip")[0].text == "63")
    assert page.barriers() == []


@pytest.fixture
def emulated(page):
    """The page, wide and light again after the test."""
    yield page
    page.emulate("light", 1300)


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1300), ("dark", 400), ("light", 400)])
def test_dark_and_narrow_pages_have_no_barriers(emulated, scheme, width):
    page = emulated
    page.emulate(scheme, width)
    page.pick("portrait.jpg")
    page.wait(lambda: page.headline().startswith("neutral"))
    assert page.barriers() == []
    across = page.browser.execute_script("return document.documentElement.scrollWidth")
    card = page.deep(".card")[0].rect
    assert across <= width and card["x"] >= 0 and card["x"] + card["width"] <= width


def test_a_video_is_followed_and_its_timeline_seeks_it(page):
    from selenium.webdriver.common.keys import Keys

    film = "return document.querySelector('video')"
    page.tab("Video")
    page.press("Or try the example")
    page.shows("Download timeline", "Download video", "Face 2")
    page.wait(lambda: page.browser.execute_script(f"{film}.readyState > 0"))
    chart = page.deep("svg[role=slider]")[0]
    chart.click()
    assert page.browser.execute_script(f"{film}.currentTime") == pytest.approx(1, abs=0.2)
    chart.send_keys(Keys.HOME)
    page.wait(lambda: page.browser.execute_script(f"{film}.currentTime") == 0)
    assert "neutral" in chart.get_attribute("aria-valuetext")
    assert page.barriers() == []
    page.upload(SAMPLES / "clip.mp4")
    page.shows("clip.mp4", "Download timeline")


def test_a_snapshot_is_predicted(page):
    page.tab("Snapshot")
    page.press("Take Photo")
    page.wait(lambda: page.headline().startswith("2 faces"))
    assert page.barriers() == []


def test_a_live_stream_is_predicted(page):
    from selenium.webdriver.common.keys import Keys

    page.slide(Keys.HOME)
    page.tab("Live camera")
    page.quiet()
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
    smile = (SAMPLES / "astronaut.jpg").read_bytes()
    with Visitor(running) as visitor:
        visitor.run()
        assert visitor.upload("Pictures", {name: b"x", "good.jpg": smile}) == [204, 204]
        texts = visitor.run().texts()
    shown = name.replace("\u202e", "\\u202e")
    assert any(text.startswith(f"``` {shown}: ") for text in texts)
    assert any("Face 1: positive > happy" in text for text in texts)


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
    with pytest.raises(Left):
        videos._answer(HierarchicalClassifier.load(), SETTINGS, Source("", "clip.mp4", CLIP.read_bytes()))
    assert limits.FILMS._value == 2


def test_a_video_of_too_many_frames_is_refused(monkeypatch):
    monkeypatch.setenv("HIERARCHY_HOME", str(MAIN.parent))
    bar = SimpleNamespace(progress=lambda *_: None, empty=lambda: None)
    monkeypatch.setattr(videos.st, "progress", lambda share: bar)
    monkeypatch.setattr(videos, "FRAMES", 2)
    source = Source("", "clip.mp4", CLIP.read_bytes())
    assert "clip.mp4: too long" in videos._answer(HierarchicalClassifier.load(), SETTINGS, source)["error"]


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
    assert "Pictures" in lines


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
            assert f'label="{branch}  {percent(total)}", fillcolor="{colour(branch)}"' in graph
            assert f'"{ROUTER}" -> "branch {branch}"' in graph
            for leaf in leaves:
                assert f'label="{leaf}  {percent(shares[leaf])}", fillcolor="{colour(leaf)}"' in graph
                assert f'fontcolor="{ink(colour(leaf))}"' in graph
                assert f'"branch {branch}" -> "leaf {leaf}"' in graph
        assert graph.count("->") == len(tree.branches) + len(tree.leaves)


def test_the_page_does_not_load_tensorflow():
    code = "import sys; from hierarchy.apps.web import page; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
