"""How much the page takes from its visitors: visits at a time, files and bytes, as ASGI middleware."""

import asyncio
import logging
import re
import threading
from typing import Final, cast

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from hierarchy.errors import first_line

VISITS: Final = 64  # open at the same time
FILES: Final = 100  # of a visit
VISIT_MB: Final = 200  # of 2^20 bytes; all files of a visit
ALL_MB: Final = 1000  # of all visits
SECONDS: Final = 120.0  # to send a file
TURN: Final = threading.Lock()  # the images of all visits are decoded and drawn one after another
FILMS: Final = threading.Semaphore(2)  # videos at a time

_UPLOAD: Final = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+")
_TRY_AGAIN_LATER: Final = 1013  # code of a WebSocket's end
log = logging.getLogger(__name__)


class Limits:
    """Refuses visits over VISITS, and files over the limits of a visit or of all of them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.visits = app, 0
        self.sending: list[tuple[str, int]] = []  # visit and bytes of the files under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "websocket":
            await self._visit(scope, receive, send)
        elif scope.get("method") == "PUT" and (to := _UPLOAD.fullmatch(scope["path"])):
            await self._upload(to[1], scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _visit(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.visits >= VISITS:
            return await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
        self.visits += 1
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # Streamlit raises what a visitor does against its protocol
            log.warning(f"a visit ended: {first_line(error)}")
        finally:
            self.visits -= 1

    async def _upload(self, visit: str, scope: Scope, receive: Receive, send: Send) -> None:
        length = Headers(scope=scope).get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            return await JSONResponse({"detail": "a file without a length"}, 411)(scope, receive, send)
        if refusal := self._refusal(visit, int(length)):
            return await JSONResponse({"detail": refusal}, 413)(scope, receive, send)
        entry = visit, int(length)
        self.sending.append(entry)
        try:
            async with asyncio.timeout(SECONDS):
                await self.app(scope, receive, send)
        except TimeoutError:
            await JSONResponse({"detail": f"not sent within {SECONDS:g} s"}, 408)(scope, receive, send)
        except ClientDisconnect:
            pass  # the visitor left in the middle
        finally:
            self.sending.remove(entry)

    def _refusal(self, visit: str, size: int) -> str | None:
        """Why a file of a visit is not taken; None: it is."""
        manager = cast(MemoryUploadedFileManager, get_instance().uploaded_file_mgr)
        files = [*self.sending]
        for name, stored in list(manager.file_storage.items()):
            files += [(name, len(file.data)) for file in list(stored.values())]
        own = [bytes_ for name, bytes_ in files if name == visit]
        if len(own) >= FILES:
            return f"a visit holds at most {FILES} files; remove some"
        if sum(own) + size > VISIT_MB << 20:
            return f"the files of a visit hold at most {VISIT_MB} MB; remove some"
        if sum(bytes_ for _, bytes_ in files) + size > ALL_MB << 20:
            return "other visits hold too many files; try again later"
        return None
