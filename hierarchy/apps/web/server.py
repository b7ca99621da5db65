"""Starts the web page: a Streamlit process, by default reachable from this machine only."""

import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hierarchy import runs, runtimes
from hierarchy.apps.listening import listening
from hierarchy.errors import InputError, require
from hierarchy.models.keras_backend import KERAS_BACKEND

APPLICATION: Final = Path(__file__).with_name("asgi.py")
PORT: Final = 8501  # Streamlit's own
UPLOAD: Final = 100  # megabytes; largest file
LEFT: Final = 10  # seconds until the files of a visit that ended are forgotten


def serve(
    run: str,
    engine: str = runtimes.AUTO,
    address: str = "127.0.0.1",
    port: int = PORT,
    hosts: Sequence[str] = (),
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        run: name of a run.
        engine: what runs its nets, see `hierarchy.runtimes`.
        address: of the interface to listen on; Streamlit's default would be all of them.
        port: to listen on.
        hosts: names under which browsers may ask, see `apps.guard`.

    Raises:
        InputError: no such run or engine, Streamlit is missing or fails, or the address is in use.
    """
    runtimes.nets(runs.run(run), KERAS_BACKEND, engine)
    require("streamlit", "streamlit_webrtc")
    listening(address, port).close()  # before Streamlit starts
    flags = [f"--{name}={value}" for name, value in _options(address, port).items()]
    names = [run, engine, address, *hosts]
    command = [sys.executable, "-m", "streamlit", "run", str(APPLICATION), *flags, "--", *names]
    # each run of the page has a thread: its heap, and freed buffers of images, would hold their peaks
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops Streamlit too
    try:
        with subprocess.Popen(command, env=environment) as server:
            try:
                code = server.wait()
            finally:
                server.terminate()
                server.wait()
    except KeyboardInterrupt:
        return  # the regular end
    finally:
        signal.signal(signal.SIGTERM, before)
    if code:
        raise InputError(f"Streamlit failed with exit code {code}; see its messages above")


def _options(address: str, port: int) -> dict[str, object]:
    """Streamlit's options. It looks up its own addresses unless it is given one for browsers."""
    return {
        "server.address": address,
        "server.port": port,
        "server.headless": "true",
        "server.maxUploadSize": UPLOAD,
        "server.maxWidgetStateSize": 1,
        "server.disconnectedSessionTTL": LEFT,
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "server.showEmailPrompt": "false",
        "server.fileWatcherType": "none",
        "browser.serverAddress": "localhost" if _every_interface(address) else address,
        "browser.gatherUsageStats": "false",
        "logger.level": "error",  # it warns, with a traceback, of what visitors send against its protocol
        "theme.dark.primaryColor": "#ff7d86",  # Streamlit's own is too dark for text (WCAG AA)
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
    }


def _every_interface(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False
