"""The page and the service that the cases share, each started once; and bytes for them."""

import atexit
import contextlib
import shutil
import socket
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

from harness import ROOT

sys.path.append(str(ROOT / "tests" / "apps"))
from visitor import Server, serving

_STARTING = threading.Lock()


def shared(command: str) -> Server:
    """`app` or `serve`, for all cases of this process."""
    with _STARTING:
        return _started(command)


@cache
def _started(command: str) -> Server:
    folder = Path(tempfile.mkdtemp(prefix="hostile-server-"))
    stack = contextlib.ExitStack()
    server = stack.enter_context(serving(command, folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(stack.close)
    return server


def raw(port: int, data: bytes, seconds: float = 10) -> bytes:
    """Send bytes and read the beginning of the answer; empty if there is none."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), seconds) as sender:
        with contextlib.suppress(OSError):  # refused in the middle
            sender.sendall(data)
            sender.shutdown(socket.SHUT_WR)
        while len(answer) < 1 << 16 and (chunk := sender.recv(1 << 16)):
            answer += chunk
    return answer
