"""Structured logs: a JSON object per line on stderr, without pixels, names of files, addresses of clients."""

import json
import logging
import sys
import time
import uuid
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hierarchy.apps.rest.metrics import Metrics

GONE: Final = 499  # the client left before the answer; nginx's number
log = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """A log record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level and message, then the record's `fields` and its exception, if any."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **vars(record).get("fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_as_json() -> None:
    """Send all messages to stderr as JSON: of uvicorn at this package's level, of others warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().handlers[:] = [handler]
    package = logging.getLogger("hierarchy")
    package.handlers.clear()
    logging.getLogger("uvicorn").setLevel(package.level)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every malformed form


class RequestLog:
    """The outermost middleware: logs and counts every request, and answers a fault of ours with 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; its identity is in the answer's X-Request-ID and in the log."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, status, identity = time.perf_counter(), 0, uuid.uuid4().hex

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = identity
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except ClientDisconnect:
            status = GONE
        except Exception:
            log.exception("fault", extra={"fields": {"id": identity}})
            if not status:
                await JSONResponse({"detail": "internal error; see the log"}, 500)(scope, receive, noted)
        finally:
            self._note(scope, status or GONE, time.perf_counter() - started, identity)

    def _note(self, scope: Scope, status: int, seconds: float, identity: str) -> None:
        route = scope.get("route")
        path = route.path if route else "other"  # few values, whatever clients ask for
        self.metrics.requests.labels(path, status).inc()
        self.metrics.seconds.labels(path).observe(seconds)
        fields = {
            "id": identity,
            "method": scope["method"],
            "path": path,
            "status": status,
            "ms": round(1000 * seconds, 1),
        }
        log.info("request", extra={"fields": fields})
