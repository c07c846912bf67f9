"""Refuses requests of other web sites, which viser does not: they come by the user's own browser.

A page of another site can open a WebSocket to this machine; then its Origin is not the Host. Or its
name is made to lead to this machine (DNS rebinding); then the Host is a name that this machine does
not have.
"""

from __future__ import annotations

import contextlib
import http
import ipaddress
import socket
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio import server as websockets_server
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request

from synthforge.errors import ConfigError


def is_own(headers: Headers, host: str) -> bool:
    """Whether a request came from the page itself, or from an address bar or program.

    host: that the server listens on; with it an IP address, localhost and the machine's name may
    be asked for.
    """
    try:
        asked, origin = headers["Host"], headers.get("Origin")
        name = urlsplit(f"//{asked}").hostname or ""
    except (LookupError, ValueError):  # none, several, or no host
        return False
    own = "localhost", host.lower(), socket.gethostname().lower()
    if not _is_address(name) and name not in own:
        return False
    return origin is None or origin.lower() in (
        f"http://{asked}".lower(),
        f"https://{asked}".lower(),
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def only_own(host: str) -> Iterator[None]:
    """The server that viser starts inside refuses requests that are not `is_own`, with status 403.

    viser has no option for it, so the function of websockets that it calls is replaced meanwhile.
    Raises ConfigError if it started without calling that.
    """
    serve, guarded = websockets_server.serve, []

    def serve_own(*arguments: Any, process_request: Any = None, **settings: Any) -> Any:
        if process_request is None:
            return serve(*arguments, **settings)

        def check(connection: ServerConnection, request: Request) -> Any:
            if not is_own(request.headers, host):
                return connection.respond(http.HTTPStatus.FORBIDDEN, "Not from this page.\n")
            return process_request(connection, request)

        guarded.append(True)
        return serve(*arguments, process_request=check, **settings)

    websockets_server.serve = serve_own  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        websockets_server.serve = serve  # type: ignore[misc]
    if not guarded:
        raise ConfigError(
            f"viser {version('viser')} starts in an unknown way, so other web sites could "
            "not be refused; run pip install 'viser==1.1.1'"
        )
