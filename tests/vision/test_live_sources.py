"""A camera or stream that ends or stalls is opened again, and its end is an error."""

import functools
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from hierarchy.vision import video
from hierarchy.vision.video import SourceLost, Video
from hierarchy.vision.video_writer import Writer

SIZE = (64, 48)  # width, height
FRAMES = 300  # more than FFmpeg reads to learn about a stream


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> bytes:
    """A transport stream of FRAMES frames, each by itself."""
    path = tmp_path_factory.mktemp("live") / "a.ts"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg2video", 25)
        stream.width, stream.height = SIZE
        stream.codec_context.gop_size = 1
        for number in range(FRAMES):
            picture = np.full((SIZE[1], SIZE[0], 3), number % 256, np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        target.mux(stream.encode())
    return path.read_bytes()


@pytest.fixture
def serve(monkeypatch):
    """Serves what a list of functions does with each connection in turn; later ones are refused."""
    monkeypatch.setattr(video, "PAUSE", 0.01)
    with ExitStack() as stack:

        def start(*answers: Callable[[BaseHTTPRequestHandler], None]) -> str:
            left = iter(answers)

            class Handler(BaseHTTPRequestHandler):
                def do_GET(self):
                    next(left, refusing)(self)

                def log_message(self, *_):
                    pass

            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/a.ts"

        yield start


def sending(data: bytes, length: int | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    """Sends data, by default of unknown length, and closes the connection."""

    def send(handler):
        handler.send_response(200)
        if length:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(data)

    return send


def refusing(handler: BaseHTTPRequestHandler) -> None:
    """Answers that there is nothing."""
    handler.send_error(404)


def until_back(opened: Video) -> tuple[float, float]:
    """The first gap of a source."""
    return next(frame.gap for frame in opened if frame.gap)


@pytest.mark.parametrize("part", [1, 0.5])
def test_a_stream_that_ends_or_breaks_is_opened_again(serve, recording, logged, part):
    data = recording[: int(part * len(recording))]
    url = serve(sending(data), refusing, refusing, sending(recording))
    with Video(url) as opened:
        assert opened.live and opened.count is None and opened.size == SIZE
        begin, end = until_back(opened)
        assert 0 <= begin < end
    assert [url in message for message in logged.messages[:2]] == [True, True]


def test_a_stream_that_stalls_is_opened_again(serve, recording):
    released = threading.Event()

    def stall(handler):
        sending(recording[:-1000])(handler)
        released.wait(60)

    with Video(serve(stall, sending(recording)), timeout=1) as opened:
        until_back(opened)
        released.set()


def test_the_end_of_a_stream_is_an_error_after_its_frames(serve, recording):
    url = serve(sending(recording))
    frames = []
    with Video(url, reconnect=0) as opened, pytest.raises(SourceLost, match=url):
        frames.extend(opened)
    assert frames and frames[-1].number < FRAMES


def test_a_file_at_a_url_has_an_end(serve, tmp_path):
    path = tmp_path / "a.mkv"
    with Video(str(Path(__file__).parents[2] / "samples" / "clip.mp4")) as source:
        with Writer(path, source.rate, source.size) as writer:
            for frame in source:
                writer.add(frame.picture, frame.time)
    clip = path.read_bytes()
    for part in (1.0, 0.9):
        with Video(serve(sending(clip[: int(part * len(clip))], len(clip)))) as opened:
            assert not opened.live and opened.count == 50
            frames = list(opened)
        assert bool(opened.defect) == (len(frames) < 50) == (part < 1)


@functools.cache
def gstreamer() -> str | None:
    """A Python with GStreamer's bindings and what the server needs of it."""
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); gi.require_version('Gst', '1.0')\n"
    code += "from gi.repository import Gst; Gst.init(None); Gst.ElementFactory.make('rtpjpegpay').name"
    for python in (sys.executable, "/usr/bin/python3"):
        if Path(python).exists() and not subprocess.run([python, "-c", code], capture_output=True).returncode:
            return python
    return None


class OnLoss(logging.Handler):
    """Calls a function when a source is lost."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act = act

    def emit(self, record: logging.LogRecord) -> None:
        if "lost" in record.getMessage():
            self.act()


@pytest.fixture
def camera():
    """Starts RTSP servers, on any port or a given one; returns process and port."""
    if gstreamer() is None:
        pytest.skip("GStreamer's RTSP server is not installed")
    with ExitStack() as stack:

        def start(port: int = 0) -> tuple[subprocess.Popen, int]:
            command = [gstreamer(), str(Path(__file__).parent / "rtsp_server.py"), str(port)]
            server = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(server.kill)
            return server, int(server.stdout.readline())

        yield start


@pytest.fixture
def on_loss():
    """Registers what to do when a source is lost."""
    with ExitStack() as stack:

        def register(act: Callable[[], object]) -> None:
            handler = OnLoss(act)
            video.log.addHandler(handler)
            stack.callback(video.log.removeHandler, handler)

        yield register


@pytest.mark.slow
def test_an_rtsp_camera_that_dies_and_one_that_hangs_are_opened_again(camera, on_loss):
    server, port = camera()
    with Video(f"rtsp://127.0.0.1:{port}/live", timeout=3) as opened:
        assert opened.live and opened.size == SIZE
        frames = iter(opened)
        first = next(frames)
        servers = [server]
        on_loss(lambda: servers.append(camera(port)[0]) if servers[-1].poll() is not None else None)
        server.kill()
        server.wait()
        begin, end = until_back(opened)
        assert first.time <= begin < end
        on_loss(lambda: os.kill(servers[-1].pid, signal.SIGCONT))
        os.kill(servers[-1].pid, signal.SIGSTOP)
        until_back(opened)
        opened.reconnect = 0
        servers[-1].kill()
        with pytest.raises(SourceLost):
            list(opened)
