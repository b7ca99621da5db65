"""Addresses are read within limits, and never inside the own network; no test leaves this computer."""

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hierarchy.data import fetch
from hierarchy.errors import InputError

NAME = "faces.test"
CONTENT = b"content" * 1000


class Server(ThreadingHTTPServer):
    """Answers by path; `asked` are the paths, and /waits waits until `released` is set."""

    daemon_threads = True
    context: ssl.SSLContext | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.released = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_address[1]}"

    def get_request(self):
        connection, address = super().get_request()
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True)
        return connection, address

    def handle_error(self, *arguments):
        """A client that hangs up is expected."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *arguments):
        """Nothing is printed."""

    def do_GET(self):
        self.server.asked.append(self.path)
        route, _, query = self.path[1:].partition("?")
        if route == "to":
            self.send_response(302)
            self.send_header("Location", query)
            self.end_headers()
        elif route == "waits":
            self.server.released.wait()
        elif route == "starts":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)
            self.wfile.flush()
            self.server.released.wait()
        else:
            self.send_response(404 if route == "missing" else 200)
            self.end_headers()
            self.wfile.write(CONTENT)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def reachable(server, monkeypatch) -> Server:
    """The server, which counts as public."""
    public = fetch.is_public
    monkeypatch.setattr(fetch, "is_public", lambda ip: ip == "127.0.0.1" or public(ip))
    return server


@pytest.fixture
def resolved(monkeypatch):
    """Lets every name resolve to given addresses."""

    def to(*addresses: str) -> None:
        def getaddrinfo(host, port, *_, **__):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return to


def refused(address: str) -> str:
    with pytest.raises(InputError) as caught:
        fetch.fetch(address)
    assert str(caught.value).startswith(f"{address}: ") and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "path", ["/a.png", "", "/a b/ä.png?x=1&y=ü", "/to?/a.png", "/to?/to?/a.png", "/a.png#part"]
)
def test_the_content_of_an_address(reachable, path):
    assert fetch.fetch(reachable.address + path) == CONTENT


@pytest.fixture
def certificate(tmp_path) -> Path:
    """A key and its self-signed certificate for NAME."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2099, 1, 1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *plain)
        + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_certificates_are_checked_for_the_name(reachable, resolved, certificate, monkeypatch):
    reachable.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    reachable.context.load_cert_chain(certificate)
    resolved("127.0.0.1")
    port = reachable.server_address[1]
    refused(f"https://{NAME}:{port}/a.png")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch.fetch(f"https://{NAME}:{port}/a.png") == CONTENT
    refused(f"https://other.test:{port}/a.png")
    assert reachable.asked == ["/a.png"]


def test_what_is_not_found_is_refused(reachable):
    assert "404" in refused(f"{reachable.address}/missing")


def test_only_so_much_is_read(reachable, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_BYTES", len(CONTENT))
    assert fetch.fetch(reachable.address) == CONTENT
    monkeypatch.setattr(fetch, "MAX_BYTES", len(CONTENT) - 1)
    refused(reachable.address)


@pytest.mark.parametrize("path", ["waits", "starts"])
def test_an_answer_that_does_not_end_is_refused(reachable, monkeypatch, path):
    monkeypatch.setattr(fetch, "SECONDS", 0.2)
    refused(f"{reachable.address}/{path}")


def test_only_so_many_redirects_are_followed(reachable):
    refused(f"{reachable.address}/to?" * 7)
    reachable.asked.clear()
    refused(f"{reachable.address}/to?/to")
    assert len(reachable.asked) == fetch.REDIRECTS + 1


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/hostname",
        "ftp://127.0.0.1/a.png",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/a.png",
        "http://[::1]/a.png",
        "//192.168.0.1/a.png",
        "gopher:x",
    ],
)
def test_a_redirect_out_of_the_public_web_is_refused(reachable, target):
    assert target.split("/")[-1] in refused(f"{reachable.address}/to?{target}")
    assert len(reachable.asked) == 1


def test_this_computer_is_not_asked(server):
    port = server.server_address[1]
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"):
        refused(f"http://{host}:{port}/a.png")
    assert not server.asked


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "0.0.0.0"]
)
def test_a_name_of_a_private_address_is_refused(resolved, ip):
    resolved("1.1.1.1", ip)
    assert ip in refused("https://example.org/a.png")


def test_the_connection_goes_to_the_checked_address(resolved, monkeypatch):
    connections = []

    def connect(address, timeout):
        connections.append(address)
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", connect)
    resolved("1.1.1.1", "8.8.8.8")
    assert "no route" in refused("https://example.org/a.png")
    assert connections == [("1.1.1.1", 443), ("8.8.8.8", 443)]


@pytest.mark.parametrize("ip", ["1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(ip):
    assert fetch.is_public(ip)


@pytest.mark.parametrize(
    "ip",
    ["::1", "::", "fe80::1", "fc00::1", "ff02::1", "224.0.0.1", "100.64.0.1", "255.255.255.255", "240.0.0.1"]
    + ["::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1"],
)
def test_other_addresses(ip):
    assert not fetch.is_public(ip)


@pytest.mark.parametrize(
    "address", ["http://", "https:///a.png", "http://a:b/", "http://[::1/", "http://a..b/x"]
)
def test_a_malformed_address_is_refused(address):
    refused(address)
