"""Who may ask and how many at a time, as ASGI middleware: bearer token, requests at the same time."""

import asyncio
import hmac
from collections.abc import Mapping
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hierarchy.apps.rest.metrics import Metrics

OPEN: Final = "/healthz"  # needs no token
DRAIN: Final = 5.0  # seconds in which the rest of a refused request is read and dropped


class BearerToken:
    """Refuses requests without the token with 401; the comparison takes constant time."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] == OPEN or self._known(scope):
            return await self.app(scope, receive, send)
        headers = {"www-authenticate": "Bearer"}
        await _refuse(scope, receive, send, 401, "wrong or missing bearer token", headers)

    def _known(self, scope: Scope) -> bool:
        scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.token)


class Concurrency:
    """Refuses predictions with 429 while `most` others run."""

    def __init__(self, app: ASGIApp, most: int, metrics: Metrics) -> None:
        self.app, self.most, self.metrics = app, most, metrics
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        if self.running >= self.most:
            reason = f"{self.running} requests are being predicted; try again later"
            return await _refuse(scope, receive, send, 429, reason, {"retry-after": "1"})
        self.running += 1
        self.metrics.running.set(self.running)
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= 1
            self.metrics.running.set(self.running)


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, reason: str, headers: Mapping[str, str]
) -> None:
    """Answer without the application, after the body was sent: clients that still send see no answer."""
    if b"expect" not in dict(scope["headers"]):
        try:
            async with asyncio.timeout(DRAIN):
                while (await receive()).get("more_body"):
                    pass
        except TimeoutError:
            headers = {**headers, "connection": "close"}
    await JSONResponse({"detail": reason}, status, headers)(scope, receive, send)
