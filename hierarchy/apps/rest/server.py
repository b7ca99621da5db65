"""Runs the REST service by uvicorn until Ctrl-C or SIGTERM; requests in progress are finished."""

import contextlib
import ctypes
import ipaddress
import logging
import signal
import warnings
from typing import Final

import uvicorn
from PIL import Image

from hierarchy.apps.broken_http import refuse_quietly
from hierarchy.apps.listening import listening
from hierarchy.apps.rest.app import create_app
from hierarchy.apps.rest.logs import log_as_json
from hierarchy.apps.rest.settings import TOKEN_VARIABLE, Settings

PORT: Final = 8000
CONNECTIONS: Final = 16  # times the requests at the same time, open at most
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3  # of glibc's malloc.h
log = logging.getLogger(__name__)


def serve(settings: Settings, address: str = "127.0.0.1", port: int = PORT) -> None:
    """Serve until Ctrl-C or SIGTERM; prints the address on stdout when it listens.

    Args:
        settings: of the service.
        address: of the interface to listen on.
        port: to listen on; 0: any free one.

    Raises:
        InputError: as of `create_app`, or the address cannot be listened on.
    """
    _share_memory()
    refuse_quietly()
    warnings.simplefilter("error", Image.DecompressionBombWarning)  # refused as too large
    listener = listening(address, port)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # the end is the same as by Ctrl-C
    try:
        with listener:
            config = _configured(settings)
            log_as_json()  # not before: why it cannot start is for a person
            host, bound = listener.getsockname()[:2]
            _warn(address, settings)
            print(f"http://{f'[{host}]' if ':' in host else host}:{bound}", flush=True)
            uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        return  # the regular end
    finally:
        signal.signal(signal.SIGTERM, before)


def _share_memory() -> None:
    """Let threads allocate from two heaps, and buffers of images from none: heaps hold their peaks."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library than glibc
        malloc = ctypes.CDLL(None)
        malloc.mallopt(_ARENA_MAX, 2)
        malloc.mallopt(_MMAP_THRESHOLD, 1 << 20)


def _configured(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        http="h11",
        ws="none",
        limit_concurrency=CONNECTIONS * settings.max_requests,
        timeout_graceful_shutdown=int(settings.timeout) + 1,
    )


def _warn(address: str, settings: Settings) -> None:
    """Log that anybody who reaches the machine may ask."""
    try:
        local = ipaddress.ip_address(address).is_loopback
    except ValueError:
        local = address == "localhost"
    if not local and not settings.token:
        log.warning(f"no token: whoever reaches {address} may ask; set ${TOKEN_VARIABLE}")
