"""ASGI middleware in front of the page and the service: whom a browser may speak for, and its headers."""

import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)
_POLICY_VIOLATION: Final = 1008  # of RFC 6455; before the handshake it is sent as 403


class Guard:
    """Answers browsers only under this machine's names, and no page of another origin.

    A site whose name leads to this machine (DNS rebinding) shows by that name, which browsers send as Host; a
    site that calls this machine shows as Origin. An address in Host cannot be rebound, and is answered.

    Args:
        app: that is guarded.
        headers: of every answer; nosniff is added.
        hosts: names besides localhost and that of this machine, such as a proxy's.
        origins: web origins besides the one that is asked.
    """

    def __init__(
        self, app: ASGIApp, headers: Mapping[str, str], hosts: Sequence[str] = (), origins: Sequence[str] = ()
    ) -> None:
        self.app, self.origins = app, origins
        self.headers = {"x-content-type-options": "nosniff", **headers}
        self.hosts = {name.lower() for name in ("localhost", socket.gethostname(), *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 421 (host) or 403 (origin)."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        refusal = self._refusal(Headers(scope=scope))
        if refusal and scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await (refusal or self.app)(scope, receive, marked)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._known(host):
            return JSONResponse({"detail": f"host {host[:255]!r} is not known; see --allow-host"}, 421)
        if origin in (None, f"http://{host}", f"https://{host}", *self.origins):
            return None
        return JSONResponse({"detail": "called by a page of another origin"}, 403)

    def _known(self, host: str) -> bool:
        if not (parts := _HOST.fullmatch(host)):
            return False
        name = parts[1].strip("[]").lower()
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return name.rstrip(".") in self.hosts
