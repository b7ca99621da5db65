"""The content of an http(s) address, for callers that asked for it: limited in size, time and redirects.

Only public addresses are read. A host is resolved once, all its addresses are checked, and the connection
goes to one of these, so that neither a name nor a redirect leads into the network of this computer. Proxies
named in the environment are not used: they would resolve the name again.
"""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from hierarchy.errors import InputError

MAX_BYTES: Final = 50 * 2**20
SECONDS: Final = 20.0  # for everything: connections, redirects and content
REDIRECTS: Final = 5
PORTS: Final = {"http": 80, "https": 443}
_REDIRECTED: Final = (301, 302, 303, 307, 308)
_UNQUOTED: Final = "/%:=&?~+!$,;'@()*[]"  # whatever else occurs in a path is percent-encoded
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # IPv6 addresses that hold an IPv4 address


def fetch(address: str) -> bytes:
    """The content of an address.

    Raises:
        InputError: not http(s), not public, redirected to such an address, no connection, an answer that is
            not 200, more than MAX_BYTES, or not complete after SECONDS.
    """
    target = address
    with _watched() as watch:
        try:
            for _ in range(REDIRECTS + 1):
                response = _response(target, watch)
                if response.status not in _REDIRECTED:
                    return _content(response, watch)
                target = urljoin(target, response.getheader("Location") or "")
            raise InputError(f"more than {REDIRECTS} redirects")
        except (OSError, HTTPException, ValueError) as error:  # ValueError: InputError, malformed addresses
            reason = f"no complete answer in {SECONDS:g} s" if watch.over else str(error) or repr(error)
            redirected = "" if target == address else f"redirected to {target[:80]!r}: "
            raise InputError(f"{address}: {redirected}{reason}") from None


def is_public(ip: str) -> bool:
    """Whether an IP address is on the public internet: not private, loopback, link-local or reserved."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        inner = ipaddress.IPv4Address(int(address) % 2**32) if address in _NAT64 else inner
        address = inner or address
    return address.is_global and not address.is_multicast


class _Watch:
    """The open connections, which are cut when the time is up, and what has to be closed in the end."""

    def __init__(self, closing: ExitStack) -> None:
        self.over = False
        self.closing = closing
        self.sockets: list[socket.socket] = []

    def add(self, connection: socket.socket) -> None:
        self.sockets.append(self.closing.enter_context(connection))
        if self.over:
            self.cut()

    def cut(self) -> None:
        self.over = True
        for connection in self.sockets:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for it


@contextmanager
def _watched() -> Iterator[_Watch]:
    """Connections added inside are closed with the block, and cut after SECONDS."""
    with ExitStack() as closing:
        watch = _Watch(closing)
        timer = threading.Timer(SECONDS, watch.cut)
        timer.daemon = True
        timer.start()
        closing.callback(timer.cancel)
        yield watch


class _Connection(HTTPConnection):
    """A connection to a checked address of the host."""

    def __init__(self, scheme: str, host: str, port: int | None, watch: _Watch) -> None:
        self.default_port = PORTS[scheme]
        super().__init__(host, port or self.default_port, timeout=SECONDS)
        self.secure, self.watch = scheme == "https", watch

    def connect(self) -> None:
        self.sock = _connected(self.host, self.port)
        self.watch.add(self.sock)
        if self.secure:
            self.sock = ssl.create_default_context().wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.watch.add(self.sock)
            self.sock.do_handshake()


def _connected(host: str, port: int) -> socket.socket:
    addresses = [str(place[0]) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if refused := [ip for ip in addresses if not is_public(ip)]:
        raise InputError(f"{host} is {refused[0]}, not a public address")
    for ip in addresses[:-1]:
        with suppress(OSError):  # for example no route for IPv6
            return socket.create_connection((ip, port), SECONDS)
    return socket.create_connection((addresses[-1], port), SECONDS)


def _response(target: str, watch: _Watch) -> HTTPResponse:
    parts = urlsplit(target)
    if parts.scheme not in PORTS or not parts.hostname:
        raise InputError(
            f"expected an address that starts with {' or '.join(f'{name}://' for name in PORTS)}"
        )
    connection = _Connection(parts.scheme, parts.hostname, parts.port, watch)
    path = quote(parts.path or "/", _UNQUOTED) + (f"?{quote(parts.query, _UNQUOTED)}" if parts.query else "")
    connection.request("GET", path, headers={"User-Agent": "two-tier-expressions", "Accept": "image/*"})
    return watch.closing.enter_context(connection.getresponse())


def _content(response: HTTPResponse, watch: _Watch) -> bytes:
    if response.status != 200:
        raise InputError(f"the server answered {response.status} {response.reason[:80]}".rstrip())
    content = bytearray()
    while chunk := response.read1(2**16):
        content += chunk
        if len(content) > MAX_BYTES:
            raise InputError(f"more than {MAX_BYTES // 2**20} MB")
    if watch.over:
        raise InputError("cut")
    return bytes(content)
