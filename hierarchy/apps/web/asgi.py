"""The page as an ASGI application, which `streamlit run` serves: RUN ENGINE [HOST ...]."""

import sys
from pathlib import Path
from typing import Final

from starlette.middleware import Middleware
from streamlit.starlette import App

from hierarchy.apps.broken_http import refuse_quietly
from hierarchy.apps.guard import Guard
from hierarchy.apps.web.limits import Limits

HEADERS: Final = {
    # Streamlit's own files need inline styles, compile WebAssembly, and show what they made themselves;
    # the script of a component comes through its WebSocket and is run as a blob
    "content-security-policy": (
        "default-src 'self'; connect-src 'self' data: blob:; worker-src 'self' blob:; "
        "script-src 'self' blob: 'unsafe-inline' 'wasm-unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data: blob:; "
        "media-src 'self' data: blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'self'"
    ),
    "x-frame-options": "SAMEORIGIN",  # the camera is a frame of the page
    "referrer-policy": "no-referrer",
}

refuse_quietly()
app = App(
    Path(__file__).with_name("page.py"),
    middleware=[Middleware(Guard, HEADERS, hosts=sys.argv[3:]), Middleware(Limits)],
)
