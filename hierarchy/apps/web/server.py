"""Starts the web page: a Streamlit process, by default reachable from this machine only."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from hierarchy import runs, runtimes
from hierarchy.errors import InputError, require
from hierarchy.models.keras_backend import KERAS_BACKEND

PAGE: Final = Path(__file__).with_name("page.py")
PORT: Final = 8501  # Streamlit's own
UPLOAD: Final = 100  # megabytes; largest file


def serve(run: str, engine: str = runtimes.AUTO, address: str = "127.0.0.1", port: int = PORT) -> None:
    """Serve the page until Ctrl-C.

    Args:
        run: name of a run.
        engine: what runs its nets, see `hierarchy.runtimes`.
        address: of the interface to listen on; Streamlit's default would be all of them.
        port: to listen on.

    Raises:
        InputError: no such run or engine, Streamlit is missing or fails, or the address is in use.
    """
    runtimes.nets(runs.run(run), KERAS_BACKEND, engine)
    require("streamlit", "streamlit_webrtc")
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
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops Streamlit too
    try:
        with subprocess.Popen(command) as server:
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


def _check_free(address: str, port: int) -> None:
    try:
        family, *_, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(where[:2], family=family).close()
    except OSError as error:
        raise InputError(
            f"--address {address} --port {port}: {error.strerror}; expected a free port of this machine"
        ) from None
