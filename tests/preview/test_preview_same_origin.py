"""Requests of other sites are refused, whether for the page or to open its WebSocket."""

import socket

import pytest

pytest.importorskip("viser")

import viser
from websockets.asyncio import server as websockets_server
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from synthforge.errors import ConfigError
from synthforge.preview.page import LocalServer
from synthforge.preview.same_origin import is_own, only_own

OWN = [
    {"Host": "127.0.0.1:8080"},
    {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"},
    {"Host": "localhost:9", "Origin": "http://localhost:9"},
    {"Host": "LocalHost:9", "Origin": "http://localhost:9"},
    {"Host": "[::1]:8080", "Origin": "http://[::1]:8080"},
    {"Host": "10.1.2.3", "Origin": "http://10.1.2.3"},
    {"Host": "faces.lab:80", "Origin": "https://faces.lab:80"},
    {"Host": socket.gethostname(), "Origin": f"http://{socket.gethostname()}"},
]
FOREIGN = [
    {},
    {"Host": ""},
    {"Host": "evil.com:8080"},
    {"Host": "evil.com:8080", "Origin": "http://evil.com:8080"},  # rebound
    {"Host": "127.0.0.1.evil.com"},
    {"Host": "evil.com@127.0.0.1", "Origin": "http://evil.com"},
    {"Host": "127.0.0.1:8080", "Origin": "http://evil.com"},
    {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8081"},
    {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1"},
    {"Host": "127.0.0.1:8080", "Origin": "null"},
    {"Host": "127.0.0.1:8080", "Origin": ""},
    {"Host": "[::1"},
]


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_own(headers):
    assert is_own(Headers(headers), "faces.lab")


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_foreign(headers):
    assert not is_own(Headers(headers), "127.0.0.1")


def test_the_machine_s_name_may_have_capitals(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "Lab-PC")
    assert is_own(Headers({"Host": "lab-pc:8080", "Origin": "http://lab-pc:8080"}), "0.0.0.0")


def test_two_origins_are_foreign():
    headers = Headers([("Host", "a"), ("Origin", "http://a"), ("Origin", "http://b")])
    assert not is_own(headers, "a")


def status(port, headers):
    """What the server answers to a WebSocket's request; 101 is its opening."""
    try:
        with connect(
            f"ws://127.0.0.1:{port}",
            origin=headers.get("Origin"),
            additional_headers={k: v for k, v in headers.items() if k != "Origin"},
            subprotocols=[f"viser-v{viser.__version__}"],
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def test_the_server_refuses_them():
    before = websockets_server.serve
    server = LocalServer.listening("127.0.0.1", 0)
    try:
        assert websockets_server.serve is before
        port = server.get_port()
        assert status(port, {"Origin": f"http://127.0.0.1:{port}"}) == 101
        assert status(port, {}) == 101
        assert status(port, {"Origin": "http://evil.com"}) == 403
        for host, line in (("evil.com", b"403"), (f"localhost:{port}", b"200")):
            with socket.create_connection(("127.0.0.1", port), 30) as plain:
                plain.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert plain.recv(100).split()[1] == line
    finally:
        server.stop()


def test_a_viser_that_starts_otherwise_is_refused():
    with pytest.raises(ConfigError, match="other web sites could not be refused"), only_own(""):
        pass
