"""Starts the web page: Streamlit in a process of its own, on this machine alone unless told otherwise."""

import importlib.util
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from hierarchy import runs, runtimes
from hierarchy.errors import InputError
from hierarchy.models.keras_backend import KERAS_BACKEND

PAGE: Final = Path(__file__).with_name("web.py")
PORT: Final = 8501  # Streamlit's own
UPLOAD: Final = 100  # megabytes of a file at most


def serve(run: str, engine: str = runtimes.AUTO, address: str = "127.0.0.1", port: int = PORT) -> None:
    """Serve the page until Ctrl-C.

    Args:
        run: name of the run whose nets answer.
        engine: what runs them, see `hierarchy.engines`.
        address: of the interface to listen on; Streamlit's own default would be every one.
        port: to listen on.

    Raises:
        InputError: no such run or engine, Streamlit is missing or fails, or the address is taken.
    """
    runtimes.nets(runs.run(run), KERAS_BACKEND, engine)
    for package in ("streamlit", "streamlit_webrtc"):
        if not importlib.util.find_spec(package):
            raise InputError(f"the page needs {package}: pip install -r requirements.txt")
    _check_free(address, port)
    options = {
        "server.address": address,
        "server.port": port,
        "server.maxUploadSize": UPLOAD,
        "server.showEmailPrompt": "false",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(PAGE), *flags, "--", run, engine]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this ends the page
    try:
        with subprocess.Popen(command) as server:
            try:
                code = server.wait()
            finally:
                server.terminate()
                server.wait()
    except KeyboardInterrupt:
        return  # that is how it ends
    finally:
        signal.signal(signal.SIGTERM, before)
    if code:
        raise InputError(f"the page ended by itself (Streamlit's exit code {code}); its reason stands above")


def _check_free(address: str, port: int) -> None:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        allowed = "allowed is an address of this machine and a free port"
        raise InputError(f"--address {address} --port {port}: {error.strerror}; {allowed}") from None
