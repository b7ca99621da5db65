"""`serve`: the REST service on this machine."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from hierarchy.cli.options import DETECTOR, ENGINE, MIN_PIXELS, ROTATE, RUN
from hierarchy.vision.detectors import STILL, Searching

MOST: Final = 1_000_000  # of every limit
PACKAGES: Final = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    run: Annotated[str | None, RUN] = None,
    engine: Annotated[str, ENGINE] = "auto",
    detector: Annotated[str, DETECTOR] = "auto",
    min_face: Annotated[int, MIN_PIXELS] = STILL.min_face,
    rotate: Annotated[str, ROTATE] = STILL.rotate,
    address: Annotated[str, typer.Option(help="Interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the bearer token. Default: $TWO_TIER_TOKEN, else none.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Web origin that browsers may call from; repeatable.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Name that browsers may ask for, such as a proxy's; repeatable.")
    ] = None,
    max_mb: Annotated[int, typer.Option(min=1, max=MOST, help="Megabytes (2^20 bytes) of a request.")] = 16,
    max_megapixels: Annotated[int, typer.Option(min=1, max=50, help="Of an image.")] = 50,
    max_faces: Annotated[int, typer.Option(min=1, max=MOST, help="Of an image.")] = 64,
    max_images: Annotated[int, typer.Option(min=1, max=MOST, help="Of a request to /predict.")] = 32,
    max_batch: Annotated[int, typer.Option(min=1, max=MOST, help="Of a request to /predict/batch.")] = 1000,
    max_requests: Annotated[int, typer.Option(min=1, max=MOST, help="Predicted at the same time.")] = 64,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds to send, and to predict.")
    ] = 30.0,
) -> None:
    """Serve predictions over HTTP until Ctrl-C: POST /predict, GET /model, /healthz, /metrics."""
    from hierarchy import runs
    from hierarchy.errors import require

    require(*PACKAGES)
    from hierarchy.apps.rest import server
    from hierarchy.apps.rest.settings import Settings

    settings = Settings(
        run=run or runs.DEFAULT_RUN,
        engine=engine,
        detector=detector,
        searching=Searching(min_face, rotate),
        max_bytes=max_mb * 2**20,
        max_pixels=max_megapixels * 10**6,
        max_faces=max_faces,
        max_images=max_images,
        max_batch=max_batch,
        max_requests=max_requests,
        timeout=timeout,
        token=_token(token_file),
        origins=tuple(allow_origin or ()),
        hosts=(address, *(allow_host or ())),
    )
    server.serve(settings, address, port)


def _token(file: Path | None) -> str | None:
    """The token of a file, else of the environment; None: none is wanted.

    Raises:
        InputError: the file cannot be read.
    """
    from hierarchy.apps.rest.settings import TOKEN_BYTES
    from hierarchy.errors import error_context
    from hierarchy.fileio import read_text

    if file is None:
        return os.environ.get("TWO_TIER_TOKEN")
    with error_context("--token-file"):
        return read_text(file, TOKEN_BYTES).strip()
